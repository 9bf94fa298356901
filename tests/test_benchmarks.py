"""The benchmarks beside other programs: honest comparisons, sentences for mistakes."""

import importlib
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest

from benchmarks import generation, nanogpt
from utils.errors import CourseError


@pytest.fixture
def checkout(tmp_path):
    """A folder with the files of nanoGPT that the benchmark copies."""
    folder = tmp_path / "nanoGPT"
    (folder / "config").mkdir(parents=True)
    for name in ("train.py", "model.py", "configurator.py", "config/train_shakespeare_char.py"):
        (folder / name).write_text("", encoding="utf-8")
    return folder


def test_both_read_the_whole_text_nine_tenths_to_train_on(tmp_path):
    text = "from 一条直线 to GPT\n" * 100
    nanogpt.prepare(text, tmp_path / "data")
    meta = pickle.loads((tmp_path / "data" / "meta.pkl").read_bytes())
    train, validation = (
        "".join(meta["itos"][i] for i in np.fromfile(tmp_path / "data" / f"{name}.bin", "<u2"))
        for name in ("train", "val")
    )
    assert train + validation == text
    assert len(train) == int(0.9 * len(text))
    assert meta["vocab_size"] == len(set(text))


def test_a_checkout_is_copied_and_left_alone(checkout, tmp_path):
    (tmp_path / "copy").mkdir()
    before = sorted(checkout.rglob("*"))
    nanogpt.copy_scripts(str(checkout), tmp_path / "copy")
    assert (tmp_path / "copy" / "config" / "train_shakespeare_char.py").is_file()
    assert sorted(checkout.rglob("*")) == before


def test_both_speeds_are_medians_of_the_same_number_of_steps():
    from benchmarks import characters, training_speed

    assert nanogpt.STEPS_IN_A_GROUP == characters.STEPS_IN_A_CALL
    assert nanogpt.GROUPS == training_speed.CALLS
    log = "step 0: train loss 4.2, val loss 4.3\niter 0: loss 4.2, time 900.00ms, mfu -100.00%\n"
    times = [30, 34] * 25 + [31, 33] * 25 + [500] * 50  # three groups, one of them disturbed
    log += "".join(
        f"iter {number}: loss 4.1, time {time}.00ms, mfu 0.05%\n"
        for number, time in enumerate(times, start=1)
    )
    assert nanogpt.speed_from_log(log) == pytest.approx(12 * 64 / 0.032)


def test_a_ratio_of_times_below_one_means_that_we_are_faster():
    pair = nanogpt.Pair(72.0, 18.0, 1.9, 1.86, 30_000, 26_000, 39_000)
    assert pair.time_ratio == 0.25
    assert pair.speed_ratio == 1.5
    assert pair.recipe_ratio == 1.3


@pytest.mark.parametrize("difference", [0.0, 1e-3])
def test_both_must_start_with_the_same_loss(monkeypatch, tmp_path, difference):
    nanogpt.prepare("from a line to GPT\n" * 100, tmp_path / "data" / "text")
    commands = []

    def run(command, folder):
        commands.append(command)
        return 1.0, f"warning\n{our_loss + difference}\n"

    from benchmarks import characters, training_speed

    _, ids, vocabulary_size = characters.read(tmp_path / "data" / "text")
    windows = characters.Windows(ids, 64, end_id=0)
    our_loss = characters.validation_loss(training_speed.new_model(vocabulary_size), windows)
    monkeypatch.setattr(nanogpt, "run", run)
    if difference:
        with pytest.raises(CourseError, match="not the same model"):
            nanogpt.prepare_same_model("python", tmp_path)
    else:
        assert nanogpt.prepare_same_model("python", tmp_path) == (our_loss, our_loss)
    assert "weights.npz" in commands[0] and "windows.npz" in commands[1]
    weights = np.load(tmp_path / "weights.npz")
    assert weights["h.3.mlp.c_proj.weight"].shape == (512, 128)
    assert np.load(tmp_path / "windows.npz")["weights"].sum() == len(ids) - 1


def main(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["nanogpt", *map(str, arguments)])
    nanogpt.main()


def test_a_folder_without_nanogpt_gets_one_sentence(monkeypatch, tmp_path):
    text = tmp_path / "text"
    text.write_text("a" * nanogpt.SHORTEST, encoding="utf-8")
    for folder in (tmp_path, tmp_path / "missing", ""):
        with pytest.raises(CourseError, match="is no checkout of nanoGPT"):
            main(monkeypatch, folder, text)


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "cannot be read"), (b"\xff\xfe\x00", "not text in UTF-8"), (b"short", "5 characters")],
)
def test_a_bad_text_gets_one_sentence(monkeypatch, checkout, tmp_path, content, message):
    text = tmp_path / "text"
    if content is not None:
        text.write_bytes(content)
    with pytest.raises(CourseError, match=message):
        main(monkeypatch, checkout, text)


