"""The dialogues are right, fit the model, are the same everywhere, and keep the splits apart."""

import json
import re
import subprocess
import sys
from collections import Counter
from functools import cache
from itertools import pairwise

import pytest

from utils.data.bpe import Tokenizer
from utils.data.chat_template import Template
from utils.data.dialogues import (
    LONGEST_DIALOGUE,
    Dialogue,
    DialogueError,
    Message,
    about_tales,
    as_jsonl,
    describe,
    num_tokens,
    read_jsonl,
    small_talk,
    small_talk_file,
    write_jsonl,
)
from utils.models.sizes import SIZES
from utils.paths import DATASETS
from utils.tales import LANGUAGES, SPLITS, corpus, parse, split_of
from utils.tales.corpus import words

CARD = DATASETS / "dialogues.md"
PRONOUNS = {"en": r"\b(she|he|her|him|his|there|they)\b", "zh": "[她他它]|那儿|那里"}
# Words of replies that no tale has to contain: they only make it a sentence.
FRAME = {
    "en": set(words("a the in at on to because it could not there no before after look for")),
    "zh": set("在去因为它先自己试之前一只位块找"),
}


@cache
def tokenizer(language):
    return Tokenizer.load(DATASETS / f"tokenizer-{language}")


@cache
def tale_talk(language, split="train"):
    return about_tales(language, split, 300)


def user_lines(dialogues):
    return [m.content for d in dialogues for m in d.messages if m.role == "user"]


# --- about the tales ------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_dialogue_is_a_tale_and_then_turns(language):
    for dialogue in tale_talk(language):
        roles = [message.role for message in dialogue.messages]
        assert roles == ["system", *["user", "assistant"] * len(dialogue.kinds)]
        assert parse(dialogue.messages[0].content, language)
    kinds = {kind for dialogue in tale_talk(language) for kind in dialogue.kinds}
    assert kinds == {"who", "where", "what", "why", "order"}


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_words_of_the_replies_follow_from_the_tale(language):
    for dialogue in tale_talk(language):
        known = set(words(dialogue.messages[0].content)) | FRAME[language]
        for _, reply, _ in dialogue.replies():
            assert set(words(reply)) <= known, reply


def test_the_questions_have_the_answers_of_the_tale():
    """Told from the text itself, not from what the grammar remembers."""
    checked = set()
    for dialogue in tale_talk("en"):
        tale = dialogue.messages[0].content
        for before, reply, _ in dialogue.replies():
            question, answer = before[-1].content, reply[:-1]
            if match := re.match(r"Who was (\w+)\?", question):
                animal = answer.removeprefix("A ")
                assert re.search(rf"{match[1]},? (the|a) ([a-z]+ )?{animal}", tale) or re.search(
                    rf"{animal} named {match[1]}|{match[1]}\W+said a {animal}", tale
                )
            elif match := re.match(r"Who did \w+ meet first, the (\w+) or the (\w+)\?", question):
                assert answer == f"The {min(match.groups(), key=tale.index)}"
            elif question.startswith("What did the"):
                prize = question.removeprefix("What did the ").removesuffix(" look like?")
                assert f"{answer.lower()} {prize}" in tale
            else:
                continue
            checked.add(question.split()[1])
    assert checked == {"was", "did"}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_follow_up_comes_only_after_its_question(language):
    asked_at_all = 0
    for dialogue in tale_talk(language):
        story = parse(dialogue.messages[0].content, language)
        opened = {phrasing: q for q in story.questions for phrasing in q.phrasings}
        possible: set[str] = set()
        for line in user_lines([dialogue]):
            if line in opened:
                possible = {p for f in opened[line].follow_ups for p in f.phrasings}
                assert not re.search(PRONOUNS[language], line), line
            else:
                assert line in possible, line
                asked_at_all += 1
    assert asked_at_all > 100


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_is_asked_that_the_dialogue_has_said(language):
    for dialogue in tale_talk(language):
        replies = [reply for _, reply, _ in dialogue.replies()]
        assert len(set(replies)) == len(replies)
        for before, reply, _ in dialogue.replies():
            said = " ".join(message.content for message in before[1:-1])
            name = re.sub(r"^(An?|The) |^一.|^在|[.。]$", "", reply)
            assert name not in said


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_dialogue_fills_the_context_and_no_more(language):
    encode = tokenizer(language).encode
    lengths = []
    for dialogue in tale_talk(language):
        roles = len(dialogue.messages) + len(dialogue.kinds)  # and an end after each reply
        lengths.append(sum(len(encode(m.content)) for m in dialogue.messages) + roles)
        assert lengths[-1] == num_tokens(dialogue.messages, tokenizer(language))
    assert max(lengths) <= LONGEST_DIALOGUE <= SIZES["small"].context
    assert sum(lengths) / len(lengths) > 0.9 * LONGEST_DIALOGUE


