"""A small language model of a task's own texts, without their labels: the backbone of lesson 19.

corpus = corpus_of("intent-en", train_texts, validation_texts, vocabulary_size=2048)
run = pretrain(corpus, Recipe(steps=400))         # utils.training.pretraining
"""

import hashlib
from collections.abc import Sequence
from random import Random

import numpy as np

from utils.data import bpe
from utils.data.corpora import Corpus

LEAST_TOKENS = 2000  # below that a language model learns nothing worth having


def corpus_of(
    name: str, train: Sequence[str], validation: Sequence[str], vocabulary_size: int
) -> Corpus:
    """Texts as a corpus to pretrain on: one after the other, an end between them.

    Args:
        name: the name of the corpus, for the folder of the run.
        train: texts to learn from. The tokenizer learns from them, too.
        validation: held-out texts.
        vocabulary_size: tokens of the tokenizer; fewer if the texts do not give as many.
    """
    merges = bpe.train("\n".join(train), vocabulary_size - bpe.SMALLEST_VOCABULARY)
    tokenizer = bpe.Tokenizer(merges)
    learnt, held_out = (_joined(texts, tokenizer) for texts in (train, validation))
    digest = hashlib.sha256("\0".join([*train, "", *validation]).encode()).hexdigest()
    return Corpus(name, digest, tokenizer, learnt, held_out, documents=False, language=None)


def _joined(texts: Sequence[str], tokenizer: bpe.Tokenizer) -> np.ndarray:
    """The ids of some texts, an end before the first and after each, in an order of no meaning."""
    ids = [tokenizer.end_id]
    for text in Random(0).sample(list(texts), len(texts)):
        ids += [*tokenizer.encode(text), tokenizer.end_id]
    return np.array(ids, "uint16")
