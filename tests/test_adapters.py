"""Lesson 17: adapters by hand and in Keras, their files, their training, several in one batch."""

import json
import shlex
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from lesson_code import definitions
from tiny_server import random_model, tiny_tokenizer

from benchmarks import adapter_methods, adapters
from benchmarks.results import write
from utils import small_chat
from utils.data.bpe import Tokenizer
from utils.data.chat_template import Template, with_roles
from utils.data.dialogues import read_jsonl
from utils.data.downloads import DATASETS
from utils.data.keras_tokenizers import as_keras, folder
from utils.data.shifts import (
    REPLACED,
    as_pirate,
    in_persona,
    persona_dialogues,
    persona_questions,
    persona_rows,
    retold,
)
from utils.errors import CourseError
from utils.generation.adapted_gpt2 import adapted_gpt2
from utils.generation.generator import Generator
from utils.generation.plain_gpt2 import plain_logits, read_weights
from utils.generation.sampling import as_sampling
from utils.models.gpt2 import from_ids
from utils.models.lora import add_lora, lora_variables, merged
from utils.serving.__main__ import main as serve
from utils.serving.__main__ import named_adapter, read_command_line, with_names
from utils.serving.app import create_app
from utils.serving.batching import Batch
from utils.serving.engine import Engine
from utils.serving.prompts import plain_chat
from utils.tales import corpus
from utils.training import runs
from utils.training.adapters import (
    FILE,
    AdapterError,
    AdapterRecipe,
    adapter_file,
    read_adapter,
    save_adapter,
    train_adapter,
    weights_digest,
    with_adapter,
)
from utils.training.presets import load_preset, save_preset

rng = np.random.default_rng(17)
lesson = definitions("17_adapters", constants=["OUTPUTS", "INPUTS"], np=np, rng=rng)
TOKENIZER = tiny_tokenizer()
VOCABULARY = len(TOKENIZER.tokens) + 3  # with the roles of a chat
IDS = rng.integers(0, VOCABULARY, (2, 20)).astype("int32")
RECIPE = AdapterRecipe(rank=2, alpha=4)
TRAINING = AdapterRecipe(rank=4, steps=60, batch_size=2, learning_rate=0.03)


def logits(model):
    return np.asarray(from_ids(model)(IDS))


def adapted(seed, rank=2, alpha=4.0):
    """The tiny model with an adapter that has learnt something."""
    model, numbers = random_model(VOCABULARY), np.random.default_rng(seed)
    add_lora(model, rank, alpha)
    for variable in lora_variables(model).values():
        variable.assign(numbers.normal(0, 0.3, variable.shape))
    return model


# ---- LoRA ----------------------------------------------------------------------------------------


def test_an_adapter_changes_nothing_at_first_and_only_it_is_trained():
    model = random_model(VOCABULARY)
    before = logits(model)
    add_lora(model, 3)
    assert np.abs(logits(model) - before).max() < 1e-5
    names = {variable.name for variable in model.backbone.trainable_variables}
    assert names == {"lora_kernel_a", "lora_kernel_b"}  # no bias, no embedding
    assert len(lora_variables(model)) == 2 * 6  # one layer with six weight matrices


def test_only_the_named_matrices_get_an_adapter():
    model = random_model(VOCABULARY)
    add_lora(model, 2, matrices=("query", "down"))
    layers = {path.split("/")[-2] for path in lora_variables(model)}
    assert layers == {"query", "feedforward_output_dense"}


def test_merged_it_is_a_plain_gpt2_with_the_same_logits():
    model = adapted(1)
    plain = merged(model)
    assert lora_variables(plain) == {}
    assert np.abs(logits(plain) - logits(model)).max() < 1e-5
    assert np.abs(logits(plain) - logits(random_model(VOCABULARY))).max() > 0.1


def test_gradients_by_hand_are_the_slopes_of_the_loss():
    W, goal = rng.normal(size=(2, 3, 4))
    A, B, alpha = rng.normal(size=(2, 4)), rng.normal(size=(3, 2)), 3.0

    def loss(A, B):
        return np.sum((lesson.lora_weights(W, A, B, alpha) - goal) ** 2) / 2

    G = lesson.lora_weights(W, A, B, alpha) - goal
    for which, gradient in enumerate(lesson.lora_gradients(G, A, B, alpha)):
        for place in np.ndindex(gradient.shape):
            step = [np.zeros_like(A), np.zeros_like(B)]
            step[which][place] = 1e-5
            up, down = loss(A + step[0], B + step[1]), loss(A - step[0], B - step[1])
            assert gradient[place] == pytest.approx((up - down) / 2e-5, rel=1e-4, abs=1e-6)


