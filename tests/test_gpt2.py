"""Lesson 7: GPT-2 by hand is keras-nlp's and transformers'; folders load; counts are right."""

import functools
import hashlib
import http.server
import json
import shutil
import threading
from dataclasses import replace

import keras
import keras_nlp
import numpy as np
import psutil
import pytest
from lesson_code import definitions
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from utils.course.settings import read_command_line
from utils.data import downloads
from utils.data.keras_tokenizers import GPT2Tokenizer, folder, load_tokenizer
from utils.errors import DataUnavailable
from utils.models.gpt2 import build_gpt2

CONTEXT = 256
FOUR_FILES = ("config.json", "vocab.json", "merges.txt", "model.safetensors")
tokenizer = load_tokenizer("en")
lesson = definitions(
    "07_gpt2",
    constants=["SIZES", "PRESETS", "FILES"],
    **{"np": np, "json": json, "shutil": shutil, "keras": keras, "keras_nlp": keras_nlp},
    **{"save_file": save_file, "SafetensorError": SafetensorError, "folder": folder},
    **{"download": downloads.download, "DataUnavailable": DataUnavailable},
    **{"tokenizer": tokenizer, "CONTEXT": CONTEXT},
)
lesson.END = tokenizer.token_to_id("<|endoftext|>")


def config_of(layers, heads, width, context, vocabulary):
    return {
        "model_type": "gpt2",
        "architectures": ["GPT2LMHeadModel"],
        "n_layer": layers,
        "n_head": heads,
        "n_embd": width,
        "n_positions": context,
        "vocab_size": vocabulary,
        "resid_pdrop": 0.0,
    }


def backbone_of(config):
    return keras_nlp.models.GPT2Backbone(
        vocabulary_size=config["vocab_size"],
        num_layers=config["n_layer"],
        num_heads=config["n_head"],
        hidden_dim=config["n_embd"],
        intermediate_dim=4 * config["n_embd"],
        max_sequence_length=config["n_positions"],
        dropout=0.0,
    )


def from_folder(path):
    return keras_nlp.models.GPT2CausalLM.from_preset(str(path), preprocessor=None)


CONFIGS = [
    config_of(1, 1, 4, 7, 5),
    config_of(2, 3, 12, 16, 300),
    config_of(3, 2, 20, 9, 31),
    config_of(4, 4, 128, CONTEXT, tokenizer.vocabulary_size()),
]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: str(config["n_embd"]))
def test_by_hand_it_equals_the_library(config):
    rng = np.random.default_rng(0)
    model = keras_nlp.models.GPT2CausalLM(backbone=backbone_of(config), preprocessor=None)
    model.set_weights([rng.normal(size=array.shape) / 3 for array in model.get_weights()])
    ids = rng.integers(0, config["vocab_size"], size=(3, config["n_positions"]))
    weights = lesson.as_published(model.backbone)
    assert {name: array.shape for name, array in weights.items()} == lesson.shapes(config)
    theirs = np.array(model(lesson.feed(ids)))
    assert np.abs(theirs).max() > 0.1
    assert lesson.largest_difference(lesson.gpt2(ids, weights, config), theirs) < 1e-5


# What transformers 5.23 with torch 2.13 answers at the last place, with the weights below.
REFERENCE_CONFIG = config_of(2, 2, 8, 6, 11)
REFERENCE_IDS = np.array([[3, 1, 4, 1, 5, 9], [2, 6, 5, 3, 5, 10]])
REFERENCE = [
    [-1.4176948, -1.0260159, -0.2727742, -0.0101827, -0.8550602, -0.2473139]
    + [-0.9804148, -0.1285945, -0.1068704, -0.3388432, 0.0693652],
    [-1.4469366, -1.0244540, -0.2622334, 0.0895935, -0.9106522, -0.1905691]
    + [-0.9573960, 0.0088893, -0.0489905, -0.2817228, 0.2352061],
]


def reference_weights():
    """Numbers between -0.6 and 0.6 without a pattern, the same on every machine."""
    return {
        name: (0.6 * np.sin(np.arange(np.prod(shape)) ** 1.5 + number))
        .reshape(shape)
        .astype("float32")
        for number, (name, shape) in enumerate(lesson.shapes(REFERENCE_CONFIG).items())
    }


def test_logits_are_those_of_transformers(tmp_path):
    weights = reference_weights()
    by_hand = lesson.gpt2(REFERENCE_IDS, weights, REFERENCE_CONFIG)
    assert np.abs(by_hand[:, -1] - REFERENCE).max() < 1e-4
    lesson.save_folder(weights, REFERENCE_CONFIG, tmp_path)
    by_keras = np.array(from_folder(tmp_path)(lesson.feed(REFERENCE_IDS)))
    assert np.abs(by_keras[:, -1] - REFERENCE).max() < 1e-4


