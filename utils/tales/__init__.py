"""The tales: short children's stories from a grammar of our own, with a known entropy floor.

    story = tell("en", seed=0)      # one tale: its text, exact probability, questions with answers
    story = parse(text, "en")       # the same from a text, or NotATale with the reason
    train = corpus("en", "train")   # many tales; "validation" and "test" share none with it
    floor(corpus("en", "test"))     # the loss in nats per character that no model can beat

Each tale has exactly one derivation in the grammar, so its probability is known exactly. The mean
of −log p over held-out tales is the lowest loss that any model can reach on them: the floor.

To read on: `notation` explains how the rules are written, `english` and `chinese` are the rules,
`derivations` is the one program that tells, scores and parses, `story` and `corpus` put it to use.
"""

from utils.tales.corpus import SPLITS, as_text, corpus, floor, split_of
from utils.tales.questions import Question
from utils.tales.story import LANGUAGES, NotATale, Story, parse, sentences, tell

__all__ = [
    "LANGUAGES",
    "SPLITS",
    "NotATale",
    "Question",
    "Story",
    "as_text",
    "corpus",
    "floor",
    "parse",
    "sentences",
    "split_of",
    "tell",
]