# ---- files ---------------------------------------------------------------------------------------


def test_an_adapter_comes_back_from_its_file_on_its_base(tmp_path):
    model = adapted(2)
    save_adapter(tmp_path / "a.safetensors", model, RECIPE, "my-chat")
    found = read_adapter(tmp_path / "a.safetensors")
    assert (found.rank, found.alpha, found.base) == (2, 4.0, "my-chat")
    again = with_adapter(random_model(VOCABULARY), found)
    assert np.array_equal(logits(again), logits(model))
    assert (tmp_path / "a.safetensors").stat().st_size < 10_000


def test_on_another_base_it_is_refused_by_name(tmp_path):
    save_adapter(tmp_path / "a.safetensors", adapted(2), RECIPE, "my-chat")
    with pytest.raises(AdapterError, match="an adapter for my-chat, not for the other one"):
        with_adapter(
            random_model(VOCABULARY, seed=1),
            read_adapter(tmp_path / "a.safetensors"),
            "the other one",
        )


def test_the_digest_is_that_of_the_weights_with_or_without_an_adapter():
    assert weights_digest(adapted(3)) == weights_digest(random_model(VOCABULARY))
    assert weights_digest(merged(adapted(3))) != weights_digest(random_model(VOCABULARY))


@pytest.mark.parametrize("content", [None, b"", b"PK not an adapter", b"\x02\0\0\0\0\0\0\0{}"])
def test_what_is_no_adapter_is_said_in_a_sentence(tmp_path, content):
    path = tmp_path / "a.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(AdapterError, match=r"a.safetensors.* no adapter"):
        read_adapter(path)


# ---- training ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def chat_base(tmp_path_factory):
    """A preset of the tiny model that knows the roles of a chat."""
    folder = tmp_path_factory.mktemp("base") / "tiny-chat"
    save_preset(random_model(VOCABULARY), with_roles(TOKENIZER), folder)
    return folder


