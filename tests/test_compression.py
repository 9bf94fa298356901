"""Lesson 18: whole numbers, pruning, distillation; int8 for GPT-2; the command that compresses."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from lesson_code import definitions
from tiny_server import CONTEXT, random_model, tiny_tokenizer, until

from benchmarks import compression as benchmark
from benchmarks.results import Results
from utils import compress
from utils.data.keras_tokenizers import as_keras
from utils.errors import CourseError, GenerationError
from utils.generation.compressed_gpt2 import (
    as_arrays,
    inputs_of_matrices,
    quantize_gpt2,
    quantize_gpt2_for_texts,
)
from utils.generation.generator import Generator
from utils.generation.int8_gpt2 import Int8GPT2
from utils.generation.plain_gpt2 import plain_logits, read_weights
from utils.generation.sampling import as_sampling
from utils.models.activation_aware import (
    activation_aware_bytes,
    dequantize_activation_aware,
    factors_of,
    quantize_activation_aware,
)
from utils.models.compressed import FILE, load_compressed
from utils.models.compression import (
    dequantize,
    pack,
    prune,
    quantize,
    quantize_for_inputs,
    quantized_bytes,
    round_between,
    unpack,
)
from utils.models.gpt2 import from_ids
from utils.paths import DATASETS
from utils.serving.__main__ import load_engine, load_model, read_command_line
from utils.serving.__main__ import main as serve
from utils.training.presets import save_preset
from utils.training.shrinking import narrowed, probabilities_of, train_briefly, with_zeros

lesson = definitions(
    "18_compression", np=np, keras=keras, tf=tf, quantize=quantize, dequantize=dequantize
)
TOKENIZER = tiny_tokenizer()
VOCABULARY, HEADS = len(TOKENIZER.tokens), 2
rng = np.random.default_rng(18)


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


@pytest.fixture(scope="module")
def model():
    return random_model(VOCABULARY)


@pytest.fixture(scope="module")
def weights(model):
    return as_arrays(read_weights(model))


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "my-model"
    save_preset(random_model(VOCABULARY), as_keras(TOKENIZER), folder)
    return folder


def logits_of(weights, ids):
    return np.array(plain_logits(tf.nest.map_structure(tf.constant, weights), ids, HEADS))


# ---- whole numbers -------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("shared", ["tensor", "channel", 16])
def test_a_rounded_weight_is_at_most_half_a_step_away(bits, shared):
    kernel = random(6, 64)
    kernel[2] = 0
    small = quantize(kernel, bits, shared)
    steps = np.repeat(small.scales.astype("float32"), 64 // small.scales.shape[1], axis=1)
    assert np.abs(small.numbers).max() <= 2 ** (bits - 1) - 1
    assert (np.abs(dequantize(small) - kernel) <= 0.51 * steps + 1e-7).all()
    assert not dequantize(small)[2].any()
    size = {"tensor": 1, "channel": 6, 16: 6 * 4}[shared]
    assert quantized_bytes(small, bits) == 6 * 64 * bits // 8 + 2 * size


@pytest.mark.parametrize("bits", range(2, 9))
def test_packed_numbers_come_back_and_leave_no_gap(bits):
    most = 2 ** (bits - 1) - 1
    numbers = rng.integers(-most, most + 1, size=(7, 5)).astype("int8")
    packed = pack(numbers, bits)
    assert packed.nbytes == -(-7 * 5 * bits // 8)
    assert np.array_equal(unpack(packed, bits, (7, 5)), numbers)


def test_a_zero_point_uses_every_level_and_keeps_zero():
    kernel = random(5, 64) + 1.5
    kernel[0, 3] = 0
    found = round_between(kernel, 3, 32)
    assert found[0, 3] == 0
    assert len(np.unique(found[0, 32:])) > 4  # a symmetric one would have four levels above zero
    error = np.abs(found - kernel).max()
    assert error < np.abs(dequantize(quantize(kernel, 3, 32)) - kernel).max()


@pytest.mark.parametrize("inputs", [64, 96])
def test_by_hand_it_is_keras_int8_and_int4(inputs):
    kernel, bias, x = random(inputs, 10), random(10, seed=1), random(5, inputs, seed=2)

    def quantized(*args, **kwargs):
        layer = keras.layers.Dense(10)
        layer.build((None, inputs))
        layer.set_weights([kernel, bias])
        layer.quantize(*args, **kwargs)
        return np.array(layer(x))

    assert np.abs(lesson.dense_int8(x, kernel, bias) - quantized("int8")).max() < 1e-4
    assert np.allclose(lesson.int8_by_hand(kernel.T)(x), lesson.dense_int8(x, kernel, 0))
    numbers, scales = lesson.rounded(kernel, 4, 0)
    config = keras.quantizers.Int4QuantizationConfig(block_size=-1)
    assert np.abs(x @ (numbers * scales) + bias - quantized(config=config)).max() < 1e-4
    config = keras.quantizers.Int4QuantizationConfig(block_size=32)
    ours = x @ lesson.with_zero_point(kernel, 32) + bias
    assert np.abs(ours - quantized(config=config)).max() < 1e-4


# ---- GPTQ ----------------------------------------------------------------------------------------


def similar_inputs(examples, size):
    """Inputs of which each is nearly a sum of others."""
    mixed = rng.normal(size=(examples, size // 4)) @ rng.normal(size=(size // 4, size))
    return (mixed + 0.2 * rng.normal(size=(examples, size))).astype("float32")


@pytest.mark.parametrize("bits", [3, 4])
def test_gptq_keeps_the_outputs_nearer_than_rounding_to_the_nearest(bits):
    kernel, inputs = random(12, 64), similar_inputs(300, 64)
    nearest = dequantize(quantize(kernel, bits, 16))
    found = dequantize(quantize_for_inputs(kernel, inputs, bits, 16))
    off, expected = (np.linalg.norm(inputs @ (q - kernel).T) for q in (found, nearest))
    assert off < 0.6 * expected
    assert np.linalg.norm(found - kernel) > np.linalg.norm(nearest - kernel)  # the weights are not


def test_gptq_by_least_squares_is_that_of_the_paper():
    inputs, row = similar_inputs(80, 16), random(1, 16)
    scale = float(quantize(row, 8).scales[0, 0])
    fast = dequantize(quantize_for_inputs(row, inputs, 8, 16, damping=0.0))
    assert np.abs(lesson.gptq(row, inputs, scale) - fast).max() < 1e-4 * np.abs(row).max()


def test_with_inputs_that_have_nothing_in_common_gptq_is_rounding():
    kernel, inputs = random(5, 32), np.eye(32, dtype="float32")
    found = quantize_for_inputs(kernel, inputs, 4, 32)
    assert np.array_equal(found.numbers, quantize(kernel, 4, 32).numbers)


# ---- AWQ -----------------------------------------------------------------------------------------


def unequal_inputs(examples, size, seed=0):
    """Inputs of which two are ten times as large as the others."""
    inputs = random(examples, size, seed=seed)
    inputs[:, [3, size - 5]] *= 10
    return inputs


@pytest.mark.parametrize("bits", [3, 4])
@pytest.mark.parametrize("seed", range(3))
def test_awq_keeps_the_outputs_nearer_where_a_few_inputs_are_large(bits, seed):
    kernel, inputs = random(12, 64, seed=seed), unequal_inputs(300, 64, seed + 9)
    small = quantize_activation_aware(kernel, inputs, bits, 32)
    nearest = dequantize(quantize(kernel, bits, 32))
    new = random(100, 64, seed=99) * np.abs(inputs).mean(axis=0)  # inputs that it has not seen
    for x in (inputs, new):
        found = dequantize_activation_aware(small)
        off, expected = (np.linalg.norm(x @ (q - kernel).T) for q in (found, nearest))
        assert off < 0.9 * expected
    assert 0 < small.alpha <= 1 and small.factors.argmax() in (3, 59)
    assert activation_aware_bytes(small, bits) == quantized_bytes(small.quantized, bits) + 4 * 64


@pytest.mark.parametrize("seed", range(3))
def test_awq_by_hand_is_the_fast_one(seed):
    kernel, inputs = random(8, 32, seed=seed), unequal_inputs(200, 32, seed + 5)
    error, alpha, by_hand = lesson.awq(kernel, inputs, 4, 16)
    small = quantize_activation_aware(kernel, inputs, 4, 16)
    found = dequantize_activation_aware(small)
    assert small.alpha == alpha and np.abs(found - by_hand).max() < 1e-5
    assert np.linalg.norm(inputs @ (found - kernel).T) == pytest.approx(error, rel=1e-4)


def test_without_a_difference_between_the_inputs_awq_is_rounding():
    kernel, inputs = random(5, 32), unequal_inputs(50, 32)
    assert (factors_of(inputs, 0.0) == 1).all()
    assert factors_of(inputs, 1.0).max() * factors_of(inputs, 1.0).min() == pytest.approx(1)
    nearest = dequantize(quantize(kernel, 4, 16))
    for same in (np.eye(32, dtype="float32"), np.zeros((4, 32), "float32")):
        small = quantize_activation_aware(kernel, same, 4, 16)
        assert np.array_equal(dequantize_activation_aware(small), nearest)


def test_awq_bears_an_input_that_is_always_zero():
    kernel, inputs = random(12, 64), unequal_inputs(300, 64)
    inputs[:, 7] = 0
    small = quantize_activation_aware(kernel, inputs, 4, 32)
    off = np.linalg.norm(inputs @ (dequantize_activation_aware(small) - kernel).T)
    nearest = dequantize(quantize(kernel, 4, 32))
    assert off < 0.9 * np.linalg.norm(inputs @ (nearest - kernel).T)
    assert np.isfinite(small.factors).all()


def test_awq_of_a_model_rounds_each_matrix_for_its_own_inputs(weights, monkeypatch):
    monkeypatch.setattr(benchmark, "GROUP", 8)
    ids = np.random.default_rng(1).integers(0, VOCABULARY, size=(8, CONTEXT)).astype("int32")
    found = benchmark.activation_aware(weights, HEADS, ids, 3)
    inputs = iter(inputs_of_matrices(weights, HEADS, ids))
    for block, other in zip(weights.blocks, found.weights.blocks, strict=True):
        for name in ("qkv_kernel", "out_kernel", "mlp_up_kernel", "mlp_down_kernel"):
            small = quantize_activation_aware(getattr(block, name), next(inputs), 3, 8)
            assert np.array_equal(getattr(other, name), dequantize_activation_aware(small))
    assert np.array_equal(found.weights.token_embedding, weights.token_embedding)


# ---- a whole model -------------------------------------------------------------------------------


def test_every_matrix_is_rounded_and_nothing_else(weights, model):
    smaller, size = quantize_gpt2(weights, 4, 8)
    for name in ("token_embedding", "position_embedding"):
        expected = dequantize(quantize(getattr(weights, name), 4, 8))
        assert np.array_equal(getattr(smaller, name), expected)
    for block, other in zip(weights.blocks, smaller.blocks, strict=True):
        for name, array in block._asdict().items():
            assert np.array_equal(array, getattr(other, name)) == (array.ndim == 1)
    matrices = [weights.token_embedding, weights.position_embedding]
    matrices += [array for block in weights.blocks for array in block if array.ndim == 2]
    numbers = sum(matrix.size for matrix in matrices)
    assert size == 4 * (model.count_params() - numbers) + numbers * 4 // 8 + numbers // 8 * 2
    tables = sum(matrix.size for matrix in matrices[:2])
    plain = quantize_gpt2(weights, 4, 8, tables=False)
    assert plain.size == size + 4 * tables - tables * 4 // 8 - tables // 8 * 2


def test_for_texts_the_logits_stay_nearer(weights):
    ids = np.random.default_rng(1).integers(0, VOCABULARY, size=(8, CONTEXT)).astype("int32")
    exact = logits_of(weights, ids)
    nearest = quantize_gpt2(weights, 3, 8, tables=False)
    found = quantize_gpt2_for_texts(weights, HEADS, ids, 3, 8)
    off, expected = (np.linalg.norm(logits_of(w, ids) - exact) for w, _ in (found, nearest))
    assert off < expected and found.size == nearest.size
    inputs = inputs_of_matrices(weights, HEADS, ids)
    assert len(inputs) == 4 * len(weights.blocks) and len(inputs[0]) == ids.size


# ---- GPT-2 in int8 -------------------------------------------------------------------------------


def in_float32(kernel):
    return lambda x: x @ kernel.T


@pytest.mark.parametrize("new", [1, 5, 20])
def test_but_for_the_product_it_is_gpt2(weights, new):
    plain = Int8GPT2(weights, HEADS, 0, in_float32)
    ids = np.random.default_rng(2).integers(0, VOCABULARY, size=(2, 20))
    cache, found = plain.empty_cache(3), []
    for start in range(0, 20, new):
        tokens = ids[:, start : start + new]
        x = plain.read(tokens, np.full(2, start), cache, [2, 0])
        found.append(plain.logits(x).reshape(2, tokens.shape[1], -1))
    expected = logits_of(weights, ids)
    assert np.abs(np.concatenate(found, axis=1) - expected).max() < 1e-4 * np.abs(expected).max()


def test_in_int8_it_predicts_nearly_the_same(weights):
    ids = np.random.default_rng(3).integers(0, VOCABULARY, size=(1, 30))
    int8 = Int8GPT2(weights, HEADS, 0)
    found = int8.logits(int8.read(ids, np.zeros(1, int), int8.empty_cache(1), [0]))
    expected = logits_of(weights, ids)[0]
    assert 1e-4 < np.sqrt(np.mean((found - expected) ** 2)) / expected.std() < 0.1


def test_the_likeliest_text_is_that_of_the_compiled_loop(model, weights):
    end_id = TOKENIZER.end_id
    plain = Int8GPT2(weights, HEADS, end_id, in_float32)
    for prompt in ([end_id], [5, 3, 8, 13]):
        expected = Generator(model, end_id)([prompt], CONTEXT, top_k=1)[0]
        assert [*prompt, *plain.continued(prompt, CONTEXT)] == expected
    for prompt, length in [([], 9), ([VOCABULARY], 9), ([1] * 9, 9), ([1], CONTEXT + 1)]:
        with pytest.raises(GenerationError):
            plain.continued(prompt, length)


def test_the_server_writes_with_it(preset):
    engine, _ = load_engine(preset, "tiny", 2, 4, weights="int8")
    int8 = Int8GPT2(read_weights(load_model(preset)), HEADS, TOKENIZER.end_id)
    replies = [engine.submit([5, 3 + i], 20, as_sampling(1.0, 1, 1.0), 0) for i in range(2)]
    for i, reply in enumerate(replies):
        expected = [id for id in int8.continued([5, 3 + i], 20) if id != TOKENIZER.end_id]
        assert list(reply) == expected
    assert until(lambda: engine.load == (0, 0))
    engine.close()


@pytest.mark.parametrize(
    "words",
    [
        ["--weights", "int8"],
        ["--weights", "int4", "--preset", "x"],
        ["--weights", "int8", "--preset", "x", "--adapter", "a=b"],
        ["--context", "512", "--preset", "x"],
    ],
    ids=" ".join,
)
def test_int8_where_it_makes_no_sense_is_one_sentence(words, capsys):
    with pytest.raises(SystemExit) as end:
        read_command_line(words)
    said = capsys.readouterr().err
    assert end.value.code == 2 and said.count("\n") == 1


# ---- pruning and distillation --------------------------------------------------------------------


class Rows:
    """Texts in which a token is followed by the next number."""

    context = 12

    def batch(self, step, batch_size, seed):
        starts = np.random.default_rng([seed, step]).integers(0, 20, size=(batch_size, 1))
        rows = (starts + np.arange(self.context + 1)) % 20
        return rows.astype("int32"), np.ones((batch_size, self.context), "float32")


def test_prune_takes_the_smallest():
    assert np.array_equal(prune(np.array([3.0, -1.0, 2.0, 0.5]), 0.5), [3, 0, 2, 0])
    assert np.array_equal(prune(np.array([3.0, -1.0]), 0.0), [3, -1])
    assert not prune(np.array([3.0, -1.0]), 1.0).any()


def test_zeros_stay_zero_while_the_others_learn(model):
    half = with_zeros(model, 0.5)
    before = half.backbone.get_weights()
    losses = train_briefly(half, Rows(), steps=4, batch_size=4, rate=0.01)
    assert len(losses) == 4 and np.isfinite(losses).all()
    for variable, old in zip(half.backbone.weights, before, strict=True):
        new = variable.numpy()
        assert not np.array_equal(new, old)
        if variable.name == "kernel":
            assert np.mean(old == 0) == pytest.approx(0.5, abs=0.01)
            assert not new[old == 0].any()
    assert (model.backbone.transformer_layers[0]._feedforward_output_dense.kernel.numpy()).all()


def test_units_that_do_nothing_are_the_first_to_go(model):
    layers = model.backbone.transformer_layers
    saved = model.backbone.get_weights()
    hidden = model.backbone.intermediate_dim
    idle = np.arange(0, hidden, 2)
    for layer in layers:
        dense = layer._feedforward_output_dense
        kernel = dense.kernel.numpy()
        kernel[idle] = 0
        dense.kernel.assign(kernel)
    small = narrowed(model, hidden - len(idle))
    ids = np.array([[1, 2, 3, 4]])
    difference = np.abs(np.array(from_ids(small)(ids)) - np.array(from_ids(model)(ids))).max()
    model.backbone.set_weights(saved)
    assert difference < 1e-4
    for wrong in (0, hidden + 1):
        with pytest.raises(CourseError, match=f"from 1 to {hidden}"):
            narrowed(model, wrong)


def test_a_student_comes_to_predict_as_its_teacher(model):
    ids, _ = Rows().batch(99, 8, 0)

    def distance(student):
        teacher, ours = (np.array(probabilities_of(m)(ids)) for m in (model, student))
        return float(np.mean(np.sum(teacher * np.log(teacher / ours), axis=-1)))

    student = random_model(VOCABULARY, seed=5)
    before = distance(student)
    train_briefly(student, Rows(), steps=30, batch_size=8, rate=0.02, teacher=model)
    assert distance(student) < 0.7 * before


# ---- the command ---------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [8, 4])
def test_a_compressed_model_is_smaller_and_is_served(bits, preset, tmp_path, capsys):
    to = tmp_path / "small"
    assert compress.main([str(preset), "--bits", str(bits), "--to", str(to)]) == 0
    before, after = (preset / "model.weights.h5").stat().st_size, (to / FILE).stat().st_size
    assert after < before and f"{after:,}" in capsys.readouterr().out
    assert not (to / "model.weights.h5").exists()
    smaller, exact = load_model(to), load_model(preset)
    assert smaller.preprocessor.tokenizer.vocabulary == exact.preprocessor.tokenizer.vocabulary
    for new, old in zip(smaller.backbone.weights, exact.backbone.weights, strict=True):
        assert new.path == old.path
        limit = np.abs(old).max() / (2 ** (bits - 1) - 1) if new.name != "bias" else 0
        assert np.abs(new.numpy() - old.numpy()).max() <= 0.51 * limit + 1e-6
    engine, _ = load_engine(to, "small", 1, 1)
    assert list(engine.submit([5], 12, as_sampling(1.0, 1, 1.0), 0))
    engine.close()


def test_what_cannot_be_compressed_is_one_sentence(preset, tmp_path, capsys):
    to = tmp_path / "small"
    assert compress.main([str(preset), "--to", str(to)]) == 0
    capsys.readouterr()
    empty = tmp_path / "empty"
    empty.mkdir()
    for model, folder in [
        (str(preset), to),  # exists
        (str(to), tmp_path / "b"),  # compressed already
        (str(empty), tmp_path / "b"),
        ("no-such-run", tmp_path / "b"),
    ]:
        assert compress.main([model, "--to", str(folder)]) == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1 and "Traceback" not in said
    assert not (tmp_path / "b").exists()
    for words in ([str(preset)], [str(preset), "--to", "x", "--bits", "5"]):
        with pytest.raises(SystemExit) as end:
            compress.main(words)
        assert end.value.code == 2 and capsys.readouterr().err.count("\n") == 1


def test_a_folder_that_cannot_be_written_is_one_sentence(preset, tmp_path, capsys):
    (tmp_path / "file").touch()
    to = tmp_path / "file" / "small"
    assert compress.main([str(preset), "--to", str(to)]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"{to} cannot be written (") and said.count("\n") == 1
    assert said.endswith("free some space, or give --to another folder.\n")


@pytest.mark.parametrize("damage", ["half", "nothing", "other numbers"])
def test_a_damaged_file_is_one_sentence(damage, preset, tmp_path, capsys):
    to = tmp_path / "small"
    compress.main([str(preset), "--to", str(to)])
    data = (to / FILE).read_bytes()
    if damage == "other numbers":
        np.savez(to / FILE, bits=np.array(8))
    else:
        (to / FILE).write_bytes(data[: len(data) // 2] if damage == "half" else b"")
    with pytest.raises(CourseError, match="utils.compress"):
        load_compressed(to)
    capsys.readouterr()
    assert serve(["--port", "0", "--preset", str(to)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


# ---- the benchmark -------------------------------------------------------------------------------


def test_a_benchmark_that_was_stopped_goes_on(tmp_path):
    results = Results(tmp_path / "results.json")
    runs, made = {"a": {"kind": "x"}, "b": {"kind": "y"}}, []

    def make(setting):
        made.append(setting["kind"])
        return {"bytes": 1, "loss": 1.0, "valid": 0.5}

    benchmark.complete(results, {"a": runs["a"]}, make)
    benchmark.complete(Results(tmp_path / "results.json"), runs, make)
    assert made == ["x", "y"]
    changed = {"a": {"kind": "z"}, "b": runs["b"]}
    benchmark.complete(Results(tmp_path / "results.json"), changed, make)
    assert made == ["x", "y", "z"]


def test_the_shipped_file_has_every_point_with_its_prices():
    data = json.loads((DATASETS / "compression.json").read_text(encoding="utf-8"))
    plan = benchmark.plan()
    assert data["runs"].keys() == plan.keys()
    for name, run in data["runs"].items():
        assert run["setting"] == json.loads(json.dumps(plan[name]))
        if "loss" in run:
            assert run["loss"] > data["floor"] and 0 <= run["valid"] <= 1
    floats, four = data["runs"]["float32"], data["runs"]["4 bits, groups of 32"]
    assert four["bytes"] < floats["bytes"] / 6 and four["loss"] > floats["loss"]
    speeds = data["runs"]["speeds 124M"]["tokens_per_second"]
    assert speeds["int8"] > 1.6 * speeds["float32"]


def test_the_weights_of_a_quantized_keras_model_are_those_it_multiplies_by(model, weights):
    exact = benchmark.effective_weights(weights, model.backbone)
    for block, other in zip(weights.blocks, exact.blocks, strict=True):
        for name in ("qkv_kernel", "out_kernel", "mlp_up_kernel", "mlp_down_kernel"):
            assert np.abs(getattr(block, name) - getattr(other, name)).max() < 1e-5
