"""How people really type: without capital letters, without punctuation, with a typo."""

from random import Random

# Characters that sound alike, as an input method offers them.
SLIPS = dict(zip("在哪的帮住谁什做", "再那得邦主水甚作", strict=True))


def without_capitals(text: str) -> str:
    """All letters small."""
    return text.lower()


def without_punctuation(text: str) -> str:
    """No punctuation but apostrophes, which belong to words, and no spaces left over."""
    return " ".join("".join(c if c.isalnum() or c in "' " else " " for c in text).split())


def with_typo(text: str, rng: Random) -> str:
    """One slip of the fingers: two letters swapped, one left out, one doubled.

    In English it happens inside a word of four letters or more, in Chinese to any character, which
    may also become another one of the same sound. A text that is too short stays as it is.
    """
    at = [i for i in range(len(text) - 1) if _can_slip(text, i)]
    if not at:
        return text
    i = rng.choice(at)
    here, after = text[i], text[i + 1]
    if here in SLIPS and rng.random() < 0.5:
        return text[:i] + SLIPS[here] + text[i + 1 :]
    slip = rng.choice([after + here, after, here + here + after])
    return text[:i] + slip + text[i + 2 :]


def _can_slip(text: str, i: int) -> bool:
    if not text[i].isascii():
        return text[i].isalpha() and text[i + 1].isalpha()
    return i > 0 and text[i - 1 : i + 3].isalpha()


def as_typed(text: str, rng: Random) -> str:
    """A message as somebody may have typed it: one in three as it is, the others with noise."""
    luck = rng.random()
    if luck < 0.32:
        return text
    if luck < 0.44:
        return without_punctuation(without_capitals(text))
    if luck < 0.48:
        return without_punctuation(text)
    if luck < 0.52:
        return without_capitals(text)
    if luck < 0.85:
        return with_typo(text, rng)
    return with_typo(without_punctuation(without_capitals(text)), rng)
