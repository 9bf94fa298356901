"""A tiny random Llama and a tokenizer like SmolLM2's, for the tests."""

import numpy as np

from utils.data.bpe import Tokenizer, train
from utils.data.smollm2 import PretrainedTokenizer
from utils.models import llama

CONTEXT = 120
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<repo_name>"]
TEXT = "assistant user system: the fox said to the hare, 狐狸对兔子说！\n" * 3


def tiny_tokenizer(merges=30):
    """Special tokens first, then the bytes, then the merges, as in SmolLM2's file."""
    course = Tokenizer(train(TEXT, merges))
    tokens = [*(name.encode() for name in SPECIAL), *course.tokens[:-1]]
    return PretrainedTokenizer(course.merges, tokens, SPECIAL, "<|im_end|>")


def tiny_llama(vocabulary_size=50, context=CONTEXT, seed=0):
    """Its numbers and large random weights, so that its answers differ from place to place."""
    config = llama.Config(2, 24, 40, 6, 2, 4, context, vocabulary_size, 1e4, 1e-5)
    rng = np.random.default_rng(seed)

    def matrix(outputs, inputs):
        return rng.normal(scale=0.5, size=(outputs, inputs)).astype("float32")

    def gamma():
        return (1 + 0.1 * rng.normal(size=config.width)).astype("float32")

    def block():
        attended, kept = config.num_heads * config.head_dim, config.num_kv_heads * config.head_dim
        return llama.Block(
            attention_norm=gamma(),
            query=matrix(attended, config.width),
            key=matrix(kept, config.width),
            value=matrix(kept, config.width),
            output=matrix(config.width, attended),
            mlp_norm=gamma(),
            gate=matrix(config.inner, config.width),
            up=matrix(config.inner, config.width),
            down=matrix(config.width, config.inner),
        )

    blocks = [block() for _ in range(config.num_layers)]
    return config, llama.Weights(matrix(vocabulary_size, config.width), blocks, gamma())