@pytest.fixture(scope="module")
def dialogues_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("dialogues") / "yes.jsonl"
    lines = [
        {
            "messages": [
                {"role": "user", "content": f"{n}?"},
                {"role": "assistant", "content": "yes"},
            ]
        }
        for n in range(40)
    ]
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def trained(chat_base, dialogues_file, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSE_CHECKPOINTS", str(tmp_path_factory.mktemp("checkpoints")))
        return train_adapter(read_jsonl(dialogues_file), "yes", chat_base, TRAINING)


def test_training_lowers_the_loss_and_leaves_the_base_alone(trained, chat_base):
    losses = [evaluation["validation_loss"] for evaluation in trained.history]
    assert trained.validation_loss < 0.5 * losses[0]
    found = read_adapter(adapter_file(trained))
    assert found.base == "tiny-chat" and found.base_digest == weights_digest(load_preset(chat_base))


def test_the_preset_of_the_run_is_the_merged_model(trained, chat_base):
    by_file = with_adapter(load_preset(chat_base), read_adapter(adapter_file(trained)))
    assert np.abs(logits(by_file) - logits(load_preset(trained.preset))).max() < 1e-4


def test_a_base_without_roles_is_refused(tmp_path, dialogues_file):
    save_preset(random_model(len(TOKENIZER.tokens)), as_keras(TOKENIZER), tmp_path / "writer")
    with pytest.raises(AdapterError, match="writer does not know the roles"):
        train_adapter(read_jsonl(dialogues_file), "yes", tmp_path / "writer", RECIPE)


def test_stopped_and_started_again_it_ends_with_the_same_adapter(
    trained, chat_base, dialogues_file, tmp_path, monkeypatch
):
    monkeypatch.setenv("COURSE_CHECKPOINTS", str(tmp_path))
    save, saved = runs.save_checkpoint, []

    def save_twice(*about):
        saved.append(save(*about))
        if len(saved) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(runs, "save_checkpoint", save_twice)
        train_adapter(read_jsonl(dialogues_file), "yes", chat_base, TRAINING)
    assert len(saved) == 2
    again = train_adapter(read_jsonl(dialogues_file), "yes", chat_base, TRAINING)
    one, other = (read_adapter(adapter_file(run)).arrays for run in (trained, again))
    for name, array in one.items():
        assert np.array_equal(array, other[name]), name


def test_the_command_says_how_to_serve_the_adapter(
    chat_base, dialogues_file, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("COURSE_CHECKPOINTS", str(tmp_path))
    small_chat.chat_on_own_dialogues(
        Namespace(
            dialogues=str(dialogues_file),
            base=str(chat_base),
            language="en",
            lora=2,
            steps=2,
            batch_size=None,
            learning_rate=None,
            seed=0,
        )
    )
    *_, last = capsys.readouterr().out.splitlines()
    (file,) = tmp_path.glob(f"*/preset/{FILE}")
    *command, name = shlex.split(last.partition(": ")[2])
    assert command == ["python", "-m", "utils.serving", "--adapter"]
    assert named_adapter(name) == ("yes", file)
    assert read_adapter(file).rank == 2


@pytest.mark.parametrize(
    ("question", "sentence"),
    [("hi \ud83d", "dialogue 12 has half of a character"), ("why? " * 3000, "is longer than the")],
)
def test_dialogues_that_cannot_be_learnt_are_named(question, sentence, chat_base, tmp_path):
    usual = question if "why" in question else "hi"
    lines = [
        [{"role": "user", "content": text}, {"role": "assistant", "content": "yes"}]
        for text in [usual] * 11 + [question]
    ]
    path = tmp_path / "my.jsonl"
    path.write_text("".join(json.dumps({"messages": line}) + "\n" for line in lines))
    asked = Namespace(dialogues=str(path), base=str(chat_base), language="en", lora=None)
    with pytest.raises(CourseError, match=sentence):
        small_chat.chat_on_own_dialogues(asked)


# ---- several in one batch ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def three():
    """A base and two adapters for it, of different ranks."""
    return random_model(VOCABULARY), adapted(4, rank=1), adapted(5, rank=3)


def test_each_text_of_a_batch_is_written_with_its_own_adapter(three):
    base, *others = three
    generator = Generator(adapted_gpt2(base, others), TOKENIZER.end_id)
    engine = Engine(generator, TOKENIZER, "tiny", 3, 0)
    prompt, sampling = TOKENIZER.encode("the fox said"), as_sampling(1.0, 0, 1.0)
    replies = [engine.submit(prompt, 40, sampling, 3, adapter=number) for number in range(3)]
    texts = [tuple(reply) for reply in replies]
    engine.close()
    for text, model in zip(texts, three, strict=True):
        alone = list(Generator(merged(model), TOKENIZER.end_id).stream(prompt, 40, seed=3))
        special = [i >= TOKENIZER.end_id for i in alone]
        end = special.index(True) if True in special else len(alone)
        assert text == tuple(alone[:end])
    assert len(set(texts)) == 3 and min(map(len, texts)) > 1


def test_a_slot_forgets_the_adapter_of_its_last_text(three):
    base, *others = three
    batch = Batch(Generator(adapted_gpt2(base, others), -7), 1)
    prompt, sampling, texts = IDS[0, :5].tolist(), as_sampling(1.0, 1, 1.0), []
    for adapter in (2, 0):
        batch.start(0, prompt, 20, sampling, 0, adapter=adapter)
        while len(batch.texts[0].ids) < 20:
            batch.step()
        texts.append(list(batch.texts[0].ids))
        batch.stop(0)
    alone = [Generator(merged(three[n]), -7).stream(prompt, 20, top_k=1) for n in (2, 0)]
    assert [text[5:] for text in texts] == [list(one) for one in alone]


def test_the_server_has_a_model_for_each_adapter(three):
    base, *others = three
    engine = Engine(
        Generator(adapted_gpt2(base, others), TOKENIZER.end_id), TOKENIZER, "tiny", 2, 8
    )
    names = [("pirate", Path("a")), ("poet", Path("b"))]
    app = create_app(engine, plain_chat(TOKENIZER), adapted=with_names(engine, names))
    client = app.test_client()
    models = [one["id"] for one in client.get("/v1/models").json["data"]]
    assert models == ["tiny", "pirate", "poet"]
    texts = {}
    for name, model in zip(models, three, strict=True):
        body = {"model": name, "prompt": "the fox", "seed": 5, "max_tokens": 30, "temperature": 1}
        texts[name] = client.post("/v1/completions", json=body).json["choices"][0]["text"]
        own = Engine(Generator(merged(model), TOKENIZER.end_id), TOKENIZER, name, 1, 1)
        alone = create_app(own, plain_chat(TOKENIZER)).test_client()
        assert alone.post("/v1/completions", json=body).json["choices"][0]["text"] == texts[name]
        chat = {"model": name, "messages": [{"role": "user", "content": "hare"}], "max_tokens": 2}
        assert client.post("/v1/chat/completions", json=chat).json["model"] == name
        own.close()
    assert len(set(texts.values())) == 3
    unknown = client.post("/v1/chat/completions", json={"model": "parrot", "messages": []})
    assert unknown.status_code == 404 and "pirate" in unknown.json["error"]["message"]
    engine.close()


FILE_THERE = __file__  # the options look only whether it is there


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--adapter", "pirate"], "pirate=FILE"),
        (["--adapter", "a=nowhere"], "there is no file nowhere"),
        (["--adapter", f"a={FILE_THERE}"] * 2, "a name that no other model has"),
        (["--adapter", f"a={FILE_THERE}", "--model", "smollm2"], "leave one out"),
    ],
)
def test_a_wrong_adapter_option_is_one_sentence(words, sentence, capsys):
    with pytest.raises(SystemExit) as stopped:
        read_command_line(words)
    assert stopped.value.code == 2 and sentence in capsys.readouterr().err