def test_a_folder_gives_back_the_same_model_and_tokenizer(tmp_path):
    config = CONFIGS[1] | {"vocab_size": tokenizer.vocabulary_size()}
    weights = lesson.random_weights(config, np.random.default_rng(1))
    lesson.save_folder(weights, config, tmp_path)
    back = lesson.as_published(from_folder(tmp_path).backbone)
    assert back.keys() == weights.keys()
    assert all(np.array_equal(back[name], weights[name]) for name in weights)
    loaded = GPT2Tokenizer.from_preset(str(tmp_path))
    for text in ["The crow flew.", "  two  spaces\n\n", "猫 👩‍🚀", "a<|endoftext|>"]:
        assert np.array_equal(loaded(text), tokenizer(text))
    assert loaded.token_to_id("<|endoftext|>") == lesson.END > 0


def test_names_with_the_prefix_of_newer_programs_load_too(tmp_path):
    weights = reference_weights()
    lesson.save_folder(weights, REFERENCE_CONFIG, tmp_path)
    renamed = {f"transformer.{name}": array for name, array in weights.items()}
    save_file(renamed, tmp_path / "model.safetensors")
    back = lesson.as_published(from_folder(tmp_path).backbone)
    assert all(np.array_equal(back[name], weights[name]) for name in weights)


def test_the_future_is_hidden():
    config, rng = CONFIGS[2], np.random.default_rng(2)
    weights = lesson.random_weights(config, rng)
    ids = rng.integers(0, 31, size=(1, 9))
    changed = ids.copy()
    changed[0, 5] = (ids[0, 5] + 1) % 31
    before, after = lesson.gpt2(ids, weights, config), lesson.gpt2(changed, weights, config)
    assert np.allclose(before[:, :5], after[:, :5], atol=1e-6)
    assert (np.abs(before - after)[0, 5:].max(axis=-1) > 1e-4).all()


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: str(config["n_embd"]))
def test_all_ways_to_count_agree_with_a_model_that_was_built(config):
    built = backbone_of(config).count_params()
    assert lesson.count_parameters(config) == lesson.count_in_keras(config) == built
    assert sum(int(np.prod(shape)) for shape in lesson.shapes(config).values()) == built
    assert sum(lesson.share_of_parts(config).values()) == pytest.approx(1)


def test_the_published_sizes_have_their_published_numbers_of_parameters():
    counts = {
        name: lesson.count_parameters(lesson.published_config(*size))
        for name, size in lesson.SIZES.items()
    }
    published = {"124M": 124439808, "355M": 354823168, "774M": 774030080, "1.5B": 1557611200}
    assert counts == published


def test_counting_takes_no_memory_for_the_weights():
    before = psutil.Process().memory_info().rss
    lesson.count_in_keras(lesson.published_config(*lesson.SIZES["355M"]))
    with keras.StatelessScope():
        pass  # at its end Keras makes all arrays that it has put off
    assert psutil.Process().memory_info().rss - before < 300e6  # the weights would take 1,400e6


@pytest.mark.parametrize("vocabulary_size", [300, tokenizer.vocabulary_size()])
def test_a_fresh_model_knows_nothing(vocabulary_size):
    keras.utils.set_random_seed(3)
    model = build_gpt2(vocabulary_size)
    ids = np.random.default_rng(3).integers(0, vocabulary_size, size=(4, 64))
    loss = lesson.mean_loss(np.array(model(lesson.feed(ids[:, :-1]))), ids[:, 1:])
    assert loss == pytest.approx(np.log(vocabulary_size), abs=0.05)


class Counting:
    """A model that expects each id to be followed by the next number; place 0 counts, too."""

    def predict_on_batch(self, inputs):
        ids = inputs["token_ids"]
        assert ids.shape == (1, CONTEXT)  # one shape, or Keras would trace again
        return np.eye(20)[(ids + 1) % 20]


def test_greedy_keeps_the_beginning_and_takes_the_likeliest():
    continued = lesson.continue_greedily(Counting(), np.array([7, 3, 11]), 7)
    assert continued.tolist() == [7, 3, 11, 12, 13, 14, 15]


