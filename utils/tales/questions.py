"""Questions about a tale, with the answers that its memory knows.

The questions of a language are written as text. A title says when they can be asked: `always`, or a
note that the story must remember, such as `plot=treasure`. Then comes one question per line:

    kind topic: a phrasing / another phrasing => the answer

in the brackets of `utils.tales.notation`: {hero} is what the story remembers. A line that begins
with `>` is a follow-up of the question above it: its pronouns are clear only after that question
and answer. A question about something that a story does not mention is not asked.

The phrasings are the plain ones. In how many other words people ask about the same topic is said by
the grammar of `utils.tales.wordings`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from utils.tales.grammar import GrammarError, capitalised
from utils.tales.notation import sections


@dataclass(frozen=True)
class Question:
    """A question with its one right answer.

    `kind` is "who", "where", "what", "why" or "order", `topic` what exactly is asked for.
    `phrasings` are the plain ways to ask it, `follow_ups` are questions that make sense after it.
    """

    kind: str
    topic: str
    phrasings: tuple[str, ...]
    answer: str
    follow_ups: tuple[Question, ...] = ()

    @property
    def question(self) -> str:
        """The first phrasing."""
        return self.phrasings[0]


@dataclass(frozen=True)
class QuestionList:
    """The questions of a language with their slots still open, under their conditions."""

    sections: tuple[tuple[str, tuple[Question, ...]], ...]

    @property
    def names(self) -> frozenset[str]:
        """Everything that a story must remember so that the questions can be asked."""
        texts = " ".join(
            _all_text(question) for _, questions in self.sections for question in questions
        )
        conditions = [condition.partition("=")[0] for condition, _ in self.sections]
        return slots(texts) | frozenset(conditions)

    def about(self, memory: Mapping[str, str]) -> tuple[Question, ...]:
        """The questions that a story with this memory answers."""
        asked = []
        for condition, questions in self.sections:
            name, _, value = condition.partition("=")
            if condition == "always" or memory.get(name) == value:
                asked += [_fill(question, memory) for question in questions]
        return tuple(question for question in asked if question)


def read_questions(source: str) -> QuestionList:
    """Compile the notation above. Raises GrammarError for a line that is written wrongly."""
    found = []
    for condition, lines in sections(source):
        questions: list[Question] = []
        for line in lines:
            question = _question(line.removeprefix(">").strip())
            if line.startswith(">"):
                first = questions.pop()
                question = replace(first, follow_ups=(*first.follow_ups, question))
            questions.append(question)
        found.append((condition, tuple(questions)))
    return QuestionList(tuple(found))


def _question(line: str) -> Question:
    match = re.fullmatch(r"(\w+) (\w+): (.*) => (.*)", line)
    if not match:
        raise GrammarError(f"cannot read the question {line!r}")
    kind, topic, phrasings, answer = match.groups()
    return Question(kind, topic, tuple(phrasings.split(" / ")), answer)


def _fill(question: Question, memory: Mapping[str, str]) -> Question | None:
    if not slots(_own_text(question)) <= set(memory):
        return None
    follow_ups = (_fill(follow_up, memory) for follow_up in question.follow_ups)
    return Question(
        question.kind,
        question.topic,
        tuple(fill(phrasing, memory) for phrasing in question.phrasings),
        fill(question.answer, memory),
        tuple(follow_up for follow_up in follow_ups if follow_up),
    )


def _own_text(question: Question) -> str:
    return " ".join((*question.phrasings, question.answer))


def _all_text(question: Question) -> str:
    return " ".join(
        [_own_text(question), *(_all_text(follow_up) for follow_up in question.follow_ups)]
    )


def _lower(name: str) -> str:
    return name[0].lower() + name[1:]


def slots(pattern: str) -> frozenset[str]:
    """What a story must remember so that the brackets of a pattern can be filled."""
    return frozenset(_lower(name) for name in re.findall(r"\{(\w+)\}", pattern))


def fill(pattern: str, memory: Mapping[str, str]) -> str:
    """A pattern with its brackets filled: {hero} becomes the hero's name."""

    def remembered(match: re.Match) -> str:
        name = match[1]
        text = memory[_lower(name)]
        return capitalised(text) if name[0].isupper() else text

    return re.sub(r"\{(\w+)\}", remembered, pattern)