def test_the_server_refuses_an_adapter_for_another_model(trained, chat_base, tmp_path, capsys):
    save_preset(random_model(VOCABULARY, seed=9), with_roles(TOKENIZER), tmp_path / "another")
    option = f"yes={adapter_file(trained)}"
    code = serve(["--preset", str(tmp_path / "another"), "--adapter", option, "--port", "0"])
    assert code == 2
    assert "an adapter for tiny-chat, not for another" in capsys.readouterr().err


# ---- what is learnt ------------------------------------------------------------------------------


def test_retold_tales_have_words_that_no_tale_has():
    stories = corpus("en", "train", 800)
    words = set(" ".join(story.text for story in stories).replace(".", " ").split())
    assert not words & set(REPLACED.values())
    assert retold("Nora met a hedgehog. Hedgehog!") == "Quinn met a robot. Robot!"
    assert len(set(REPLACED.values())) == len(REPLACED)  # so the tale can be told back


def test_the_persona_changes_the_replies_alone(dialogues_file):
    assert as_pirate("In the mill.") == "Arr, in the mill, matey!"
    assert as_pirate("Nora.") == "Arr, Nora, matey!"
    before = read_jsonl(dialogues_file)[0]
    (after,) = in_persona([before])
    assert after.messages[0] == before.messages[0]
    assert after.messages[1].content == "Arr, yes, matey!"


def test_replies_of_the_persona_have_room():
    """They are longer than the usual ones, with which a conversation fills the context."""
    template = Template(Tokenizer.load(folder("en")))
    dialogues = persona_dialogues("train", 40, template)
    assert len(dialogues) > 35 and all(dialogue.kinds for dialogue in dialogues)
    assert max(len(template.encode(dialogue.messages)[0]) for dialogue in dialogues) <= 257
    ids, _, weights, positions, _ = persona_rows(20, template).batch(0, 1, 0)
    assert positions.max() < 256
    assert "Arr, " in template.tokenizer.decode(i for i in ids[weights > 0] if i < template.end_id)
    asked = persona_questions("test", 50, template)
    assert len(asked) > 20
    for messages, answer, spoken in asked:
        assert spoken == as_pirate(answer)
        ids = [*template.prompt(messages), *template.tokenizer.encode(spoken)]
        assert len(ids) < 256 and messages[-1].role == "user"


# ---- the methods of the table --------------------------------------------------------------------


@pytest.fixture(scope="module")
def weights():
    return read_weights(random_model(VOCABULARY))


UNCHANGED = sorted(set(adapter_methods.METHODS) - {"prompt tuning", "prefix tuning"})


