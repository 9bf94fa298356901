"""The corpus: many tales, cut into three splits that share no tale, and the floor of the loss."""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from collections.abc import Sequence
from itertools import count, islice
from pathlib import Path

from utils.tales.story import Story, grammar, tell

# More than 4 MB to train on. A small GPT-2 can read that several times in five minutes on two
# cores, and every word occurs dozens of times. A thousand held-out tales are enough to give
# the floor a standard error below half a percent.
SPLITS = {"train": 6_000, "validation": 1_000, "test": 1_000}


def split_of(text: str) -> str:
    """The split that a tale belongs to. Its own SHA-256 decides, so no tale is ever in two."""
    eighth = hashlib.sha256(text.encode("utf-8")).digest()[0] % 8
    return {0: "validation", 1: "test"}.get(eighth, "train")


def corpus(language: str = "en", split: str = "train", stories: int | None = None) -> list[Story]:
    """The first tales of a split: those with the seeds 0, 1, 2, … that belong to it.

    Args:
        language: "en" or "zh".
        split: "train", "validation" or "test".
        stories: the number of tales; None for the size in `SPLITS`.

    Raises:
        ValueError: for an unknown language or split, or a negative number.
    """
    if split not in SPLITS:
        raise ValueError(f"the splits are {', '.join(SPLITS)}, not {split!r}")
    told = (tell(language, seed) for seed in count())
    mine = (story for story in told if split_of(story.text) == split)
    return list(islice(mine, SPLITS[split] if stories is None else stories))


def as_text(stories: Sequence[Story]) -> str:
    """The tales as a text file holds them: one on each line."""
    return "".join(story.text + "\n" for story in stories)


def file_name(language: str, split: str) -> str:
    """The name of a split's text file."""
    return f"tales-{language}-{split}.txt"


def write(folder: Path, language: str = "en", stories: int | None = None) -> list[Path]:
    """Write the three splits as `tales-en-train.txt` and so on, and return the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for split in SPLITS:
        paths.append(folder / file_name(language, split))
        paths[-1].write_text(
            as_text(corpus(language, split, stories)), encoding="utf-8", newline="\n"
        )
    return paths


def describe(language: str = "en") -> str:
    """The corpus in numbers, as the Markdown tables of the data card."""
    told = {split: corpus(language, split) for split in SPLITS}
    rows = ["| file | tales | characters | bytes | SHA-256 |", "|---|---|---|---|---|"]
    for split, stories in told.items():
        data = as_text(stories).encode("utf-8")
        characters = sum(len(story.text) for story in stories)
        digest = hashlib.sha256(data).hexdigest()
        name = file_name(language, split)
        rows.append(
            f"| `{name}` | {len(stories):,} | {characters:,} | {len(data):,} | `{digest}` |"
        )
    per_character, error = floor(told["test"])
    per_tale, tale_error = floor(told["test"], [1] * len(told["test"]))
    counts = Counter(word for story in told["train"] for word in words(story.text))
    limit = grammar(language).log_prob_limit()
    facts = {
        "floor on the test tales, nats per character": f"{per_character:.5f} ± {error:.5f}",
        "the same, nats per tale": f"{per_tale:.2f} ± {tale_error:.2f}",
        "distinct tales, at least": f"10^{math.floor(-limit / math.log(10))}",
        "different words in the training tales (Chinese: characters)": f"{len(counts):,}",
        "occurrences of the rarest of them": f"{min(counts.values()):,}",
    }
    return "\n".join(
        [*rows, "", "| | |", "|---|---|", *(f"| {k} | {v} |" for k, v in facts.items())]
    )


def words(text: str) -> list[str]:
    """The words of a tale in lower case; of Chinese, which has no spaces, the characters."""
    return re.findall(r"[a-z']*[a-z]|[\u4e00-\u9fff]", text.lower())


def floor(stories: Sequence[Story], tokens: Sequence[int] | None = None) -> tuple[float, float]:
    """The loss in nats per token that no model can beat, and its standard error.

    The tales' own probabilities give it: the sum of −log p over the sum of the lengths. Both vary
    from tale to tale, so the error is that of a ratio estimator (Cochran, *Sampling Techniques*,
    chapter 6).

    Args:
        stories: held-out tales, at least two.
        tokens: the length of each tale in tokens. Count the separator between tales if the model
            has to predict it: it adds a token but no surprise, since the end of a tale is certain.
            None counts characters, for the floor per character.

    Raises:
        ValueError: if there are fewer than two tales, or not one length for each.
    """
    lengths = [len(story.text) for story in stories] if tokens is None else list(tokens)
    if len(stories) < 2 or len(lengths) != len(stories):
        raise ValueError(
            f"{len(stories)} tales (at least 2) need as many lengths, not {len(lengths)}"
        )
    nats = [-story.log_prob for story in stories]
    ratio = math.fsum(nats) / sum(lengths)
    squares = math.fsum((n - ratio * length) ** 2 for n, length in zip(nats, lengths, strict=True))
    variance = squares / (len(stories) - 1) / len(stories)
    return ratio, math.sqrt(variance) / (sum(lengths) / len(lengths))
