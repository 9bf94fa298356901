"""Lesson 19: tables, splits, scores, heads and prompts, and the command for one's own table."""

import csv
import json
import subprocess
import sys
from pathlib import Path
from random import Random

import keras
import numpy as np
import pytest
from sklearn.metrics import f1_score
from sklearn.naive_bayes import MultinomialNB

from utils.data import bpe
from utils.data.keras_tokenizers import as_keras
from utils.errors import CourseError
from utils.models.gpt2 import build_gpt2
from utils.models.sizes import ModelSize
from utils.paths import REPOSITORY
from utils.tasks import own_table, scoring
from utils.tasks.__main__ import main, names_no_file
from utils.tasks.counting import (
    LogisticRegressionOfWords,
    NaiveBayes,
    chinese_pieces,
    english_words,
    looks_chinese,
)
from utils.tasks.heads import (
    HeadRecipe,
    TextClassifier,
    data_of,
    length_for,
    read_classifier,
    rows_of,
    shuffled,
    train_head,
)
from utils.tasks.labelled import (
    Example,
    TableError,
    read_table,
    split,
    without_duplicates,
)
from utils.tasks.own_table import (
    GPT2,
    matrix,
    mistakes,
    predict,
    recommendation,
    texts_of,
    verdict,
)
from utils.tasks.prompts import Prompt, PromptedModel, PromptRecipe, calibrated, train_prompt
from utils.tasks.sentence_templates import Templates, sentence
from utils.tasks.task_data import TASKS, load_task
from utils.training.presets import load_preset, save_preset

TINY = ModelSize(layers=1, heads=2, width=16, feed_forward=32, context=32)
WORDS = {"warm": ["sun", "summer", "beach", "hot"], "cold": ["snow", "winter", "ice", "frozen"]}


def weather(number, seed=0):
    """Texts of two kinds that a few words tell apart."""
    rng = Random(seed)
    for i in range(number):
        label = ["warm", "cold"][i % 2]
        words = rng.choices(WORDS[label], k=2) + rng.choices(
            ["the", "a", "day", "was", "very"], k=4
        )
        rng.shuffle(words)
        yield Example(f"{' '.join(words)} {rng.randrange(10**6)}", label)


@pytest.fixture(scope="module")
def parts():
    return split(list(weather(400)), seed=0)


@pytest.fixture(scope="module")
def tokenizer(parts):
    return bpe.Tokenizer(bpe.train("\n".join(one.text for one in parts.train), 60))


# ---- tables --------------------------------------------------------------------------------------


def write(path, content, encoding="utf-8"):
    path.write_bytes(content.encode(encoding))
    return path


ROWS = "".join(f"text {i},{'ab'[i % 2]}\n" for i in range(60))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_table_is_read_with_or_without_byte_order_mark(tmp_path, encoding, separator):
    content = f"Label,id,Text\n{''.join(f'b,7,你好 {i}' + chr(10) for i in range(30))}"
    content += "".join(f"a,7,text {i}\n" for i in range(30))
    path = write(tmp_path / "t.csv", content.replace(",", separator), encoding)
    rows = read_table(path)
    assert rows[0] == Example("你好 0", "b") and rows[-1] == Example("text 29", "a")


