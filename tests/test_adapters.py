"""Adapters: LoRA on a GPT-2, their files, their training, several of them in one batch."""

import json
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
from tiny_server import random_model, tiny_tokenizer

from utils import small_chat
from utils.data.chat_template import with_roles
from utils.data.dialogues import read_jsonl
from utils.data.keras_tokenizers import as_keras
from utils.generation.adapted_gpt2 import adapted_gpt2
from utils.generation.generator import Generator
from utils.generation.sampling import as_sampling
from utils.models.gpt2 import from_ids
from utils.models.lora import add_lora, lora_variables, merged
from utils.serving.__main__ import main as serve
from utils.serving.__main__ import read_command_line, with_names
from utils.serving.app import create_app
from utils.serving.batching import Batch
from utils.serving.engine import Engine
from utils.serving.prompts import plain_chat
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
    assert last == f"Beside others: python -m utils.serving --adapter yes={file}"
    assert read_adapter(file).rank == 2


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


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--adapter", "pirate"], "pirate=FILE"),
        (["--adapter", "a=x", "--adapter", "a=y"], "a name that no other model has"),
        (["--adapter", "a=x", "--model", "smollm2"], "leave one out"),
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
