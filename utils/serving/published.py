"""SmolLM2-135M-Instruct of lesson 16 behind the chat page."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # takes seconds to import, which a wrong file need not wait for
    from utils.data.gguf_reader import GGUF
    from utils.data.smollm2 import PretrainedTokenizer
    from utils.models.llama import Config
    from utils.serving.engine import Engine
    from utils.serving.prompts import Render

SMOLLM2, ROOM_FOR_REPLY = "SmolLM2-135M-Instruct", 512  # tokens that a long chat leaves free
WEIGHTS = ("int8", "float32")  # how SmolLM2's may be multiplied


def smollm2(
    slots: int, queue: int, weights: str = "int8", longest: int | None = None
) -> "tuple[Engine, Render]":
    """SmolLM2-135M-Instruct, which answers chats and continues texts; downloaded if it is missing.

    Its context is as long as memory allows: see `utils.serving.memory`.

    Args:
        slots: texts that are written at once.
        queue: texts that may wait.
        weights: "int8", or "float32", which is what the file holds but several times slower.
        longest: the longest context, in tokens; None for the model's own.

    Raises:
        CourseError: if it cannot be downloaded, is damaged, or does not fit into memory.
    """
    from utils.data.downloads import download
    from utils.data.gguf_reader import read_gguf
    from utils.data.smollm2 import ChatTemplate, read_tokenizer
    from utils.memory import free_memory
    from utils.models.llama import read_config
    from utils.serving.int8_gpt2 import has_int8
    from utils.serving.memory import capped_context

    file = read_gguf(download("smollm2"))
    config, tokenizer = read_config(file.metadata), read_tokenizer(file.metadata)
    config = config._replace(context=min(config.context, longest or config.context))
    context, sentence = capped_context(config, slots, free_memory())
    if sentence:
        print(sentence, flush=True)
    config = config._replace(context=context)
    make = _in_int8 if weights == "int8" and has_int8("SmolLM2") else _in_float32
    engine = make(file, config, tokenizer, slots, queue)
    return engine, ChatTemplate(tokenizer).prompt


def _in_int8(
    file: "GGUF", config: "Config", tokenizer: "PretrainedTokenizer", slots: int, queue: int
) -> "Engine":
    """An engine with weights rounded to int8."""
    from utils.generation.int8_llama import Int8Llama
    from utils.models.llama import read_weights
    from utils.serving.engine import Engine
    from utils.serving.int8_batch import Int8Batch

    model = Int8Llama(config, read_weights(config, file.tensors), tokenizer.end_id)
    room = min(ROOM_FOR_REPLY, config.context // 4)
    return Engine(model, tokenizer, SMOLLM2, slots, queue, room, False, Int8Batch)


def _in_float32(
    file: "GGUF", config: "Config", tokenizer: "PretrainedTokenizer", slots: int, queue: int
) -> "Engine":
    """An engine with the weights of the file, compiled."""
    from utils.generation.cached_llama import cached_llama
    from utils.generation.generator import Generator
    from utils.models.llama import read_weights
    from utils.serving.engine import Engine

    print("Compiling SmolLM2, which takes up to a minute.", flush=True)
    model = cached_llama(config, read_weights(config, file.tensors))
    room = min(ROOM_FOR_REPLY, config.context // 4)
    return Engine(Generator(model, tokenizer.end_id), tokenizer, SMOLLM2, slots, queue, room, False)