def test_quotes_hold_commas_and_line_breaks_and_lines_are_counted_through_them(tmp_path):
    head = 'text,label\n"a, b\nand ""c""",x\n\n'
    rows = "".join(f"text {i},x\n" for i in range(5))
    quoted = '"a, b\nand ""c""",a\n'
    found = read_table(write(tmp_path / "u.csv", f"text,label\n{ROWS}{quoted}"))
    assert found[-1] == Example('a, b\nand "c"', "a")
    with pytest.raises(TableError, match="line 10: the label is empty"):
        read_table(write(tmp_path / "v.csv", head + rows + "no label,\n" + ROWS))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("comment,label\nx,y\n", "line 1: the columns must be called text and label"),
        ("", "line 1: .* the line is empty"),
        ("text,label\na,b\n ,b\n", "line 3: the text is empty"),
        ("text,label\na,b\na,\n", "line 3: the label is empty"),
        ("text,label\na, b, c\n", "line 2: there are 3 columns, but the header has 2: .*commas"),
        ("text;label\na;b;c\n", "line 2: there are 3 columns.*semicolons"),
        ('text,label\na,b\n"a,b\nc,d\n', "line 3: the quotes are wrong"),
        ("text,label\na,b\nc,d\n", "has 2 rows, and at least 40"),
        ("text,label\n" + "a,b\n" * 50, "all rows have the label 'b'"),
        ("text,label\n" + ROWS + "c,rare\n", "the label 'rare' has only 1 of 61 rows"),
        ("text,label\na\0b,c\n", "binary file"),
        ("text,label,Label\n" + "a,b,c\n" * 50, "line 1: 2 columns are called label, and only one"),
        ('text,label,"note\n' + ROWS, "line 1: the quotes are wrong"),
    ],
)
def test_a_mistake_in_a_table_is_one_sentence_with_its_line(tmp_path, content, sentence):
    with pytest.raises(TableError, match=sentence) as caught:
        read_table(write(tmp_path / "my.csv", content))
    assert "my.csv" in str(caught.value) and "\n" not in str(caught.value)


def test_a_text_may_be_longer_than_the_limit_of_the_csv_module(tmp_path):
    old = csv.field_size_limit(1000)
    try:
        long = "word " * 400
        path = write(tmp_path / "t.csv", f'text,label\n{ROWS}"{long}",a\n')
        assert read_table(path)[-1] == Example(long.strip(), "a")
    finally:
        csv.field_size_limit(old)


def test_a_binary_file_another_encoding_and_no_file(tmp_path):
    (tmp_path / "t.xlsx").write_bytes(bytes(range(256)))
    with pytest.raises(TableError, match="not text in UTF-8"):
        read_table(tmp_path / "t.xlsx")
    with pytest.raises(TableError, match="not text in UTF-8"):
        read_table(write(tmp_path / "t.csv", "text,label\n好,b\n", "utf-16"))
    with pytest.raises(TableError, match="cannot be read"):
        read_table(tmp_path / "none.csv")


def test_duplicates_are_found_whatever_their_case_and_punctuation():
    examples = [
        Example("Good!", "a"),
        Example("good", "a"),
        Example("ＧＯＯＤ。", "a"),
        Example("Bad", "a"),
        Example("bad.", "b"),
        Example("?!", "a"),
        Example("!!", "b"),
    ]
    kept, left_out = without_duplicates(examples)
    assert [one.text for one in kept] == ["Good!", "?!", "!!"]
    assert left_out == 4


def test_a_split_shares_no_text_and_no_group_and_has_every_label():
    examples = [
        Example(f"text {i}", "abc"[i % 3], f"group {i % 3}{i // 9}" if i < 90 else "")
        for i in range(150)
    ]
    found = split(examples, seed=1)
    assert sorted(one for part in found for one in part) == sorted(examples)
    for part in found:
        assert {one.label for one in part} == set("abc")
    groups = [{one.group for one in part if one.group} for part in found]
    assert not groups[0] & groups[1] and not groups[0] & groups[2] and not groups[1] & groups[2]
    assert split(examples, seed=1) == found != split(examples, seed=2)
    with pytest.raises(TableError, match="'rare' has too few different texts"):
        split([*examples, Example("x", "rare"), Example("y", "rare")], seed=1)


def test_a_group_with_several_labels_stays_together():
    examples = [Example(f"text {i}", "ab"[i % 2], f"review {i // 4}") for i in range(200)]
    found = split(examples, seed=1)
    groups = [{one.group for one in part} for part in found]
    assert sum(map(len, groups)) == len(set.union(*groups)) == 50


# ---- scores --------------------------------------------------------------------------------------


def test_macro_f1_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    right, said = rng.integers(0, 5, 300), rng.integers(0, 4, 300)
    counts = scoring.confusion(right, said, 6)  # the last class is neither there nor said
    assert counts.sum() == 300 and counts[1, 2] == np.sum((right == 1) & (said == 2))
    expected = f1_score(right, said, average="macro", zero_division=0)
    assert scoring.macro_f1(counts) == pytest.approx(expected)


