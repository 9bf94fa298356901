"""Presets: a model with its tokenizer in a folder, in the format of keras-nlp."""

import hashlib
from pathlib import Path

import keras_nlp

from utils.data.chat_template import ChatTokenizer
from utils.data.keras_tokenizers import GPT2Tokenizer
from utils.errors import CourseError
from utils.files import atomic_write
from utils.models.gpt2 import in_float32
from utils.training.checkpoints import cannot_write, need_space

# A preset names the class of its tokenizer, and Keras knows these since they are imported here.
TOKENIZERS = (ChatTokenizer, GPT2Tokenizer)
CONFIG, WEIGHTS = "config.json", "model.weights.h5"


def save_preset(model: keras_nlp.models.GPT2CausalLM, tokenizer: GPT2Tokenizer, path: Path) -> None:
    """Write a model together with its tokenizer, as keras-nlp's `from_preset` reads them.

    Raises:
        CheckpointError: if it cannot be written.
    """
    model = in_float32(model)
    preprocessor = keras_nlp.models.GPT2CausalLMPreprocessor(
        tokenizer, sequence_length=model.backbone.max_sequence_length
    )
    complete = keras_nlp.models.GPT2CausalLM(model.backbone, preprocessor)
    path.parent.mkdir(parents=True, exist_ok=True)
    need_space(path.parent, 10 * complete.count_params())  # HDF5 cannot say it by itself
    with atomic_write(path, cannot_write) as part:
        complete.save_to_preset(str(part))


def load_preset(folder: Path | str) -> keras_nlp.models.GPT2CausalLM:
    """Read a GPT-2 with its tokenizer from a folder; nothing is fetched from anywhere.

    Raises:
        CourseError: if the folder holds no GPT-2, or one of its files is damaged.
    """
    folder = Path(folder)
    if not (folder / CONFIG).is_file():
        raise CourseError(f"{folder} holds no preset: there is no {CONFIG} in it.")
    try:
        # The full path: a name such as gpt2_base_en would make keras-nlp download that model.
        model = keras_nlp.models.GPT2CausalLM.from_preset(str(folder.resolve()))
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = str(error).strip().split("\n")[0]
        raise CourseError(f"{folder} holds no GPT-2 that can be read ({reason}).") from None
    if model.preprocessor is None:
        raise CourseError(f"{folder} holds a GPT-2 without its tokenizer: save both together.")
    return model


def preset_digest(folder: Path) -> str:
    """Tells a preset from every other one: a digest of its numbers and of its weights.

    Raises:
        CourseError: if the folder holds no preset.
    """
    digest = hashlib.sha256()
    try:
        for name in (CONFIG, WEIGHTS):
            with open(folder / name, "rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    except OSError as error:
        raise CourseError(f"{folder} holds no preset of a GPT-2 ({error.strerror}).") from None
    return digest.hexdigest()