def test_a_tale_that_is_too_long_is_left_out():
    bytes_only = Tokenizer([])
    assert about_tales("en", "train", 5, bytes_only) == []
    fitting = about_tales("zh", "train", 300, bytes_only)
    assert all(num_tokens(d.messages, bytes_only) <= LONGEST_DIALOGUE for d in fitting)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_dialogue_is_in_the_split_of_its_tale(language):
    tales = {split: {d.messages[0].content for d in tale_talk(language, split)} for split in SPLITS}
    assert all(split_of(tale) == split for split in SPLITS for tale in tales[split])
    assert all(not tales[a] & tales[b] for a, b in pairwise([*SPLITS, "train"]))
    first = [story.text for story in corpus(language, "test", 10)]
    assert [d.messages[0].content for d in tale_talk(language, "test")][:10] == first


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_dialogue_depends_on_its_tale_alone(language):
    assert about_tales(language, "train", 20) == tale_talk(language)[:20]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_files_are_those_of_the_data_card(language):
    """The SHA-256 of every file and the counts."""
    assert describe(language) in CARD.read_text(encoding="utf-8")


# --- small talk -----------------------------------------------------------------------------------


def plain(line):
    """A line as a lazy reader sees it: no capitals, no punctuation."""
    return re.sub(r"\W", "", line.lower())


@pytest.mark.parametrize("language", LANGUAGES)
def test_there_is_enough_small_talk_and_it_is_short(language):
    dialogues = read_jsonl(small_talk_file(language))
    topics = Counter(d.kinds[0] for d in dialogues)
    assert len(topics) == 75 and set(topics.values()) == {30}, "as the data card says"
    assert all(1 <= len(d.kinds) <= 3 and d.messages[0].role == "user" for d in dialogues)
    replies = [reply for d in dialogues for _, reply, _ in d.replies()]
    lengths = [len(tokenizer(language).encode(reply)) for reply in replies]
    assert max(lengths) <= 30 and sum(lengths) / len(lengths) < 20


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_held_out_is_new_but_its_topic_is_not(language):
    train, held_out = small_talk(language, "train"), small_talk(language, "validation")
    assert len(train) + len(held_out) == len(read_jsonl(small_talk_file(language)))
    assert len(held_out) == len(train) // 9
    seen = set(map(plain, user_lines(train)))
    assert not [line for line in user_lines(held_out) if plain(line) in seen]
    topics = {kind for d in train for kind in d.kinds}
    assert {kind for d in held_out for kind in d.kinds} == topics


def test_each_language_is_written_in_its_own_letters():
    texts = {name: small_talk_file(name).read_text(encoding="utf-8") for name in LANGUAGES}
    assert texts["en"].isascii()
    for dialogue in small_talk("zh", "train") + small_talk("zh", "validation"):
        text = "".join(message.content for message in dialogue.messages)
        assert not re.search(r"[A-Za-z,.?!:]", text)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_stored_file_is_what_the_program_would_write(language):
    path = small_talk_file(language)
    assert as_jsonl(read_jsonl(path)).encode() == path.read_bytes()