def test_the_wilson_interval():
    assert scoring.wilson(8, 10) == pytest.approx((0.8, 0.4901625, 0.9433178), abs=1e-5)
    assert scoring.wilson(0, 10).low == 0 and scoring.wilson(10, 10).high == pytest.approx(1)
    assert str(scoring.wilson(50, 100)) == "50.0% (40.4–59.6)"


def test_calibration_error_of_known_probabilities():
    probabilities = np.array([[0.8, 0.2]] * 10 + [[0.35, 0.65]] * 10)
    right = np.array([0] * 8 + [1] * 2 + [1] * 2 + [0] * 8)
    first, second = scoring.reliability(probabilities, right)
    assert (first.texts, second.texts) == (10, 10)
    assert first[1:] == pytest.approx((0.65, 0.2)) and second[1:] == pytest.approx((0.8, 0.8))
    assert scoring.calibration_error(probabilities, right) == pytest.approx(0.225)


def test_a_difference_on_the_same_texts_is_surer_than_two_intervals():
    these = np.array([1] * 90 + [0] * 10)
    others = np.array([1] * 82 + [0] * 18)
    assert scoring.wilson(82, 100).high > scoring.wilson(90, 100).low
    change, low, high = scoring.difference(these, others)
    assert change == pytest.approx(0.08) and 0 < low < change < high
    hits = {"GPT-2 with a head": these, "naive Bayes": others}
    assert verdict(hits).endswith("it is better on these texts.")
    swapped = {"GPT-2 with a head": others, "naive Bayes": these}
    assert "take naive Bayes" in verdict(swapped)
    assert recommendation(hits) == GPT2 and recommendation(swapped) == "naive Bayes"


def test_the_interval_of_a_difference_is_that_of_bonett_and_price():
    these, others = np.array([1] * 8), np.array([1] * 5 + [0] * 3)
    change, low, high = scoring.difference(these, others)
    ahead, behind, number = (3 + 1) / 10, (0 + 1) / 10, 8 + 2
    half = scoring.Z * np.sqrt((ahead + behind - (ahead - behind) ** 2) / number)
    assert change == pytest.approx(3 / 8)
    assert (low, high) == pytest.approx((ahead - behind - half, ahead - behind + half))
    unclear = {"GPT-2 with a head": these, "majority": others}
    assert low < 0 and "cannot tell" in verdict(unclear) and recommendation(unclear) == GPT2
    change, low, high = scoring.difference(others, others)
    assert change == 0 and low < 0 < high and low == pytest.approx(-high)


# ---- counting ------------------------------------------------------------------------------------


def test_naive_bayes_is_that_of_scikit_learn(parts):
    texts = [one.text for one in parts.train]
    classes = [int(one.label == "warm") for one in parts.train]
    ours = NaiveBayes(english_words)
    ours.fit(texts, classes)
    words = sorted({word for text in texts for word in english_words(text)})
    row = {word: i for i, word in enumerate(words)}

    def count(texts):
        counts = np.zeros((len(texts), len(words)))
        for i, text in enumerate(texts):
            for word in english_words(text):
                if word in row:
                    counts[i, row[word]] += 1
        return counts

    tested = [one.text for one in parts.test]
    theirs = MultinomialNB().fit(count(texts), classes).predict_proba(count(tested))
    np.testing.assert_allclose(ours.probabilities(tested), theirs, atol=1e-9)


def test_logistic_regression_takes_texts_that_share_no_word():
    model = LogisticRegressionOfWords(english_words)
    model.fit(["hot sun", "cold ice"], [0, 1])
    assert model.probabilities(["hot", "ice"]).argmax(1).tolist() == [0, 1]
    model.fit(["day sun", "day ice"], [0, 1])  # now two texts share one, so the others do not count
    one, other = model.probabilities(["sun", "ice"])
    assert one == pytest.approx(other)


def test_chinese_is_cut_into_characters_and_pairs():
    assert chinese_pieces("很 好A") == ["很", "好", "a", "很好", "好a"]
    assert looks_chinese(["这本书很好"]) and not looks_chinese(["a good book 好"])