def damaged_folders(path):
    """Folders that hold no usable GPT-2, by what is wrong with them."""
    lesson.save_folder(reference_weights(), REFERENCE_CONFIG, path / "good")
    for name in ["empty", "another kind", "no weights", "cut off", "another shape", "no config"]:
        shutil.copytree(path / "good", path / name)
    shutil.rmtree(path / "empty")
    (path / "empty").mkdir()
    (path / "another kind" / "config.json").write_text('{"model_type": "cat"}', encoding="utf-8")
    (path / "no weights" / "model.safetensors").unlink()
    whole = (path / "cut off" / "model.safetensors").read_bytes()
    (path / "cut off" / "model.safetensors").write_bytes(whole[:-100])
    config = json.dumps(REFERENCE_CONFIG | {"n_positions": 7})
    (path / "another shape" / "config.json").write_text(config, encoding="utf-8")
    (path / "no config" / "config.json").write_text('{"model_type": "gpt2"}', encoding="utf-8")
    return [folder for folder in path.iterdir() if folder.name != "good"]


def test_a_damaged_folder_is_one_sentence(tmp_path):
    for path in damaged_folders(tmp_path):
        with pytest.raises(DataUnavailable) as caught:
            lesson.load_published(str(path))
        sentence = str(caught.value)
        assert sentence.startswith(str(path)) and "model.safetensors" in sentence
        assert "\n" not in sentence


def test_a_good_folder_loads_whole_and_writes(tmp_path):
    config = CONFIGS[3] | {"n_layer": 1, "n_embd": 16}
    lesson.save_folder(lesson.random_weights(config, np.random.default_rng(4)), config, tmp_path)
    model = lesson.load_published(str(tmp_path))
    model.compile(sampler="greedy")
    assert model.generate("The crow", max_length=12).startswith("The crow")
    assert load_file(tmp_path / "model.safetensors").keys() == lesson.shapes(config).keys()


@pytest.fixture
def serve(tmp_path):
    """Serve a folder on this machine; returns its address."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=functools.partial(server.serve_forever, 0.01)).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_the_published_one_is_downloaded_and_loads(serve, tmp_path, monkeypatch):
    """Files of the same names and format, in another size, from the second of two mirrors."""
    config = CONFIGS[3] | {"n_layer": 1, "n_embd": 16}
    weights = lesson.random_weights(config, np.random.default_rng(5))
    lesson.save_folder(weights, config, tmp_path / "mirror")
    parts = []
    for part in downloads.DOWNLOADS["gpt2"].parts:
        name = part.file.removeprefix("gpt2/")
        data = (tmp_path / "mirror" / name).read_bytes()
        urls = (f"{serve}/nothing/{name}", f"{serve}/mirror/{name}")
        digest = hashlib.sha256(data).hexdigest()
        parts.append(replace(part, urls=urls, sha256=digest, bytes=len(data)))
    assert {part.file for part in parts} == {f"gpt2/{name}" for name in FOUR_FILES}
    monkeypatch.setitem(downloads.DOWNLOADS, "gpt2", downloads.Several("gpt2", tuple(parts)))
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "data"))
    model = lesson.load_published("gpt2")
    assert {path.name for path in (tmp_path / "data" / "gpt2").iterdir()} >= set(FOUR_FILES)
    model.compile(sampler="greedy")
    assert model.generate("The crow", max_length=12).startswith("The crow")
    expected = from_folder(tmp_path / "mirror").get_weights()
    for array, same in zip(model.get_weights(), expected, strict=True):
        np.testing.assert_array_equal(array, same)


def test_without_a_network_the_real_one_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")  # nobody listens there
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path))
    for preset in lesson.PRESETS:
        with pytest.raises(DataUnavailable) as caught:
            lesson.load_published(preset)
        sentence = str(caught.value)
        assert sentence.startswith(f"{preset} could not be fetched") and "\n" not in sentence
        assert "set preset to gpt2," in sentence
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "data"))
    with pytest.raises(DataUnavailable, match=r"^gpt2/config.json could not be downloaded"):
        lesson.load_published("gpt2")


def test_a_preset_is_a_known_name_or_a_folder(tmp_path, capsys):
    for good in ["none", "gpt2", *lesson.PRESETS, str(tmp_path)]:
        assert read_command_line({"preset": "none"}, ["--preset", good]).preset == good
    for bad in ["gpt3", str(tmp_path / "missing"), ""]:
        with pytest.raises(SystemExit) as exit_:
            read_command_line({"preset": "none"}, ["--preset", bad])
        assert exit_.value.code == 2
        said = capsys.readouterr().err
        assert "--preset must be none, gpt2, gpt2_base_en" in said and said.count("\n") == 1
