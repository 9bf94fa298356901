"""How people really type: in lower case, without punctuation, with a typo, with words left out."""

from random import Random

# Characters that sound alike, as an input method offers them.
SLIPS = dict(zip("在哪的帮住谁什做", "再那得邦主水甚作", strict=True))
# English words that are left out in a hurry, and those that are put in and mean nothing.
LEFT_OUT = {
    "a",
    "an",
    "the",
    "did",
    "do",
    "does",
    "was",
    "were",
    "is",
    "this",
    "that",
    "it",
    "of",
    "to",
}
LEFT_OUT |= {
    "in",
    "at",
    "by",
    "with",
    "for",
    "on",
    "from",
    "you",
    "me",
    "his",
    "her",
    "their",
    "and",
}
FILLERS = ("please", "then", "again", "really", "actually", "exactly", "now", "just", "also", "um")
FEWEST_WORDS = 4  # a message needs so many for one to be left out


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


def with_loose_words(text: str, rng: Random) -> str:
    """One small word left out, or one put in that means nothing; Chinese stays as it is."""
    first, *words = text.split(" ")
    at = [i for i, word in enumerate(words) if word.lower() in LEFT_OUT]
    if rng.random() < 0.7 and at and len(words) >= FEWEST_WORDS - 1:
        del words[rng.choice(at)]
    elif words and text.isascii():
        words.insert(rng.randrange(len(words)), rng.choice(FILLERS))
    return " ".join([first, *words])


def as_typed(text: str, rng: Random) -> str:
    """A message as somebody may have typed it: one in five as it is, the others with noise."""
    if rng.random() < 0.25:
        text = with_loose_words(text, rng)
    luck = rng.random()
    if luck < 0.22:
        return text
    if luck < 0.33:
        return without_punctuation(without_capitals(text))
    if luck < 0.36:
        return without_punctuation(text)
    if luck < 0.39:
        return without_capitals(text)
    if luck < 0.80:
        return with_typo(text, rng)
    return with_typo(without_punctuation(without_capitals(text)), rng)