# ---- heads and prompts ---------------------------------------------------------------------------


def classifier_of(tokenizer, longest=16):
    keras.utils.set_random_seed(0)
    model = build_gpt2(len(tokenizer.tokens), TINY)
    classifier = TextClassifier(model, tokenizer, ["cold", "warm"], longest)
    head = classifier.network.get_layer("head")
    rng = np.random.default_rng(0)
    head.set_weights([rng.normal(size=w.shape) for w in head.get_weights()])
    return classifier


def test_padding_changes_nothing(tokenizer):
    texts = ["sun", "the snow was very cold"]
    long, short = classifier_of(tokenizer, 32), classifier_of(tokenizer, 16)
    np.testing.assert_allclose(long.logits(texts), short.logits(texts), atol=1e-4)
    ids, mask = rows_of(texts, tokenizer, 16)
    assert (ids[:, 0] == tokenizer.end_id).all() and mask.sum(1).tolist() == [
        1 + len(tokenizer.encode(text)) for text in texts
    ]


def test_the_pooled_vector_is_the_mean_over_the_tokens(tokenizer):
    classifier = classifier_of(tokenizer)
    ids, mask = rows_of(["the snow"], tokenizer, 16)
    number = int(mask.sum())
    alone = {"token_ids": ids[:, :number], "padding_mask": mask[:, :number]}
    mean = np.asarray(classifier.model.backbone(alone)).mean(axis=1)
    kernel, bias = classifier.network.get_layer("head").get_weights()
    np.testing.assert_allclose(classifier.logits(["the snow"]), mean @ kernel + bias, atol=1e-4)


def test_a_long_text_is_cut_and_many_texts_are_read_in_batches(tokenizer):
    classifier = classifier_of(tokenizer)
    texts = [f"{'snow ' * i}sun" for i in range(70)]
    assert classifier.probabilities(texts).sum(1) == pytest.approx(np.ones(70))
    alone = np.concatenate([classifier.logits([text]) for text in texts[60:]])
    np.testing.assert_allclose(classifier.logits(texts)[60:], alone, atol=1e-4)
    assert length_for(["sun"] * 30, tokenizer, 64) == 16


LONG = [Example(f"{one.text} {'very ' * 60}", one.label) for one in weather(60)]


