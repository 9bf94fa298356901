"""A GPT-2 small enough that a test can train it: one layer, 16 wide, windows of 32 tokens."""

import sys

from utils.data.corpora import load_corpus
from utils.models import gpt2
from utils.training import pretraining
from utils.training.pretraining import Recipe, pretrain

TINY = {
    "num_layers": 1,
    "num_heads": 2,
    "hidden_dim": 16,
    "intermediate_dim": 32,
    "max_sequence_length": 32,
}
RECIPE = Recipe(steps=40, batch_size=4, learning_rate=0.01, vocabulary_size=300)


def shrink():
    """From here on, "small" means tiny."""
    gpt2.SMALL.update(TINY)
    pretraining.CONTEXT = TINY["max_sequence_length"]


if __name__ == "__main__":  # python tiny_gpt2.py FILE: train on it; COURSE_CHECKPOINTS says where
    shrink()
    pretrain(load_corpus(sys.argv[1], RECIPE.vocabulary_size), RECIPE)
