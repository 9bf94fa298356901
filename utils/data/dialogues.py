"""Dialogues to learn conversation from: questions about the tales, and small talk.

about_tales("en", "train", 1000)    # generated; the system's message is the tale
small_talk("en", "train")           # written by hand, in datasets/dialogues/
read_jsonl(path)                    # your own: {"messages": [{"role": …, "content": …}, …]}

python -m utils.data.dialogues --language zh                   # read one aloud
python -m utils.data.dialogues --language zh --write FOLDER    # have them all as files
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from utils.command_line import OneSentenceParser, any_path, one_of, run, whole_number
from utils.data.bpe import Tokenizer
from utils.errors import CourseError
from utils.files import atomic_write, read_text
from utils.paths import DATASETS
from utils.tales import LANGUAGES, SPLITS, Question, Story, corpus
from utils.tales.grammar import capitalised

ROLES = ("system", "user", "assistant")
MESSAGE_KEYS = ("role", "content", "weight")
# Tokens of a dialogue about a tale; the context of the small GPT-2 holds as many.
LONGEST_DIALOGUE = 256
# Follow-ups are the harder questions, so most of those that a tale offers are asked.
FOLLOW_UP_PROBABILITY = 0.7
# Who is it about? So many dialogues begin with that, as people do. Later most have given it away.
HERO_FIRST_PROBABILITY = 0.4
# One line in so many of the small talk is held out.
HELD_OUT = 10


class DialogueError(CourseError):
    """A file or a request that gives no dialogues; one sentence says why."""


@dataclass(frozen=True)
class Message:
    """What one side says.

    Attributes:
        role: "system", "user" or "assistant".
        content: the text.
        learn: whether a reply is to be learnt; a model reads the others only as what came before.
    """

    role: str
    content: str
    learn: bool = True


@dataclass(frozen=True)
class Dialogue:
    """Messages in turn: perhaps one of the system, then user and assistant, the assistant last.

    `kinds` has one word for each reply: "who", "where", "what", "why" or "order" for a question
    about a tale, the topic for small talk, "" where nobody said.
    """

    messages: tuple[Message, ...]
    kinds: tuple[str, ...]

    def replies(self) -> Iterator[tuple[tuple[Message, ...], str, str]]:
        """Each reply to be learnt, with what came before it: (messages, right reply, kind)."""
        numbers = (n for n, message in enumerate(self.messages) if message.role == "assistant")
        for number, kind in zip(numbers, self.kinds, strict=True):
            if self.messages[number].learn:
                yield self.messages[:number], self.messages[number].content, kind


def num_tokens(messages: Iterable[Message], tokenizer: Tokenizer) -> int:
    """The length of a dialogue: its text, a token for each role, and one to end each reply."""
    marks = {"system": 1, "user": 1, "assistant": 2}
    return sum(len(tokenizer.encode(m.content)) + marks[m.role] for m in messages)


# ---- about the tales -----------------------------------------------------------------------------


def about_tales(
    language: str = "en",
    split: str = "train",
    number: int | None = None,
    tokenizer: Tokenizer | None = None,
) -> list[Dialogue]:
    """One dialogue about each of the first tales of a split, always the same.

    The tale is the system's message. As many questions follow as fit into `LONGEST_DIALOGUE`
    tokens. A tale that leaves no room for any is left out, so there may be fewer dialogues than
    tales.

    Args:
        language: "en" or "zh".
        split: "train", "validation" or "test"; a dialogue is in the split of its tale.
        number: how many tales; None for all.
        tokenizer: what counts the tokens; None for the one of the course.

    Raises:
        DialogueError: for an unknown language or split, or a number below 1.
    """
    _check(language, split, tuple(SPLITS))
    if number is not None and number < 1:
        raise DialogueError(f"The number of tales must be at least 1, not {number}.")
    tokenizer = tokenizer or Tokenizer.load(DATASETS / f"tokenizer-{language}")
    told = (_about(story, tokenizer) for story in corpus(language, split, number))
    return [dialogue for dialogue in told if dialogue.kinds]


def _about(story: Story, tokenizer: Tokenizer) -> Dialogue:
    """The dialogue about a tale; without any question if none fits."""
    rng = Random(story.text)  # the tale alone decides what is asked, not the tales before it
    messages = [Message("system", story.text)]
    kinds: list[str] = []
    room = LONGEST_DIALOGUE - num_tokens(messages, tokenizer)
    for question in _in_some_order(story.questions, rng):
        for asked in _chain(question, rng):
            turn = _turn(asked, story.language, rng)
            needed = num_tokens(turn, tokenizer)
            if needed > room or given_away(asked.answer, messages):
                break  # its follow-ups would make no sense without it
            messages += turn
            kinds.append(asked.kind)
            room -= needed
    return Dialogue(tuple(messages), tuple(kinds))


def _in_some_order(questions: Sequence[Question], rng: Random) -> list[Question]:
    """The questions shuffled; that for the hero, which is the first one of a tale, often first."""
    hero, *others = questions
    if rng.random() < HERO_FIRST_PROBABILITY:
        return [hero, *rng.sample(others, len(others))]
    return rng.sample(questions, len(questions))


def _chain(question: Question, rng: Random) -> list[Question]:
    """A question and those of its follow-ups that are asked right after it."""
    wanted = [f for f in question.follow_ups if rng.random() < FOLLOW_UP_PROBABILITY]
    return [question, *wanted]


def _turn(question: Question, language: str, rng: Random) -> list[Message]:
    asked = Message("user", rng.choice(question.phrasings))
    return [asked, Message("assistant", as_sentence(question.answer, language))]


def as_sentence(answer: str, language: str) -> str:
    """An answer as a reply: with a capital letter and a full stop."""
    return capitalised(answer) + {"en": ".", "zh": "。"}[language]


def given_away(answer: str, messages: Sequence[Message]) -> bool:
    """Whether the dialogue has named it already, so that nobody would ask any more.

    "Pip the mouse" names "Pip" and "a mouse", and so does the question what the mouse is called.
    """
    core = re.sub(r"^((to|in|at|on|a|the) )*|^(在|一[只位块])|[.。]$", "", answer.lower())
    return any(core in message.content.lower() for message in messages[1:])


# ---- small talk ----------------------------------------------------------------------------------


def small_talk(language: str = "en", split: str = "train") -> list[Dialogue]:
    """The small talk written for the course: "train", or the held-out "validation".

    What is held out asks in other words for what "train" talks about.

    Raises:
        DialogueError: for another language or split, and if the file is missing or damaged.
    """
    _check(language, split, ("train", "validation"))
    dialogues = read_jsonl(small_talk_file(language))
    held_out = split == "validation"
    return [d for n, d in enumerate(dialogues, 1) if (n % HELD_OUT == 0) == held_out]


def small_talk_file(language: str) -> Path:
    """The file with the small talk of a language."""
    return DATASETS / "dialogues" / f"small-talk-{language}.jsonl"


def _check(language: str, split: str, splits: Sequence[str]) -> None:
    if language not in LANGUAGES:
        raise DialogueError(f"The languages are {' and '.join(LANGUAGES)}, not {language!r}.")
    if split not in splits:
        raise DialogueError(f"The splits are {', '.join(splits)}, not {split!r}.")


# ---- files ---------------------------------------------------------------------------------------


def as_jsonl(dialogues: Iterable[Dialogue]) -> str:
    """The text of a file: one JSON object a line, with the kinds and the messages."""
    return "".join(f"{json.dumps(_as_record(d), ensure_ascii=False)}\n" for d in dialogues)


def _as_record(dialogue: Dialogue) -> dict[str, Any]:
    messages = [
        {"role": m.role, "content": m.content} | ({} if m.learn else {"weight": 0})
        for m in dialogue.messages
    ]
    return {"kinds": list(dialogue.kinds), "messages": messages}


def write_jsonl(path: Path | str, dialogues: Iterable[Dialogue]) -> None:
    """Write dialogues as JSON Lines in UTF-8, all of them or nothing.

    Raises:
        DialogueError: if the file cannot be written; what was there before is still there.
    """
    with atomic_write(Path(path), _cannot_write) as part:
        part.write_text(as_jsonl(dialogues), encoding="utf-8", newline="\n")


def _cannot_write(path: Path, error: OSError) -> DialogueError:
    return DialogueError(f"{path} cannot be written ({error.strerror}).")


def read_jsonl(path: Path | str) -> list[Dialogue]:
    """Read dialogues from JSON Lines; `kinds` may be missing, empty lines are skipped.

    As in OpenAI's fine-tuning files, a reply with `"weight": 0` is read and not learnt.

    Raises:
        DialogueError: if the file cannot be read or holds no dialogue, and for a line that is no
            dialogue: with its number and what is wrong.
    """
    # not splitlines(): JSON may hold U+2028 and the like within a line
    lines = read_text(path, DialogueError).split("\n")
    dialogues = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                dialogues.append(_dialogue(line))
            except DialogueError as error:
                raise DialogueError(f"{path}, line {number}: {error}") from None
    if not dialogues:
        raise DialogueError(f"{path} holds no dialogue.")
    return dialogues


def _dialogue(line: str) -> Dialogue:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DialogueError("this is not JSON, which puts one object on one line.") from error
    if not isinstance(record, dict) or not isinstance(record.get("messages"), list):
        raise DialogueError('a dialogue is {"messages": [a list of messages]}.')
    if tools := [name for name in ("tools", "functions") if record.get(name)]:
        raise DialogueError(f"this model cannot learn to call {tools[0]}: leave the key out.")
    messages = tuple(_message(found) for found in record["messages"])
    _check_turns([message.role for message in messages])
    if not any(message.role == "assistant" and message.learn for message in messages):
        raise DialogueError('every reply has "weight": 0, so there is nothing to learn.')
    replies = sum(message.role == "assistant" for message in messages)
    kinds = record.get("kinds", [""] * replies)
    if not isinstance(kinds, list) or [type(kind) for kind in kinds] != [str] * replies:
        raise DialogueError(f'"kinds" must be one word for each of the {replies} replies.')
    return Dialogue(messages, tuple(kinds))


def _message(found: object) -> Message:
    if not isinstance(found, dict) or not {"role", "content"} <= set(found):
        raise DialogueError('a message is {"role": …, "content": …}.')
    role, content, weight = found["role"], found["content"], found.get("weight", 1)
    if role == "developer":  # what some call the system
        role = "system"
    if role not in ROLES:
        raise DialogueError(f"the roles are {', '.join(ROLES)}, not {role!r}.")
    if not isinstance(content, str) or not content.strip():
        raise DialogueError(f"a message of the {role} has no text.")
    if unread := [key for key, value in found.items() if value and key not in MESSAGE_KEYS]:
        raise DialogueError(
            f"a message has {unread[0]!r}, which cannot be learnt: only {', '.join(MESSAGE_KEYS)}"
            " are read."
        )
    if weight not in (0, 1):
        raise DialogueError(f'"weight" is 1, or 0 for a reply not to be learnt, not {weight!r}.')
    return Message(role, content, weight == 1)


def _check_turns(roles: list[str]) -> None:
    if "assistant" not in roles:
        raise DialogueError("the assistant says nothing, so there is nothing to learn.")
    talk = roles[1:] if roles[0] == "system" else roles
    if talk != ["user", "assistant"] * (len(talk) // 2):
        raise DialogueError(
            "user and assistant must take turns, the user first and the assistant last,"
            " with at most one message of the system before them."
        )


# ---- the command ---------------------------------------------------------------------------------


def files(language: str, number: int | None = None) -> dict[str, list[Dialogue]]:
    """All dialogues of a language, by the name of the file that holds them."""
    tales = {
        f"tale-talk-{language}-{split}.jsonl": about_tales(language, split, number)
        for split in SPLITS
    }
    talk = {
        f"small-talk-{language}-{split}.jsonl": small_talk(language, split)
        for split in ("train", "validation")
    }
    return tales | talk


def describe(language: str) -> str:
    """The files in numbers, as the Markdown table of the data card."""
    tokenizer = Tokenizer.load(DATASETS / f"tokenizer-{language}")
    rows = ["| file | dialogues | replies | tokens a reply | SHA-256 |", "|---|---|---|---|---|"]
    shipped = {f"dialogues/{small_talk_file(language).name}": read_jsonl(small_talk_file(language))}
    for name, dialogues in (shipped | files(language)).items():
        replies = [reply for dialogue in dialogues for _, reply, _ in dialogue.replies()]
        tokens = sum(len(tokenizer.encode(reply)) for reply in replies) / len(replies)
        digest = hashlib.sha256(as_jsonl(dialogues).encode("utf-8")).hexdigest()
        size = f"{len(dialogues):,} | {len(replies):,} | {tokens:.1f}"
        rows.append(f"| `{name}` | {size} | `{digest}` |")
    return "\n".join(rows)


def main(words: list[str] | None = None) -> None:
    """Run the command; a wrong option ends it with exit code 2 and one sentence.

    Raises:
        CourseError: if a file cannot be read or written.
    """
    parser = OneSentenceParser(
        prog="python -m utils.data.dialogues",
        description="Print dialogues about the tales, or write all dialogues to files.",
    )
    parser.add_argument("--language", type=one_of(*LANGUAGES), default="en", help="default: en")
    tales = "tales of each split (default: 1; with --write, all)"
    parser.add_argument("--tales", type=whole_number(1), help=tales)
    parser.add_argument("--write", type=any_path(), metavar="FOLDER", help="write JSON Lines there")
    parser.add_argument("--describe", action="store_true", help="print the files in numbers")
    args = parser.parse_args(words)
    if args.write:
        _write(args.write, files(args.language, args.tales))
    elif args.describe:
        print(describe(args.language))
    else:
        _print(about_tales(args.language, "train", args.tales or 1))


def _write(folder: Path, found: dict[str, list[Dialogue]]) -> None:
    for name, dialogues in found.items():
        write_jsonl(folder / name, dialogues)
        kinds = Counter(kind for dialogue in dialogues for kind in dialogue.kinds)
        counts = ", ".join(f"{kind} {count:,}" for kind, count in sorted(kinds.items()))
        print(f"{folder / name}  {len(dialogues):,} dialogues; replies: {counts}")


def _print(dialogues: Iterable[Dialogue]) -> None:
    for dialogue in dialogues:
        for message in dialogue.messages:
            print(f"{message.role}: {message.content}")
        print()


if __name__ == "__main__":
    run(main)