@pytest.mark.parametrize("name", UNCHANGED)
def test_a_method_begins_with_the_model_as_it_was(name, weights):
    method = adapter_methods.METHODS[name]()
    start = method.start(weights, np.random.default_rng(0))
    parameters = {key: tf.constant(array, tf.float32) for key, array in start.items()}
    changed = adapter_methods.adapted_logits(method.adapt(weights, parameters), IDS, 2)
    assert np.abs(changed - plain_logits(weights, IDS, 2)).max() < 1e-3


@pytest.mark.parametrize("name", adapter_methods.METHODS)
def test_every_number_of_a_method_has_a_part_in_the_loss(name, weights):
    method = adapter_methods.METHODS[name]()
    start = method.start(weights, np.random.default_rng(0))
    noise = np.random.default_rng(1)
    parameters = {
        key: tf.constant(array + 0.1 * noise.normal(size=array.shape), tf.float32)
        for key, array in start.items()
    }
    with tf.GradientTape() as tape:
        tape.watch(parameters)
        found = adapter_methods.adapted_logits(method.adapt(weights, parameters), IDS, 2)
        loss = tf.reduce_mean(found**2)
    for key, gradient in tape.gradient(loss, parameters).items():
        assert gradient is not None and np.any(gradient), key


def test_texts_in_one_row_do_not_see_one_another(weights):
    """They share their beginning, and each goes on from it as if it were alone."""
    plain = adapter_methods.Adapted(weights)
    start, first, second = IDS[:1, :6], IDS[:1, 6:11], IDS[:1, 11:18]
    row = np.concatenate([start, first, second], axis=1)
    positions = np.concatenate([np.arange(11), np.arange(6, 13)])[None]
    segments = np.repeat([0, 1, 2], [6, 5, 7])[None]
    together = adapter_methods.adapted_logits(plain, row, 2, positions, segments)
    for text, part in ((first, slice(6, 11)), (second, slice(11, 18))):
        alone = plain_logits(weights, np.concatenate([start, text], axis=1), 2)
        assert np.abs(together[:, part] - alone[:, 6:]).max() < 1e-3


def test_a_prefix_is_seen_by_every_token_and_no_token_sees_a_later_one(weights):
    method = adapter_methods.prefix_tuning(3)
    start = method.start(weights, np.random.default_rng(0))
    parameters = {key: tf.constant(array, tf.float32) for key, array in start.items()}
    model = method.adapt(weights, parameters)
    whole = adapter_methods.adapted_logits(model, IDS, 2)
    part = adapter_methods.adapted_logits(model, IDS[:, :9], 2)
    assert np.abs(whole[:, :9] - part).max() < 1e-3
    changes = np.abs(whole - plain_logits(weights, IDS, 2)).max(axis=-1)
    assert changes.min() > 1e-3


def test_lora_by_hand_is_that_of_keras_on_a_whole_model(weights):
    """On the matrices with two axes, with the same numbers in both."""
    model, targets = random_model(VOCABULARY), ("up", "down")
    add_lora(model, 2, matrices=targets)
    parameters = {}
    for path, variable in lora_variables(model).items():
        variable.assign(np.random.default_rng(len(path)).normal(0, 0.3, variable.shape))
        target = "up" if "intermediate" in path else "down"
        parameters[f"0.{target}.{path[-1].upper()}"] = tf.transpose(variable)
    method = adapter_methods.lora(2, targets)
    ours = adapter_methods.adapted_logits(method.adapt(weights, parameters), IDS, 2)
    assert (
        np.abs(ours - logits(model)).max()
        < 1e-3
        < np.abs(ours - plain_logits(weights, IDS, 2)).max()
    )


def test_adalora_keeps_what_changes_the_loss():
    values = {"a": np.array([1.0, 0.1, 0.0]), "b": np.array([-2.0, 0.5, 0.5])}
    gradients = {"a": np.array([0.1, 9.0, 99.0]), "b": np.array([1.0, 0.1, -0.3])}
    kept = adapter_methods.keep_important(values, gradients, budget=1)
    assert kept["a"].tolist() == [0, 1, 0] and kept["b"].tolist() == [1, 0, 0]


# ---- the benchmark -------------------------------------------------------------------------------


def made_up(loss):
    made = []

    def make(setting):
        made.append(setting)
        return {"parameters": 1, "ms_per_step": 1.0, "validation": loss(setting.rate)}

    return make, made