def test_texts_are_cut_to_the_context_of_the_model(tokenizer, tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_CHECKPOINTS", str(tmp_path))
    recipe = HeadRecipe(steps=2, batch_size=4, longest=64, size=TINY)  # the context has 32 tokens
    run = train_head(split(LONG, seed=0), "long", tokenizer, recipe)
    classifier = read_classifier(Path(run.preset))
    assert classifier.longest == TINY.context
    texts = ["sun", *(one.text for one in LONG)]
    assert classifier.probabilities(texts).shape == (61, 2) and classifier.cut(texts) == 60


def test_each_pass_takes_every_text_once():
    steps = np.concatenate([shuffled(10, 4, 7, step) for step in range(5)])
    assert sorted(steps[:10]) == sorted(steps[10:]) == list(range(10))
    assert list(steps[:10]) != list(steps[10:])
    assert list(shuffled(10, 4, 7, 3)) == list(steps[12:16])


RECIPE = HeadRecipe(steps=60, batch_size=16, learning_rate=0.01, longest=16, size=TINY)


def test_a_head_learns_what_words_tell_and_is_read_again(parts, tokenizer, tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_CHECKPOINTS", str(tmp_path))
    run = train_head(parts, "weather", tokenizer, RECIPE)
    classifier = read_classifier(Path(run.preset))
    found = classifier.probabilities([one.text for one in parts.test])
    right = [classifier.labels.index(one.label) for one in parts.test]
    assert np.mean(found.argmax(1) == right) > 0.95
    assert classifier.loss(parts.validation) == pytest.approx(run.validation_loss, abs=1e-4)
    again = train_head(parts, "weather", tokenizer, RECIPE)
    assert again.folder == run.folder and len(list(tmp_path.iterdir())) == 1
    other = parts._replace(train=parts.train[1:])
    assert data_of(other, tokenizer, None) != data_of(parts, tokenizer, None)


def test_a_killed_training_goes_on_to_the_same_weights(parts, tokenizer, tmp_path, monkeypatch):
    recipe = HeadRecipe(steps=20, batch_size=16, learning_rate=0.01, longest=16, size=TINY)
    monkeypatch.setenv("COURSE_CHECKPOINTS", str(tmp_path / "whole"))
    whole = read_classifier(Path(train_head(parts, "weather", tokenizer, recipe).preset))
    monkeypatch.setenv("COURSE_CHECKPOINTS", str(tmp_path / "killed"))
    real, evaluations = TextClassifier.loss, []

    def stop_after_some(self, examples):
        evaluations.append(1)
        if len(evaluations) == 8:
            raise KeyboardInterrupt
        return real(self, examples)

    monkeypatch.setattr(TextClassifier, "loss", stop_after_some)
    with pytest.raises(KeyboardInterrupt):
        train_head(parts, "weather", tokenizer, recipe)
    monkeypatch.setattr(TextClassifier, "loss", real)
    resumed = read_classifier(Path(train_head(parts, "weather", tokenizer, recipe).preset))
    texts = [one.text for one in parts.test]
    np.testing.assert_allclose(resumed.logits(texts), whole.logits(texts), atol=1e-5)


def test_a_prompt_adds_up_the_words_of_a_label(tokenizer):
    model = build_gpt2(len(tokenizer.tokens), TINY)
    prompt = Prompt("It says: {text} so", {"cold": " ice ice", "warm": " sun"})
    prompted = PromptedModel(model, tokenizer, prompt, longest=12)
    ids = tokenizer.encode("It says: ") + tokenizer.encode("the day") + tokenizer.encode(" so")
    for column, word in enumerate((" ice ice", " sun")):
        row = np.array([[tokenizer.end_id, *ids, *tokenizer.encode(word), tokenizer.end_id]])
        logits = np.asarray(
            model({"token_ids": row, "padding_mask": np.ones_like(row)}), "float64"
        )[0]
        log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
        expected = sum(log_p[i - 1, row[0, i]] for i in range(1 + len(ids), row.shape[1]))
        found = prompted.log_probabilities(["the day"])[0, column]
        assert found == pytest.approx(expected, abs=1e-3)


def test_a_prompt_leaves_room_for_the_text_or_is_refused(tokenizer):
    model = build_gpt2(len(tokenizer.tokens), TINY)
    word = len(tokenizer.encode(" sun"))
    form = "{text}" + "x" * (TINY.context - word - 2)  # of a letter each: one token of text is left
    assert len(tokenizer.encode("xx")) == 2
    labels = {"cold": " sun", "warm": " sun"}
    prompted = PromptedModel(model, tokenizer, Prompt(form, labels), longest=64)
    assert prompted.probabilities(["the day was hot"]).shape == (1, 2)
    with pytest.raises(CourseError, match="takes 33 positions, and the model has a context of 32"):
        PromptedModel(model, tokenizer, Prompt(f"{form}x", labels), longest=64)


def test_calibration_takes_away_what_is_said_of_no_content():
    scores = np.array([[-1.0, -3.0], [-2.0, -3.0]])
    neutral = np.array([[-1.0, -3.0], [-2.0, -4.0]])
    np.testing.assert_allclose(calibrated(scores).sum(1), 1)
    found = calibrated(scores, neutral)
    assert found[0] == pytest.approx([0.5, 0.5]) and found[1, 1] > 0.7


def test_a_trained_prompt_learns(parts, tokenizer, tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_CHECKPOINTS", str(tmp_path))
    prompt = Prompt("{text} is", {"cold": " ice", "warm": " sun"})
    recipe = PromptRecipe(200, 16, 0.02, longest=16, size=TINY)
    run = train_prompt(parts, "weather", prompt, tokenizer, recipe)
    prompted = PromptedModel(load_preset(run.preset), tokenizer, prompt, 16)
    found = prompted.probabilities([one.text for one in parts.test])
    right = [prompted.labels.index(one.label) for one in parts.test]
    assert np.mean(found.argmax(1) == right) > 0.9


# ---- the course's tasks --------------------------------------------------------------------------


def test_templates():
    templates = Templates(
        "en",
        [("TurnOn", "[please] (turn;on) <the> {name} at {level}[%]", "light")],
        {"level": {"range": {"from": 5, "to": 5}}},
        {"the": "(the|my)"},
    )
    texts = {sentence(templates.sentences[0], templates, Random(i)) for i in range(200)}
    assert any(text.startswith("please turn on the ") for text in texts)
    assert any(text.startswith("on turn my ") for text in texts)
    assert all(text.endswith(("at 5", "at 5%")) and "{" not in text for text in texts)
    chinese = Templates("zh", [("X", "打开 {area}|关上", "")], {}, {})
    written = {sentence(chinese.sentences[0], chinese, Random(i)) for i in range(50)}
    assert "关上" in written and "打开厨房" in written


@pytest.mark.parametrize("name", TASKS)
def test_no_text_is_in_two_parts_and_all_are_what_the_results_were_made_with(name):
    task = load_task(name)
    if task is None:
        pytest.skip(f"the texts of {name} have not been fetched")
    train, validation, test = ({one.text for one in part} for part in task.parts)
    assert not train & validation and not train & test and not validation & test
    assert not set(task.unlabelled) & (validation | test)
    groups = [{one.group or one.text for one in part} for part in task.parts]
    assert not groups[0] & groups[1] and not groups[0] & groups[2] and not groups[1] & groups[2]
    stored = json.loads((REPOSITORY / "datasets" / "tasks.json").read_text(encoding="utf-8"))
    about = stored["tasks"][name]
    assert (about["train"], about["validation"], about["test"]) == tuple(map(len, task.parts))


def test_the_test_of_the_questions_is_in_other_words_than_the_training():
    task = load_task("question-en")
    assert len(task.labels) > 20 and len(task.parts.test) > 200
    assert {one.label for one in task.parts.test} <= set(task.labels)


# ---- the command ---------------------------------------------------------------------------------


def test_the_command_trains_compares_and_predicts(parts, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COURSE_CHECKPOINTS", str(tmp_path / "runs"))
    path = tmp_path / "my.csv"
    with open(path, "w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        writer.writerows((one.text, one.label) for part in parts for one in part)
    base = tmp_path / "base"
    save_tiny(base, parts)
    flags = [str(path), "--steps", "60", "--base", str(base)]
    main(flags)
    said = capsys.readouterr().out
    assert "400 texts with 2 labels (0 duplicates left out)" in said
    for name in ("majority", "naive Bayes", "logistic regression", "GPT-2 with a head"):
        assert f"\n{name} " in said
    more = write(tmp_path / "more.txt", "hot summer sun\n\nfrozen ice winter\n")
    assert "on the held-out texts (rows: true label; columns: predicted):\n" in said
    main([*flags, "--predict", str(more)])
    predicted = capsys.readouterr()
    assert [line.split()[0] for line in predicted.out.splitlines()] == ["warm", "cold"]
    answering = said.rpartition("--predict asks ")[2]
    assert predicted.err == f"The answers are those of {answering}"


def test_a_recommended_classifier_that_counts_answers(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COURSE_CHECKPOINTS", str(tmp_path / "runs"))
    flags = [str(write_table(tmp_path / "few.csv", weather(200))), "--steps", "1"]
    main(flags)
    said = capsys.readouterr().out
    name = next(n for n in ("naive Bayes", "logistic regression") if f"take {n}" in said)
    assert f"\n{name} on the held-out texts" in said and f"--predict asks {name}." in said
    main([*flags, "--predict", "summer sun"])
    predicted = capsys.readouterr()
    assert predicted.err == f"The answers are those of {name}.\n"
    assert predicted.out.startswith("warm  ")


def test_the_confusion_matrix_has_short_labels_in_even_columns():
    found = matrix(np.array([[3, 12], [0, 5]]), ["天气", "a label that is long"])
    assert found.split("\n") == [
        "                  天气  a label t…",
        "      天气           3          12",
        "a label t…           0           5",
    ]


def test_the_surest_mistakes_come_first():
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.3, 0.7], [0.55, 0.45]])
    assert mistakes(probabilities, np.array([0, 1, 0, 0, 1])) == [2, 3, 1]
    assert mistakes(probabilities, probabilities.argmax(1)) == []


def write_table(path, examples):
    rows = "".join(f"{one.text},{one.label}\n" for one in examples)
    return write(path, f"text,label\n{rows}")


def test_the_command_says_how_many_texts_it_cuts_to_the_context(
    parts, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("COURSE_CHECKPOINTS", str(tmp_path / "runs"))
    path, base = write_table(tmp_path / "long.csv", LONG), tmp_path / "base"
    save_tiny(base, parts)
    flags = [str(path), "--steps", "2", "--base", str(base)]
    main(flags)
    sentence = "reads at most 32 tokens of a text: 60 of 60 texts are longer"
    assert sentence in capsys.readouterr().out
    monkeypatch.setattr(own_table, "recommendation", lambda hits: GPT2)
    main([*flags, "--predict", LONG[0].text])
    said = capsys.readouterr()
    assert "reads at most 32 tokens of a text: 1 of 1 texts" in said.err
    assert said.out.endswith(f"  {LONG[0].text.strip()}\n") and said.out.count("\n") == 1
    main([*flags, "--predict", "sun"])
    assert capsys.readouterr().err == f"The answers are those of {GPT2}.\n"


def test_that_the_texts_are_too_few_is_said_only_when_it_trains(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COURSE_CHECKPOINTS", str(tmp_path / "runs"))
    flags = [str(write_table(tmp_path / "few.csv", weather(60))), "--steps", "1"]
    main([*flags, "--predict", "sun"])
    assert "too few to train a language model" in capsys.readouterr().err
    main([*flags, "--predict", "sun"])
    assert capsys.readouterr().err.startswith("The answers are those of ")


def test_what_looks_like_a_path_and_is_no_file_is_no_text(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t").mkdir()
    (tmp_path / "there.txt").write_text("sun\n", encoding="utf-8")
    table = str(write_table(tmp_path / "my.csv", weather(60)))
    for wanted in ("new_texts.txt", "New.CSV", "t", "texts/new", "texts\\new", "~/none/new"):
        with pytest.raises(SystemExit) as stopped:
            main([table, "--predict", wanted])
        said = capsys.readouterr().err
        assert stopped.value.code == 2 and f"there is no file {wanted!r}" in said
        assert said.count("\n") == 1
    texts = [
        "there.txt",
        "./there.txt",
        "sun",
        "Good.",
        "open a/b or new.txt",
        "很好/不错",
        "x" * 9999,
    ]
    assert not any(map(names_no_file, texts))


def test_a_text_that_is_no_name_of_a_file_stays_a_text():
    for text in ("x" * 9999, "~such a film", "~such"):
        assert list(texts_of(text)) == [text]


@pytest.mark.parametrize("sign", ["\u2028", "\f", "\x1c"])
def test_each_line_of_a_file_has_one_prediction(sign, tokenizer, tmp_path, capsys):
    path = write(tmp_path / "new.txt", f"hot{sign}sun\r\n\nice\n")
    assert list(texts_of(str(path))) == [f"hot{sign}sun", "ice"]
    predict(classifier_of(tokenizer), ["cold", "warm"], str(path))
    assert capsys.readouterr().out.count("\n") == 2


def save_tiny(folder, parts):
    """The preset of a tiny GPT-2 with a tokenizer of its own."""
    tokenizer = bpe.Tokenizer(bpe.train("\n".join(one.text for one in parts.train), 60))
    save_preset(build_gpt2(len(tokenizer.tokens), TINY), as_keras(tokenizer), folder)


def test_the_command_answers_a_mistake_with_one_sentence(tmp_path):
    path = write(tmp_path / "my.csv", "text,label\na,b\nc,\n")
    command = [sys.executable, "-m", "utils.tasks", str(path)]
    said = subprocess.run(
        command, capture_output=True, encoding="utf-8", cwd=REPOSITORY, check=False
    )
    assert said.returncode == 1 and said.stderr.count("\n") == 1
    assert "line 3: the label is empty" in said.stderr