def test_a_python_without_torch_gets_one_sentence(checkout):
    for python in ("/no/python", "false"):
        with pytest.raises(CourseError, match="pip install torch numpy"):
            nanogpt.python_with_torch(str(checkout), python)


def test_a_failed_process_is_reported_with_its_last_words(tmp_path):
    with pytest.raises(CourseError, match="failed: SystemExit: no room|failed: no room"):
        nanogpt.run([sys.executable, "-c", "raise SystemExit('no room')"], tmp_path)


def test_without_arguments_make_bench_says_what_is_missing():
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.nanogpt", "", ""], capture_output=True, encoding="utf-8"
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1


def test_the_loss_of_a_text_counts_each_character_once():
    from benchmarks import characters
    from utils.data.batches import Windows
    from utils.models.gpt2 import build_gpt2
    from utils.models.sizes import ModelSize

    model = build_gpt2(5, ModelSize(1, 1, 8, 512, 64))
    ids = np.random.default_rng(0).integers(0, 5, 200)  # three whole windows and the rest
    loss = 0.0
    for start in range(0, 199, 64):
        row = ids[start : start + 65]
        inputs = {"token_ids": row[None, :-1], "padding_mask": np.ones((1, len(row) - 1))}
        logits = np.asarray(model(inputs))[0]
        logits = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
        loss -= logits[np.arange(len(row) - 1), row[1:]].sum()
    ours = characters.validation_loss(model, Windows(ids, 64, end_id=0))
    assert ours == pytest.approx(loss / 199, abs=1e-5)


def test_importing_it_leaves_the_environment_alone(monkeypatch):
    """Else the processes that are started later compile, and so round, unlike this one."""
    from benchmarks import characters, training_speed

    monkeypatch.delenv("XLA_FLAGS", raising=False)
    importlib.reload(characters)
    importlib.reload(training_speed)
    assert "XLA_FLAGS" not in os.environ


def test_each_call_learns():
    import keras

    from benchmarks import characters
    from utils.data.batches import Windows
    from utils.models.gpt2 import build_gpt2
    from utils.models.sizes import ModelSize

    model = build_gpt2(5, ModelSize(1, 1, 8, 512, 64))
    optimizer = keras.optimizers.Adam(0.05)
    steps = characters.step_function(model, optimizer, batch_size=2)
    windows = Windows(np.resize([0, 1, 2, 3], 500), 64, end_id=4)
    losses = [float(steps(characters.batches(windows, call, batch_size=2))) for call in range(3)]
    assert int(optimizer.iterations) == 3 * characters.STEPS_IN_A_CALL
    assert losses[0] < np.log(5) and losses[-1] < 0.5


def test_shares_of_a_batch_learn_what_the_whole_batch_learns(monkeypatch):
    import keras

    from benchmarks import characters, training_speed
    from utils.data.batches import Windows
    from utils.models.gpt2 import build_gpt2
    from utils.models.sizes import ModelSize

    for module in (characters, training_speed):
        monkeypatch.setattr(module, "STEPS_IN_A_CALL", 3)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    batches = characters.batches(
        Windows(np.random.default_rng(0).integers(0, 5, 2000), 64, end_id=0), 0, batch_size=4
    )
    trained = []
    for shared in (False, True):
        keras.utils.set_random_seed(0)
        model = build_gpt2(5, ModelSize(1, 2, 16, 512, 64))
        before = [variable.numpy() for variable in model.trainable_variables]
        optimizer = keras.optimizers.SGD(0.1, momentum=0.9, global_clipnorm=1.0)
        if shared:
            training_speed.quicken(model)
            weights = training_speed.FlatWeights(model)
            training_speed.shared_step_function(model, weights, optimizer, batch_size=4)(batches)
            weights.write_back()
        else:
            characters.step_function(model, optimizer, batch_size=4)(batches)
        trained.append([variable.numpy() for variable in model.trainable_variables])
    changed = 0
    for start, alone, together in zip(before, *trained, strict=True):
        np.testing.assert_allclose(together, alone, atol=1e-5)
        changed += np.abs(alone - start).max() > 1e-3
    assert changed > len(before) // 3  # or there was little to compare


