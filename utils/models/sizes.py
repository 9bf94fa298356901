"""How large a GPT-2 is. Light to import, so that `--help` can show it at once."""

from dataclasses import dataclass

from utils.errors import CourseError

HEAD_DIM = 64  # of every published GPT-2


class SizeError(CourseError):
    """Numbers that make no GPT-2."""


@dataclass(frozen=True)
class ModelSize:
    """The numbers that define a GPT-2, apart from its vocabulary.

    Attributes:
        layers: transformer blocks.
        heads: attention heads in each block; they share the width evenly.
        width: features of a token's vector.
        feed_forward: width of the hidden layer in each feed-forward network.
        context: the longest input, in tokens.
        dropout: share of the features that is set to 0 at random in training, 0 for none.

    Raises:
        SizeError: if the heads cannot share the width, or a number is out of range.
    """

    layers: int
    heads: int
    width: int
    feed_forward: int
    context: int
    dropout: float = 0.0

    def __post_init__(self):
        numbers = (self.layers, self.heads, self.width, self.feed_forward, self.context)
        if min(numbers) < 1 or not 0 <= self.dropout < 1:
            raise SizeError(f"There is no GPT-2 with these numbers: {self}.")
        if self.width % self.heads:
            raise SizeError(
                f"{self.heads} heads cannot share a width of {self.width} evenly: give --heads a"
                f" divisor of the width, such as {usual_heads(self.width)}."
            )

    def parameters(self, vocabulary_size: int) -> int:
        """The number of parameters of a GPT-2 of this size; lesson 7 counts them one by one."""
        width, feed_forward = self.width, self.feed_forward
        embeddings = (vocabulary_size + self.context) * width
        attention = 4 * width * width + 4 * width
        network = 2 * width * feed_forward + feed_forward + width
        return embeddings + self.layers * (attention + network + 4 * width) + 2 * width


def usual_heads(width: int) -> int:
    """As many heads as can share a width evenly, none with fewer than GPT-2's 64 features."""
    most = max(1, width // HEAD_DIM)
    return next(heads for heads in range(most, 0, -1) if width % heads == 0)


# Of `small`, two layers are the least with which a model can copy what was said before (lesson 5),
# and in the few minutes of a training two get further than three or four, which take longer for
# each step. Every tale of the course fits into 256 tokens. `gpt2` has the numbers of the published
# one. Heads of 64 features and a feed-forward network four times as wide as the model are GPT-2's
# own proportions. There is no dropout: a text that is seen a few times leaves little to overfit.
SIZES = {
    "small": ModelSize(layers=2, heads=2, width=128, feed_forward=512, context=256),
    "medium": ModelSize(layers=6, heads=6, width=384, feed_forward=1536, context=256),
    "gpt2": ModelSize(layers=12, heads=12, width=768, feed_forward=3072, context=1024),
}


def custom_size(
    name: str,
    layers: int | None = None,
    heads: int | None = None,
    width: int | None = None,
    feed_forward: int | None = None,
    context: int | None = None,
    dropout: float | None = None,
) -> ModelSize:
    """A named size with some numbers changed; None leaves a number as it is.

    A new width brings its usual heads and a feed-forward network four times as wide along, unless
    these are given, too.

    Raises:
        SizeError: if the numbers make no GPT-2.
    """
    size = SIZES[name]
    if width is not None:
        heads = heads or usual_heads(width)
        feed_forward = feed_forward or 4 * width
    return ModelSize(
        layers=layers or size.layers,
        heads=heads or size.heads,
        width=width or size.width,
        feed_forward=feed_forward or size.feed_forward,
        context=context or size.context,
        dropout=size.dropout if dropout is None else dropout,
    )