@pytest.mark.parametrize(
    "ask",
    [
        lambda: small_talk("fr", "train"),
        lambda: small_talk("en", "test"),
        lambda: about_tales("fr"),
        lambda: about_tales("en", "all"),
        lambda: about_tales("en", "train", 0),
    ],
)
def test_a_request_that_makes_no_sense_is_one_sentence(ask):
    with pytest.raises(DialogueError, match=r"^[^\n]+, not .*\.$"):
        ask()


# --- files ----------------------------------------------------------------------------------------

DIALOGUE = Dialogue(
    (
        Message("system", "一个\u2028故事"),
        Message("user", 'Who "said"\nthat?'),
        Message("assistant", "Pip."),
        Message("user", "Why?"),
        Message("assistant", "Because."),
    ),
    ("who", "why"),
)


def test_what_is_written_is_read_again(tmp_path):
    path = tmp_path / "new" / "talk.jsonl"
    write_jsonl(path, [DIALOGUE, *tale_talk("zh")])
    assert read_jsonl(path) == [DIALOGUE, *tale_talk("zh")]
    assert path.read_bytes().count(b"\n") == 1 + len(tale_talk("zh"))


def test_a_reply_comes_with_what_was_said_before_it():
    messages = DIALOGUE.messages
    assert list(DIALOGUE.replies()) == [
        (messages[:2], "Pip.", "who"),
        (messages[:4], "Because.", "why"),
    ]


def test_a_file_of_ones_own_needs_no_kinds(tmp_path):
    line = json.dumps(
        {"messages": [{"role": m.role, "content": m.content} for m in DIALOGUE.messages]}
    )
    path = tmp_path / "mine.jsonl"
    path.write_text(f"\ufeff{line}\r\n\r\n{line}", encoding="utf-8")
    assert read_jsonl(path) == [Dialogue(DIALOGUE.messages, ("", ""))] * 2


def line_of(*turns, **more):
    return json.dumps({"messages": [{"role": r, "content": c} for r, c in turns], **more})


def message_of(role, content, **more):
    return {"role": role, "content": content} | more


def record_of(*messages, **more):
    return json.dumps({"messages": messages, **more})


def test_a_reply_of_weight_0_is_read_and_not_learnt(tmp_path):
    path = tmp_path / "mine.jsonl"
    bad = message_of("assistant", "No idea.", weight=0)
    ask, good = message_of("user", "Hello!"), message_of("assistant", "Hi!", weight=1)
    rules = message_of("developer", "Be kind.", name=None)
    path.write_text(record_of(rules, ask, bad, ask, good), encoding="utf-8")
    (dialogue,) = read_jsonl(path)
    assert [message.learn for message in dialogue.messages] == [True, True, False, True, True]
    assert dialogue.messages[0] == Message("system", "Be kind.")
    assert [reply for _, reply, _ in dialogue.replies()] == ["Hi!"]
    template = Template(Tokenizer.load(DATASETS / "tokenizer-en"))
    ids, weights = template.encode(dialogue.messages)
    learnt = [i for i, weight in zip(ids, weights, strict=True) if weight]
    assert template.tokenizer.decode(learnt[:-1]) == "Hi!" and learnt[-1] == template.end_id
    write_jsonl(path, [dialogue])
    assert read_jsonl(path) == [dialogue]


