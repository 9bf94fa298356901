"""How surprising each word of a tale is to a reader who knows the rules by heart."""

from collections.abc import Callable, Iterator
from math import log
from os.path import commonprefix

from utils.tales.derivations import Follow, Remember, Telling, _take, _tell_on
from utils.tales.grammar import Choice, Piece, Text
from utils.tales.story import grammar

END = ""  # stands behind the last word of a tale; no word is empty


def surprisals(text: str, language: str, split: Callable[[str], list[str]]) -> list[float]:
    """−log of the exact probability of each word, given the words before it, in nats.

    All derivations together have the probability 1. Each agrees with the text for some words and
    then leaves it, so the first k words are as probable as all derivations that leave it later. No
    model that reads from left to right is less surprised on average.

    Args:
        text: a tale.
        language: "en" or "zh".
        split: a function that cuts a text into words, such as `utils.data.bpe.split_words`. What
            comes later in the text must not change how it begins, except for its last word.

    Returns:
        One number for each word, and one for the end. Their sum is −log p of the tale.

    Raises:
        ValueError: if the text is no tale.
    """
    words = [*split(text), END]
    probability = [0.0] * (len(words) + 1)  # of leaving the text after so many words
    for told, is_whole, share in _leave(text, language):
        agreeing = commonprefix([words, split(told) + [END] * is_whole])
        probability[len(agreeing)] += share
    if probability[-1] == 0:
        raise ValueError("this is no tale")
    for k in reversed(range(len(words))):
        probability[k] += probability[k + 1]  # of agreeing with so many words, or more
    return [log(p / q) for p, q in zip(probability, probability[1:], strict=False)]


class _Compare(Follow):
    """Follows a text, and keeps how the last telling that left it went on."""

    last = ""

    def agrees(self, told: str, text: str, piece: Piece | Text) -> bool:
        self.last = told + text
        return super().agrees(told, text, piece)


def _leave(text: str, language: str) -> Iterator[tuple[str, bool, float]]:
    """Every telling until it leaves the text: its words, is it a whole tale, its probability."""
    rules, guide = grammar(language), _Compare(text)
    agenda = [(Telling("", (Choice("", rules.start, None), None), {}, None), 1.0)]
    while agenda:
        before, share = agenda.pop()
        telling = _tell_on(before, guide)
        if telling is None:
            yield guide.last, False, share
            continue
        if telling.to_tell is None:
            yield telling.told, True, share
            continue
        choice, rest = telling.to_tell
        title = choice.rule if choice.key is None else f"{choice.rule} {telling.memory[choice.key]}"
        rule = rules.rules[title]
        if choice.name in rules.remembered:
            rest = (Remember(choice.name, len(telling.told)), rest)
        for index in guide.options(rule):
            option = float(rule.probability(index))
            agenda.append((_take(telling, rest, rule, index), share * option))
