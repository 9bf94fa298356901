"""An adapter: what LoRA has learnt, in a small file that names the model it belongs to.

    run = train_adapter(dialogues, "pirate", base, AdapterRecipe(rank=8))
    adapter = read_adapter(adapter_file(run))
    model = with_adapter(load_preset(base), adapter)   # refused if the weights are not those

The file is in the format of safetensors: the matrices A and B by their path in the model, and a
header of texts: the rank, the base and the digest of the base's weights. An adapter is a difference
to one set of weights, and on any other it is noise. So the digest is checked, not the name.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import keras_nlp
import numpy as np
import tensorflow as tf
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from utils.data.chat_template import ChatTokenizer, Template, with_roles
from utils.data.dialogue_rows import PackedRows, encoded
from utils.data.dialogues import Dialogue
from utils.data.keras_tokenizers import from_keras
from utils.errors import CourseError
from utils.evaluation.losses import TokenLosses
from utils.files import atomic_write
from utils.models.gpt2 import from_ids
from utils.models.lora import MATRICES, add_lora, lora_variables, merged
from utils.training.checkpoints import cannot_write
from utils.training.finetuning import check_rows_fit, packed_batches, prepare, split
from utils.training.identity import identify
from utils.training.presets import load_preset, save_preset
from utils.training.recipes import ChatRecipe
from utils.training.runs import PRESET, Method, Run, train_once

FORMAT = "1"
FILE = "adapter.safetensors"


class AdapterError(CourseError):
    """A file that is no adapter, or one for another model."""


@dataclass(frozen=True)
class AdapterRecipe(ChatRecipe):
    """The configuration of a training of an adapter.

    Attributes:
        learning_rate: the highest one; an adapter takes larger steps than a whole model.
        rank: the rank of each A and B.
        alpha: the scale of the change, which is multiplied by alpha / rank; None for a factor of 1.
        matrices: which weight matrices get an adapter, of `utils.models.lora.MATRICES`.
    """

    steps: int = 3600
    batch_size: int = 2
    learning_rate: float = 0.01
    optimizer: str = "adamw"
    rank: int = 8
    alpha: float | None = None
    matrices: tuple[str, ...] = tuple(MATRICES)


class Adapter(NamedTuple):
    """What a file of an adapter holds.

    Attributes:
        path: the path of the file.
        rank: the rank of each A and B.
        alpha: the scale of the change, which is multiplied by alpha / rank.
        matrices: which weight matrices have an adapter.
        base: the name of the model that it was trained on.
        base_digest: the digest of that model's weights.
        arrays: A and B by their path in the model.
    """

    path: Path
    rank: int
    alpha: float
    matrices: tuple[str, ...]
    base: str
    base_digest: str
    arrays: dict[str, np.ndarray]


# ---- files ---------------------------------------------------------------------------------------


def weights_digest(model: keras_nlp.models.GPT2CausalLM) -> str:
    """Tells the weights of a model from all others; those of adapters do not count."""
    digest = hashlib.sha256()
    for variable in model.backbone.weights:
        if not variable.name.startswith("lora_"):
            digest.update(variable.path.encode())
            digest.update(np.ascontiguousarray(variable).tobytes())
    return digest.hexdigest()


def name_of(preset: Path) -> str:
    """The name by which people know a model: of its run, or of its folder."""
    folder = Path(preset).resolve()
    return folder.parent.name if folder.name == PRESET else folder.name


def save_adapter(
    path: Path, model: keras_nlp.models.GPT2CausalLM, recipe: AdapterRecipe, base: str
) -> None:
    """Write the adapter of a model, all of it or nothing.

    Args:
        path: the path of the file.
        model: the GPT-2 with an adapter; its other weights are still those of the base.
        recipe: the recipe whose rank, alpha and matrices go into the header.
        base: the name of the base.

    Raises:
        CheckpointError: if the file cannot be written.
    """
    header = {
        "format": FORMAT,
        "rank": str(recipe.rank),
        "alpha": str(recipe.rank if recipe.alpha is None else recipe.alpha),
        "matrices": " ".join(recipe.matrices),
        "base": base,
        "base_digest": weights_digest(model),
    }
    arrays = {name: np.array(variable) for name, variable in lora_variables(model).items()}
    with atomic_write(path, cannot_write) as part:
        save_file(arrays, part, metadata=header)


def read_adapter(path: Path | str) -> Adapter:
    """Read the file of an adapter.

    Raises:
        AdapterError: if there is no such file, or it is no adapter.
    """
    path = Path(path)
    try:
        with safe_open(path, framework="np") as file:
            header = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if header["format"] != FORMAT:
            raise ValueError(f"format {header['format']}, not {FORMAT}")
        about = int(header["rank"]), float(header["alpha"]), tuple(header["matrices"].split())
        return Adapter(path, *about, header["base"], header["base_digest"], arrays)
    except FileNotFoundError:
        raise AdapterError(f"There is no file {path}, so it holds no adapter.") from None
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise AdapterError(
            f"{path} holds no adapter that can be read ({type(error).__name__}: {error}): make it"
            " with python -m utils.small_chat --lora RANK."
        ) from None


def with_adapter(
    model: keras_nlp.models.GPT2CausalLM, adapter: Adapter, name: str = "this model"
) -> keras_nlp.models.GPT2CausalLM:
    """Put an adapter into its base, in place; return the model.

    Args:
        model: a plain GPT-2.
        adapter: what `read_adapter` returned.
        name: the name of the model, for the sentence of a refusal.

    Raises:
        AdapterError: if the adapter was trained on other weights.
    """
    if weights_digest(model) != adapter.base_digest:
        raise AdapterError(
            f"{adapter.path} is an adapter for {adapter.base}, not for {name}: the weights differ,"
            " so take that model, or train the adapter anew on this one."
        )
    add_lora(model, adapter.rank, adapter.alpha, adapter.matrices)
    variables = lora_variables(model)
    shapes = {name: tuple(variable.shape) for name, variable in variables.items()}
    if shapes != {name: array.shape for name, array in adapter.arrays.items()}:
        raise AdapterError(f"{adapter.path} lacks a part of the adapter: make it anew.")
    for path, variable in variables.items():
        variable.assign(adapter.arrays[path])
    return model


def adapter_file(run: Run) -> Path:
    """Where `train_adapter` has put the adapter."""
    return Path(run.preset) / FILE


# ---- training ------------------------------------------------------------------------------------


def train_adapter(
    dialogues: Sequence[Dialogue],
    name: str,
    base: Path,
    recipe: AdapterRecipe,
    quiet: bool = False,
) -> Run:
    """Train an adapter on dialogues, or go on with a training that was stopped.

    Every tenth dialogue is held out for validation. The preset of the run is the merged model; the
    adapter lies beside it, see `adapter_file`.

    Args:
        dialogues: the dialogues to learn; each fits into the context of the model.
        name: the name of the data, for the folder of the run.
        base: folder with the preset of a chat model.
        recipe: the training configuration.
        quiet: whether to skip printing the evaluations of a finished run.

    Raises:
        AdapterError: if the base does not know the roles of a chat.
        TrainingFailed: if the loss becomes NaN or infinite.
        CheckpointError: if something cannot be written.
        CourseError: if `base` holds no GPT-2.
    """
    model = load_preset(base)
    template = _template(model, base)
    text = json.dumps([asdict(dialogue) for dialogue in dialogues])
    data = {
        "base": weights_digest(model),
        "dialogues": hashlib.sha256(text.encode()).hexdigest(),
    }
    identity = identify(__name__, f"adapter-{name}", data, recipe)
    return train_once(identity, recipe, _method(dialogues, base, template, recipe), quiet)


def _template(model: keras_nlp.models.GPT2CausalLM, base: Path) -> Template:
    if not isinstance(model.preprocessor.tokenizer, ChatTokenizer):
        raise AdapterError(
            f"{name_of(base)} does not know the roles of a chat, and an adapter adds no tokens:"
            " fine-tune it without --lora first, or give the preset of a chat model."
        )
    return Template(from_keras(model.preprocessor.tokenizer))


def _method(
    dialogues: Sequence[Dialogue], base: Path, template: Template, recipe: AdapterRecipe
) -> Callable[[], Method]:
    """What makes the method, when it is needed."""

    def method() -> Method:
        model = load_preset(base)
        context = model.backbone.max_sequence_length
        train, held_out = (
            PackedRows(encoded(part, template), context, template.end_id)
            for part in split(dialogues)
        )
        add_lora(model, recipe.rank, recipe.alpha, recipe.matrices)
        check_rows_fit(model, train, recipe)
        losses, validation = TokenLosses(from_ids(model)), held_out.in_order()

        def batches(first_step: int) -> tf.data.Dataset:
            return packed_batches(train, recipe.batch_size, recipe.seed, first_step)

        def save(path: Path) -> None:
            save_preset(merged(model), with_roles(template.tokenizer), path)
            save_adapter(path / FILE, model, recipe, name_of(base))

        return Method(
            model=prepare(model, recipe),
            backbone=model.backbone,
            batches=batches,
            evaluate=lambda: losses.mean(*validation),
            evaluate_fully=lambda: losses.mean(*validation),
            save=save,
        )

    return method
