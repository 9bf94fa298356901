"""A GPT-2 small enough that a test can train it: one layer, 16 wide, windows of 32 tokens.

python tiny_gpt2.py FILE [RANK WORLD]     # train it on a file; COURSE_CHECKPOINTS says where
"""

import sys

from utils.data.corpora import load_corpus
from utils.models.sizes import ModelSize
from utils.training.pretraining import Recipe, pretrain
from utils.training.runs import Processes

TINY = ModelSize(layers=1, heads=2, width=16, feed_forward=32, context=32)
RECIPE = Recipe(steps=40, batch_size=4, learning_rate=0.01, vocabulary_size=300, size=TINY)

if __name__ == "__main__":
    together = Processes(*map(int, sys.argv[2:4]))
    run = pretrain(load_corpus(sys.argv[1], RECIPE.vocabulary_size), RECIPE, processes=together)
    print(f"loss {run.validation_loss}")