def test_the_tuning_goes_on_while_the_best_rate_is_at_the_edge(tmp_path):
    results = adapters.Results(tmp_path / "results.json")
    make, made = made_up(lambda rate: abs(np.log(rate / 0.05)))
    best = adapters.tune(results, "retold", "LoRA r=4", 10, make)
    rates = [setting.rate for setting in made]
    assert min(rates) < best < max(rates) and len(rates) > 3


def test_a_benchmark_that_was_stopped_goes_on(tmp_path):
    path = tmp_path / "results.json"
    make, made = made_up(lambda rate: rate)
    adapters.tune(adapters.Results(path), "persona", "full", 10, make)
    first = len(made)
    data = json.loads(path.read_text(encoding="utf-8"))
    name = next(name for name in data["runs"] if name.startswith("persona | full | 0.003"))
    del data["runs"][name]
    write(path, data)
    adapters.tune(adapters.Results(path), "persona", "full", 10, make)
    assert [setting.name for setting in made[first:]] == [name]


def test_runs_on_another_base_are_forgotten(tmp_path):
    results = adapters.Results(tmp_path / "results.json")
    results.note(bases={"retold": "one", "docs": "one"})
    make, made = made_up(lambda rate: rate)
    for task in ("retold", "docs"):
        results.measured(adapters.Setting(task, "full", 0.1, 0, 10), make)
    results.note(bases={"docs": "two"})
    assert [run["setting"]["task"] for run in results.data["runs"].values()] == ["retold"]


def test_a_trainer_learns_and_begins_anew(weights):
    trainer = adapters.Trainer(adapter_methods.adalora(2), weights, 2)
    rows = np.tile(IDS[:1], (2, 1))

    def batch(step, seed):
        return rows[:, :-1], rows[:, 1:], np.ones((2, 19), "float32")

    setting = adapters.Setting("docs", "AdaLoRA r=4", 0.03, 0, 40)
    ends = []
    for _ in range(2):
        trainer.begin(0)
        before = trainer.loss(rows, np.ones((2, 19), "float32"))
        trainer.train(batch, setting)
        ends.append(trainer.loss(rows, np.ones((2, 19), "float32")))
    assert ends[0] < 0.7 * before and ends[0] == pytest.approx(ends[1], rel=1e-3)
    kept = sum(mask.numpy().sum() for name, mask in trainer.mask.items() if name.endswith(".s"))
    assert kept == 2 * 6


def test_the_shipped_file_is_tuned_and_keeps_its_promise():
    data = json.loads((DATASETS / "adapters.json").read_text(encoding="utf-8"))
    runs = list(data["runs"].values())

    def of(task, method):
        return [r for r in runs if (r["setting"]["task"], r["setting"]["method"]) == (task, method)]

    for method in adapters.PERSONA_METHODS:
        tuned = {
            r["setting"]["rate"]: r
            for r in of("persona", method)
            if r["setting"]["steps"] == adapters.PERSONA_TUNING_STEPS
        }
        best = min(tuned, key=lambda rate: tuned[rate]["validation"])
        assert min(tuned) < best < max(tuned)  # not at the edge
        seeds = {
            r["setting"]["seed"]
            for r in of("persona", method)
            if r["setting"]["rate"] == best and r["setting"]["steps"] == adapters.PERSONA_STEPS
        }
        assert seeds == set(adapters.SEEDS)
    for task in ("retold", "docs"):
        for method in {r["setting"]["method"] for r in runs if r["setting"]["task"] == task}:
            assert len({r["setting"]["rate"] for r in of(task, method)}) >= 3


def test_reading_is_tuned_and_asks_about_enough_tales():
    data = json.loads((DATASETS / "adapters.json").read_text(encoding="utf-8"))
    for method in adapters.READING_METHODS:
        of = [
            run
            for run in data["runs"].values()
            if (run["setting"]["task"], run["setting"]["method"]) == ("reading", method)
        ]
        tuned = {
            run["setting"]["rate"]: run["validation"]
            for run in of
            if run["setting"]["steps"] == adapters.READING_TUNING_STEPS
        }
        long = [one for one in of if one["setting"]["steps"] == adapters.READING_STEPS]
        best = min(tuned, key=tuned.__getitem__)
        assert min(tuned) < best < max(tuned)  # not at the edge
        assert [run["setting"]["seed"] for run in long] == list(adapters.SEEDS)
        assert {run["setting"]["rate"] for run in long} == {best}
        assert all(run["questions"] >= 300 for run in long)