ASK, SAY = ("user", "Hello!"), ("assistant", "Hi!")
FAULTS = {
    "not JSON": '{"messages": ',
    '"messages"': "[1, 2]",
    'a dialogue is {"messages"': '{"text": "Hello!"}',
    'a message is {"role"': '{"messages": ["Hello!"]}',
    "the roles are system, user, assistant, not 'bot'": line_of(ASK, ("bot", "Hi!")),
    "a message of the assistant has no text": line_of(ASK, ("assistant", " ")),
    "a message of the user has no text": line_of(("user", None), SAY),
    "the assistant says nothing": line_of(ASK),
    "the assistant says nothing, ": '{"messages": []}',
    "must take turns": line_of(ASK, ASK, SAY),
    "take turns, the user first": line_of(SAY, ASK, SAY),
    "the assistant last": line_of(ASK, SAY, ASK),
    "at most one message of the system": line_of(("system", "a"), ("system", "b"), ASK, SAY),
    "for each of the 1 replies": line_of(ASK, SAY, kinds=["who", "why"]),
    '"kinds" must be one word': line_of(ASK, SAY, kinds=[1]),
    'every reply has "weight": 0': record_of(
        message_of(*ASK), message_of("assistant", "Hi!", weight=0)
    ),
    '"weight" is 1, or 0': record_of(message_of(*ASK), message_of("assistant", "Hi!", weight=0.5)),
    "a message has 'tool_calls'": record_of(
        message_of(*ASK), message_of("assistant", "Hi!", tool_calls=[{}])
    ),
    "cannot learn to call tools": line_of(ASK, SAY, tools=[{"type": "function"}]),
}


@pytest.mark.parametrize("sentence", FAULTS)
def test_a_fault_in_a_file_is_named_with_its_line(sentence, tmp_path):
    path = tmp_path / "talk.jsonl"
    path.write_text(f"{line_of(ASK, SAY)}\n{FAULTS[sentence]}\n", encoding="utf-8")
    with pytest.raises(DialogueError) as caught:
        read_jsonl(path)
    message = str(caught.value)
    assert message.startswith(f"{path}, line 2: ") and sentence in message
    assert "\n" not in message


def test_a_file_that_cannot_be_used_is_one_sentence(tmp_path):
    empty, binary = tmp_path / "empty", tmp_path / "binary"
    empty.write_text("\n", encoding="utf-8")
    binary.write_bytes(b"{}\r\n\xff\xfe\x00")
    for path, reason in [
        (empty, "holds no dialogue"),
        (binary, r"UTF-8 \(line 2, byte offset 4: 0xff\)"),
        (tmp_path / "none", "cannot be read"),
    ]:
        with pytest.raises(DialogueError, match=reason):
            read_jsonl(path)
    with pytest.raises(DialogueError, match="cannot be written"):
        write_jsonl(empty / "talk.jsonl", [DIALOGUE])


# --- the command ----------------------------------------------------------------------------------


def run(*options):
    command = [sys.executable, "-m", "utils.data.dialogues", *options]
    return subprocess.run(command, capture_output=True, encoding="utf-8", check=False)


def test_the_command_writes_every_split(tmp_path):
    result = run("--language", "zh", "--tales", "5", "--write", str(tmp_path))
    assert result.returncode == 0, result.stderr
    for split in SPLITS:
        assert read_jsonl(tmp_path / f"tale-talk-zh-{split}.jsonl") == tale_talk("zh", split)[:5]
    for split in ("train", "validation"):
        assert read_jsonl(tmp_path / f"small-talk-zh-{split}.jsonl") == small_talk("zh", split)
    assert result.stdout.count("\n") == 5 and "5 dialogues; replies: " in result.stdout


def test_the_command_prints_a_dialogue_to_read():
    result = run("--language", "zh")
    assert [line.partition(": ")[2] for line in result.stdout.splitlines() if line] == [
        message.content for message in tale_talk("zh")[0].messages
    ]


def test_a_reader_that_has_seen_enough_gets_no_traceback():
    command = [sys.executable, "-m", "utils.data.dialogues", "--tales", "300"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, encoding="utf-8") as process:
        assert process.stdout.readline().startswith("system: ")
        process.stdout.close()
        assert process.stderr.read() == ""


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    result = run("--tales", "1", "--write", str(tmp_path / "file"))
    assert result.returncode == 1
    assert "cannot be written" in result.stderr and result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "options", [["--language", "fr"], ["--tales", "0"], ["--tales", "x"], ["--wrong"]]
)
def test_wrong_options_get_one_sentence_and_code_two(options):
    result = run(*options)
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1 and "Traceback" not in result.stderr


def test_it_needs_no_tensorflow():
    code = "import sys, utils.data.dialogues; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