def gradients(layer, x, upstream):
    """What a layer makes of x, and the gradients of x and of its variables, all in one vector.

    Compiled by XLA, as they are in training.
    """
    import tensorflow as tf

    layer.build(x.shape)
    for seed, variable in enumerate(layer.trainable_variables):
        variable.assign(np.random.default_rng(seed).normal(size=variable.shape))

    @tf.function(jit_compile=True)
    def compute(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x)
        results = [y, *tape.gradient(y, [x, *layer.trainable_variables], upstream)]
        return tf.concat([tf.reshape(result, [-1]) for result in results], 0)

    return compute(x)


@pytest.mark.parametrize(
    ("name", "arguments", "outputs"),
    [
        ("LayerNormalization", {"epsilon": 1e-5}, 16),
        ("Dense", {"units": 8, "activation": "gelu"}, 8),
        ("Dense", {"units": 48}, 48),
    ],
)
def test_the_quick_layers_are_keras_own(name, arguments, outputs):
    import keras
    import tensorflow as tf

    from benchmarks import training_speed

    rng = np.random.default_rng(0)
    x = tf.constant(rng.normal(2, 3, (4, 7, 16)), tf.float32)
    upstream = tf.constant(rng.normal(2, 3, (4, 7, outputs)), tf.float32)
    keras_own = getattr(keras.layers, name)(**arguments)
    ours = getattr(training_speed, f"Quick{name}")(**arguments)
    expected = gradients(keras_own, x, upstream)
    np.testing.assert_allclose(gradients(ours, x, upstream), expected, rtol=1e-4, atol=1e-3)


def test_every_layer_that_can_be_is_made_quick():
    from benchmarks import training_speed

    model = training_speed.new_model(5)
    training_speed.quicken(model)
    kinds = [type(layer).__name__ for layer in model._flatten_layers()]
    layers = training_speed.SIZE.layers
    assert kinds.count("QuickDense") == 2 * layers
    assert kinds.count("QuickLayerNormalization") == 2 * layers + 1


# ---- generation ----------------------------------------------------------------------------------


def test_a_peer_answers_task_by_task(tmp_path):
    script = tmp_path / "peer.py"
    script.write_text(
        "import json, sys\n"
        "print(json.dumps({'versions': 'echo 1'}), flush=True)\n"
        "for line in sys.stdin:\n"
        "    print(json.dumps({'heard': json.loads(line)}), flush=True)\n",
        encoding="utf-8",
    )
    peer = generation.Peer(sys.executable, script)
    assert peer.versions == "echo 1"
    assert [peer.ask(seed=seed)["heard"]["seed"] for seed in range(3)] == [0, 1, 2]
    peer.close()
    assert peer.process.returncode == 0


def test_a_python_without_the_peers_is_one_sentence(tmp_path):
    script = tmp_path / "peer.py"
    script.write_text("import no_such_package", encoding="utf-8")
    with pytest.raises(CourseError, match="-m pip install torch transformers ctranslate2"):
        generation.Peer(sys.executable, script)
    with pytest.raises(CourseError, match="no_such_python cannot be started"):
        generation.Peer(str(tmp_path / "no_such_python"), script)


def test_the_first_call_is_no_part_of_the_median(monkeypatch):
    monkeypatch.setattr("benchmarks.generation.PAUSE", 0)
    seconds = {"ours": [9.0, 1.0, 5.0, 2.0], "theirs": [7.0, 4.0, 4.0, 4.0]}
    runs = {program: times.__getitem__ for program, times in seconds.items()}
    assert generation.measure(runs, 3) == ({"ours": 9, "theirs": 7}, {"ours": 2, "theirs": 4})


@pytest.mark.parametrize(
    ("ours", "ctranslate2", "same", "good"),
    [(0.4, 9.0, True, True), (0.4, 0.1, True, True), (0.6, 9.0, True, False)]
    + [(0.4, 9.0, False, False)],
)
def test_only_transformers_and_other_texts_fail(ours, ctranslate2, same, good, monkeypatch):
    """Wanted is twice the speed of transformers, which takes one second."""
    monkeypatch.setattr("benchmarks.generation.PAUSE", 0)
    seconds = {"this course": ours, "transformers": 1.0, "CTranslate2 float32": ctranslate2}
    runs = {program: lambda seed, time=time: time for program, time in seconds.items()}
    monkeypatch.setattr(generation, "make_model", lambda shape, folder: None)
    monkeypatch.setattr(generation, "check_same", lambda model, peers, new: same)
    monkeypatch.setattr(generation, "programs", lambda *case: runs)
    assert generation.compare("case", {}, 2, 10, 3, 2.0, {}, None, 20.0) is good
