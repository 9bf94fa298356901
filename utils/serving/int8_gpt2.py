"""A GPT-2 behind the chat page with weights rounded to int8, as lesson 18 measures it."""

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # takes seconds to import, which a wrong folder need not wait for
    import keras_nlp

    from utils.data.bpe import Tokenizer
    from utils.serving.engine import Engine


def has_int8(name: str) -> bool:
    """Whether this installation multiplies in int8; if not, a sentence says so of the model."""
    from utils.generation.int8 import is_available

    if not (available := is_available()):
        print(
            f"This TensorFlow does not multiply in int8: {name} runs in float32.", file=sys.stderr
        )
    return available


def in_int8(
    model: "keras_nlp.models.GPT2CausalLM",
    tokenizer: "Tokenizer",
    name: str,
    slots: int,
    queue: int,
    tells_tales: bool,
) -> "Engine":
    """An engine whose weight matrices are rounded to int8; its arguments are those of `Engine`."""
    from utils.generation.int8_gpt2 import Int8GPT2
    from utils.generation.plain_gpt2 import read_weights
    from utils.serving.engine import Engine
    from utils.serving.int8_batch import Int8Batch

    int8 = Int8GPT2(read_weights(model), model.backbone.num_heads, tokenizer.end_id)
    return Engine(
        int8,  # type: ignore[arg-type]
        tokenizer,
        name,
        slots,
        queue,
        tells_tales=tells_tales,
        batch=Int8Batch,
    )
