"""How long a text may be: the KV caches of all slots have to fit into memory."""

from utils.errors import CourseError
from utils.models.llama import Config

SHARE = 0.5  # of the memory that the weights leave free, for the caches
SMALLEST = 512  # tokens; with less, a chat forgets its beginning after a few turns
STEP = 256  # tokens; a context is a multiple of these
BYTES = 4  # of a number in float32
COPIES = 3  # of the weights at the same time, while the model is being made


def capped_context(config: Config, slots: int, free: int) -> tuple[int, str]:
    """The context that fits into memory, at most the model's own.

    Args:
        config: the numbers of the model.
        slots: texts that are written at once; each has a cache of its own.
        free: bytes of memory.

    Returns:
        The context in tokens, and a sentence that says why it is capped, empty if it is not.

    Raises:
        CourseError: if not even a short context fits.
    """
    each = 2 * config.num_layers * config.num_kv_heads * config.head_dim * BYTES  # keys, values
    each *= slots
    left = free - COPIES * BYTES * num_parameters(config)
    context = min(config.context, int(SHARE * left / each) // STEP * STEP)
    if context < min(SMALLEST, config.context):
        raise CourseError(
            f"SmolLM2 with {slots} slots does not fit into the {free / 1e9:.1f} GB of memory that"
            " are free: close other programs, or give it fewer --slots."
        )
    if context == config.context:
        return context, ""
    return context, (
        f"The context is {context:,} tokens, not {config.context:,}, because the caches of {slots}"
        f" texts share the memory that is free: fewer --slots leave more to each."
    )


def check_memory(name: str, weights: int, caches: int, free: int) -> None:
    """Whether a model of a fixed context fits into memory.

    Args:
        name: the name of the model.
        weights: bytes of its weights.
        caches: bytes of the caches of all slots.
        free: bytes of memory.

    Raises:
        CourseError: if it does not.
    """
    if (needed := COPIES * weights + caches) > free:
        raise CourseError(
            f"{name} needs about {needed / 1e9:.1f} GB of memory, and {free / 1e9:.1f} GB are free:"
            " close other programs, or give it fewer --slots."
        )


def num_parameters(config: Config) -> int:
    """The parameters of a Llama whose output layer is its token embedding."""
    query_rows = config.num_heads * config.head_dim
    rows = 2 * query_rows + 2 * config.num_kv_heads * config.head_dim + 3 * config.inner
    return config.width * (config.vocabulary_size + config.num_layers * (rows + 2) + 1)
