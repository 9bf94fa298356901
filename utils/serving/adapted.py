"""A model with an adapter, as requests see it: a name of its own, and the engine of the base."""

from collections.abc import Callable, Sequence
from typing import Any

from utils.generation.sampling import Sampling
from utils.serving.batching import NO_PENALTIES, Penalties
from utils.serving.engine import Engine, Reply


class AdaptedEngine:
    """What clients know as a model: its texts share the batches of the base and of its siblings.

    Everything but `name` and `submit` is that of the engine.

    Args:
        engine: an engine that writes with several adapters, see `utils.generation.adapted_gpt2`.
        name: the model's name in requests.
        adapter: the number of the adapter in that engine, from 1.
    """

    def __init__(self, engine: Engine, name: str, adapter: int):
        self._engine, self.name, self._adapter = engine, name, adapter

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def submit(
        self,
        prompt: Sequence[int],
        length: int,
        sampling: Sampling,
        seed: int,
        gone: Callable[[], bool] = lambda: False,
        penalties: Penalties = NO_PENALTIES,
    ) -> Reply:
        """Ask for a text, see `Engine.submit`."""
        about = prompt, length, sampling, seed, gone, penalties
        return self._engine.submit(*about, adapter=self._adapter)
