"""What fewer bits cost: bytes, loss over the floor, share of valid stories, tokens a second.

    python -m benchmarks.compression                        # all runs, about 35 CPU minutes
    python -m benchmarks.compression --list                 # what there is so far
    python -m benchmarks.compression --peer ../hf/bin/python    # CTranslate2 beside it, see below

Lesson 18 shows the result, `datasets/compression.json`. Each run is written when it is complete; a
command that was stopped goes on with the next one. `--again` begins from nothing.

All points start from the small GPT-2 of `python -m utils.small_gpt2` and are judged alike: by the
loss on held-out tales, and by stories that they tell from nothing at temperature 1, with the same
random numbers. Speeds are measured in turns: those of the small model in processor seconds, which
other programs hardly change, those at the shape of GPT-2 124M by the clock, because there several
threads and processes take part.

`--peer` is the Python of an environment with torch, transformers and ctranslate2. With it, the run
at the shape of GPT-2 124M also has CTranslate2, an inference engine in C++.
"""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter, process_time, sleep
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy: see utils/serving/__main__.py

import numpy as np

from benchmarks.generation import GPT2_124M, PAUSE, PROMPT, Peer, make_model
from benchmarks.results import Results, command
from utils.command_line import run as run_command
from utils.models.sizes import SIZES
from utils.paths import DATASETS

FILE = DATASETS / "compression.json"
TALES, STORIES, SEED = 200, 300, 18  # held-out tales for the loss, stories for validity
GROUP = 32  # inputs that share a scale
CALIBRATION = 64  # tales that GPTQ and AWQ look at
METHODS = ("nearest", "GPTQ", "AWQ", "nearest, zero point", "Keras GPTQ", "Keras AWQ")
ONE_LAYER = {"layers": 1}
NARROW = {"width": 64, "heads": 1, "feed_forward": 256}  # only its speed is measured
STEPS, BATCH, SEEDS = 400, 16, (0, 1)  # of healing and distillation
HEALING_RATE, STUDENT_RATE = 0.005, 0.02
ZEROS, HIDDEN = (0.3, 0.5), (384, 256)  # what healing begins with
REPETITIONS, NEW = 5, 248  # of the small model's speeds: medians of so many texts, new tokens
LARGE_REPETITIONS, LARGE_NEW = 5, 56  # at the shape of 124M
MATRIX, STACKS = 1024, (1, 2, 4, 8, 16, 32, 64)  # for the effect of the cache


def plan() -> dict[str, dict]:
    """All runs by name, each with its kind and what it needs."""
    runs = {"float32": {"kind": "rounded", "bits": 32, "shared": "channel"}}
    for bits in (8, 4, 3, 2):
        for shared in ("tensor", "channel", GROUP):
            name = f"{bits} bits, {f'groups of {shared}' if shared == GROUP else f'per {shared}'}"
            runs[name] = {"kind": "rounded", "bits": bits, "shared": shared}
    runs["speeds"] = {"kind": "speeds", "repetitions": REPETITIONS, "new": NEW}
    runs["cache"] = {"kind": "cache", "matrix": MATRIX, "stacks": list(STACKS)}
    runs["speeds 124M"] = {"kind": "large", "repetitions": LARGE_REPETITIONS, "new": LARGE_NEW}
    for method in METHODS:
        runs[f"blocks, {method}"] = {"kind": "blocks", "bits": 4, "method": method}
    for seed in SEEDS:
        training: dict[str, Any] = {"steps": STEPS, "seed": seed}
        for share in ZEROS:
            runs[f"{share:.0%} zeros, seed {seed}"] = {"kind": "pruned", "share": share} | training
        for hidden in HIDDEN:
            name = f"{hidden} hidden units, seed {seed}"
            runs[name] = {"kind": "narrowed", "hidden": hidden} | training
        for name, taught in (("alone", False), ("taught", True)):
            runs[f"student {name}, seed {seed}"] = {"kind": "student", "taught": taught} | training
    return runs


# ---- the laboratory ------------------------------------------------------------------------------


class Laboratory:
    """The small GPT-2, the tales, and what judges a smaller one."""

    def __init__(self, peer: str | None = None):
        from utils.data.batches import Windows
        from utils.data.corpora import load_corpus
        from utils.small_gpt2 import pretrained
        from utils.tales import corpus as stories_of
        from utils.tales import floor
        from utils.training.presets import load_preset

        self.peer, corpus = peer, load_corpus("tales")
        self.model = load_preset(pretrained("tales").preset)
        self.heads = self.model.backbone.num_heads
        self.tokenizer, self.end_id = corpus.tokenizer, corpus.tokenizer.end_id
        self.model.preprocessor = None
        self.weights = arrays_of(self.model)
        context, documents = SIZES["small"].context, True
        self.windows = Windows(corpus.train, context, self.end_id, documents)
        validation = Windows(corpus.validation, context, self.end_id, documents)
        self.rows, self.mask = (part[:TALES] for part in validation.in_order())
        lengths = self.mask.sum(axis=1).astype(int).tolist()
        self.floor = floor(stories_of("en", "validation", TALES), lengths)[0]
        self.calibration = self.windows.in_order()[0][:CALIBRATION, :-1]
        self._generators: dict[str, Any] = {}

    def judged(self, weights) -> dict:
        """The loss and the validity of a GPT-2, given by its weights."""
        import tensorflow as tf

        weights = tf.nest.map_structure(tf.constant, weights)
        heads = max(1, weights.token_embedding.shape[1] // 64)
        return {
            "loss": round(self._loss(weights, heads), 4),
            "valid": round(self._validity(weights, heads), 4),
        }

    def _loss(self, weights, heads: int) -> float:
        total = 0.0
        for rows, mask in zip(np.split(self.rows, 4), np.split(self.mask, 4), strict=True):
            total += float(np.sum(_losses(weights, rows, heads) * mask))
        return total / float(self.mask.sum())

    def _validity(self, weights, heads: int) -> float:
        from utils.generation.generator import Generator
        from utils.tales import NotATale, parse

        parts = _parts(weights, heads)
        shapes = str([array.shape for array in weights.blocks[0]]) + str(len(weights.blocks))
        if shapes in self._generators:
            self._generators[shapes].update(parts)
        else:
            self._generators = {shapes: Generator(parts, self.end_id)}
        valid = 0
        for start in range(0, STORIES, 100):
            for ids in self._generators[shapes]([[self.end_id]] * 100, seed=SEED + start):
                try:
                    parse(self.tokenizer.decode([i for i in ids if i != self.end_id]), "en")
                    valid += 1
                except NotATale:
                    pass
        return valid / STORIES


def _parts(weights, heads: int):
    """Weights as `Generator` takes them."""
    from utils.generation.cached_gpt2 import empty_cache, read_tokens
    from utils.generation.generator import CachedModel

    context, width = weights.position_embedding.shape
    cache = partial(empty_cache, len(weights.blocks), heads, width // heads)
    return CachedModel(weights, read_tokens, cache, context, weights.token_embedding.shape[0])


def _losses(weights, rows: np.ndarray, heads: int) -> np.ndarray:
    """The loss of each token of windows (windows, time + 1): (windows, time)."""
    import tensorflow as tf

    from utils.generation.plain_gpt2 import plain_logits

    global _compiled_losses
    if _compiled_losses is None:

        @tf.function(jit_compile=True)
        def losses(weights, ids, targets, heads):
            logits = plain_logits(weights, ids, heads)
            return tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)

        _compiled_losses = losses
    return _compiled_losses(weights, rows[:, :-1], rows[:, 1:], heads).numpy()


_compiled_losses: Callable | None = None


# ---- one run of each kind ------------------------------------------------------------------------


def rounded(lab: Laboratory, bits: int, shared: str | int) -> dict:
    """All matrices rounded; 32 bits are the model as it is."""
    from utils.generation.compressed_gpt2 import quantize_gpt2

    if bits == 32:
        return {"bytes": 4 * lab.model.count_params()} | lab.judged(lab.weights)
    weights, size = quantize_gpt2(lab.weights, bits, shared)
    return {"bytes": size} | lab.judged(weights)


def blocks(lab: Laboratory, bits: int, method: str) -> dict:
    """The matrices of the blocks rounded in one of several ways, in groups; the tables are not."""
    from utils.generation.compressed_gpt2 import (
        change_matrices,
        quantize_gpt2,
        quantize_gpt2_for_texts,
    )
    from utils.models.compression import round_between

    start = perf_counter()
    texts = lab.calibration
    if method == "nearest":
        weights = quantize_gpt2(lab.weights, bits, GROUP, tables=False).weights
    elif method == "GPTQ":
        weights = quantize_gpt2_for_texts(lab.weights, lab.heads, texts, bits, GROUP).weights
    elif method == "AWQ":
        weights = activation_aware(lab.weights, lab.heads, texts, bits).weights
    elif method == "nearest, zero point":
        weights = change_matrices(
            lab.weights, lambda kernel: (round_between(kernel, bits, GROUP), 0), tables=False
        ).weights
    else:
        weights = by_keras(lab, bits, method)
    seconds = perf_counter() - start
    return lab.judged(weights) | {
        "seconds": round(seconds, 1),
        "error": round(output_error(lab, weights), 4),
    }


def activation_aware(weights, heads: int, texts: np.ndarray, bits: int):
    """AWQ for the matrices of the blocks, each for the inputs that it has in float32.

    Returns:
        `Stored`, as `quantize_gpt2_for_texts` for GPTQ.
    """
    from utils.generation.compressed_gpt2 import change_matrices, inputs_of_matrices
    from utils.models.activation_aware import (
        activation_aware_bytes,
        dequantize_activation_aware,
        quantize_activation_aware,
    )

    inputs = iter(inputs_of_matrices(weights, heads, texts))

    def rounded(kernel: np.ndarray) -> tuple[np.ndarray, int]:
        small = quantize_activation_aware(kernel, next(inputs), bits, GROUP)
        return dequantize_activation_aware(small), activation_aware_bytes(small, bits)

    return change_matrices(weights, rounded, tables=False)


def by_keras(lab: Laboratory, bits: int, method: str):
    """Weights as Keras's GPTQ or AWQ leaves them."""
    from keras.quantizers import AWQConfig, GPTQConfig

    from utils.models.gpt2 import build_gpt2, size_of

    model = build_gpt2(lab.model.backbone.vocabulary_size, size_of(lab.model))
    model.backbone.set_weights(lab.model.backbone.get_weights())
    config = {"Keras GPTQ": GPTQConfig, "Keras AWQ": AWQConfig}[method](
        list(lab.calibration),
        lab.tokenizer,
        weight_bits=bits,
        group_size=GROUP,
        num_samples=CALIBRATION,
        sequence_length=lab.calibration.shape[1],
    )
    model.quantize(config=config)
    return effective_weights(lab.weights, model.backbone)


def effective_weights(weights, backbone):
    """The weights of a GPT-2 with those matrices that the layers of a quantized one multiply by."""

    def kernel(layer, shape: tuple[int, ...]) -> np.ndarray:
        """(outputs, inputs): what a layer makes of the rows of the identity matrix."""
        activation, layer.activation = layer.activation, None
        size = int(np.prod(shape))
        result = np.asarray(layer(np.eye(size, dtype="float32").reshape(1, size, *shape)))
        nothing = np.asarray(layer(np.zeros((1, 1, *shape), "float32")))
        layer.activation = activation
        return (result - nothing).reshape(size, -1).T

    changed = []
    for block, layer in zip(weights.blocks, backbone.transformer_layers, strict=True):
        attention, width = layer._self_attention_layer, weights.token_embedding.shape[1]
        qkv = (attention.query_dense, attention.key_dense, attention.value_dense)
        heads = (backbone.num_heads, width // backbone.num_heads)
        changed.append(
            block._replace(
                qkv_kernel=np.concatenate([kernel(dense, (width,)) for dense in qkv]),
                out_kernel=kernel(attention.output_dense, heads),
                mlp_up_kernel=kernel(layer._feedforward_intermediate_dense, (width,)),
                mlp_down_kernel=kernel(layer._feedforward_output_dense, (len(block.mlp_up_bias),)),
            )
        )
    return weights._replace(blocks=changed)


def output_error(lab: Laboratory, weights) -> float:
    """How far the outputs of the blocks' matrices are off, for the inputs of the float model.

    The mean over the matrices of |X (W - Q)^T| / |X W^T|, X being tales that nothing has looked at.
    """
    from utils.generation.compressed_gpt2 import BLOCK, inputs_of_matrices

    errors = []
    inputs = iter(inputs_of_matrices(lab.weights, lab.heads, lab.rows[:32, :-1]))
    for block, other in zip(lab.weights.blocks, weights.blocks, strict=True):
        for name in BLOCK:
            x, kernel = next(inputs), getattr(block, name)
            off = x @ (kernel - np.asarray(getattr(other, name))).T
            errors.append(np.linalg.norm(off) / np.linalg.norm(x @ kernel.T))
    return float(np.mean(errors))


# ---- smaller models that learn -------------------------------------------------------------------


def pruned(lab: Laboratory, share: float, steps: int, seed: int) -> dict:
    """A share of each matrix of the blocks set to zero, then healed."""
    from utils.training.shrinking import with_zeros

    small = with_zeros(lab.model, share)
    kernels = [w.numpy() for w in small.backbone.weights if w.name == "kernel"]
    zeros = sum(int(np.sum(kernel == 0)) for kernel in kernels)
    numbers = sum(kernel.size for kernel in kernels)
    size = 4 * (small.count_params() - zeros) + numbers // 8  # a bit says whether a number is there
    return {"bytes": size} | healed(lab, small, steps, seed)


def narrowed(lab: Laboratory, hidden: int, steps: int, seed: int) -> dict:
    """Some hidden units of each feed-forward network, then healed."""
    from utils.training.shrinking import narrowed as narrowed_gpt2

    small = narrowed_gpt2(lab.model, hidden)
    return {"bytes": 4 * small.count_params()} | healed(lab, small, steps, seed)


def healed(lab: Laboratory, small, steps: int, seed: int) -> dict:
    """What a model that was cut is worth before and after a short training."""
    cut = lab.judged(arrays_of(small))
    train(lab, small, steps, HEALING_RATE, seed)
    return {"cut": cut} | lab.judged(arrays_of(small))


def student(lab: Laboratory, taught: bool, steps: int, seed: int) -> dict:
    """One block instead of two, from random weights, with or without the model as its teacher."""
    import keras

    from utils.models.gpt2 import build_gpt2
    from utils.models.sizes import custom_size

    keras.utils.set_random_seed(seed)
    small = build_gpt2(lab.model.backbone.vocabulary_size, custom_size("small", **ONE_LAYER))
    train(lab, small, steps, STUDENT_RATE, seed, lab.model if taught else None)
    return {"bytes": 4 * small.count_params()} | lab.judged(arrays_of(small))


def train(lab: Laboratory, small, steps: int, rate: float, seed: int, teacher=None) -> None:
    """Train on the tales, or on what a teacher predicts of them."""
    from utils.training.shrinking import train_briefly

    train_briefly(small, lab.windows, steps, BATCH, rate, seed, teacher)


def arrays_of(model):
    """The weights of a GPT-2, as NumPy arrays."""
    from utils.generation.compressed_gpt2 import as_arrays
    from utils.generation.plain_gpt2 import read_weights

    return as_arrays(read_weights(model))


# ---- speeds --------------------------------------------------------------------------------------


def in_turns(
    programs: dict[str, Callable[[], Any]],
    repetitions: int,
    clock: Callable[[], float] = process_time,
) -> dict[str, float]:
    """The median seconds of each program, all in turns; a first call of each does not count.

    Args:
        programs: the programs by name; one that returns a number has measured its seconds itself.
        repetitions: the number of measured calls of each.
        clock: a clock of seconds; by default those that processors have worked for this process.
    """
    seconds: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(1 + repetitions):
        for name, program in programs.items():
            sleep(PAUSE)
            start = clock()
            spent = program()
            seconds[name].append(spent if isinstance(spent, float) else clock() - start)
    return {name: median(times[1:]) for name, times in seconds.items()}


def speeds(lab: Laboratory, repetitions: int, new: int) -> dict:
    """Tokens a processor second of one text, with the small GPT-2 and smaller ones."""
    import keras

    from utils.generation.generator import Generator
    from utils.generation.int8_gpt2 import Int8GPT2
    from utils.models.gpt2 import build_gpt2, size_of
    from utils.training.shrinking import narrowed as narrowed_gpt2
    from utils.training.shrinking import with_zeros

    length = len(PROMPT) + new
    vocabulary = lab.model.backbone.vocabulary_size

    def compiled_loop(model):
        generator = Generator(model, end_id=-2)
        return lambda: generator([PROMPT], length, top_k=1)

    def by_keras(mode):
        model = build_gpt2(vocabulary, size_of(lab.model))
        model.backbone.set_weights(lab.model.backbone.get_weights())
        if mode:
            model.backbone.quantize(mode)
        model.compile(sampler="greedy", jit_compile=True)
        ids = np.zeros((1, length), "int32")
        ids[:, : len(PROMPT)] = PROMPT
        mask = np.arange(length)[None] < len(PROMPT)
        inputs = {"token_ids": ids, "padding_mask": mask}
        return lambda: model.generate(inputs, stop_token_ids=None)

    int8 = Int8GPT2(lab.weights, lab.heads, end_id=-2)
    one_layer = build_gpt2(vocabulary, replace(SIZES["small"], **ONE_LAYER))
    narrow = build_gpt2(vocabulary, replace(SIZES["small"], **NARROW))
    programs = {
        "float32": compiled_loop(lab.model),
        "int8 kernels": lambda: list(int8.continued(PROMPT, length)),
        "pruned 50%": compiled_loop(with_zeros(lab.model, 0.5)),
        "narrowed to 256": compiled_loop(narrowed_gpt2(lab.model, 256)),
        "one layer": compiled_loop(one_layer),
        "width 64": compiled_loop(narrow),
        "keras-nlp float32": by_keras(None),
        "keras-nlp int8": by_keras("int8"),
        "keras-nlp int4": by_keras("int4"),
    }
    keras.utils.set_random_seed(0)
    times = in_turns(programs, repetitions)
    return {"tokens_per_second": {name: round(new / time, 1) for name, time in times.items()}}


def cache(lab: Laboratory, matrix: int, stacks: list[int]) -> dict:
    """Processor time of a row's product with each of several matrices, float32 and int8.

    While all matrices together fit into the processor's cache, they come from there.
    """
    from utils.generation.int8 import Int8Product

    rng = np.random.default_rng(SEED)
    kernels = [rng.normal(size=(matrix, matrix)).astype("float32") for _ in range(max(stacks))]
    products = [Int8Product(kernel, threads=1) for kernel in kernels]
    x = rng.normal(size=(1, matrix)).astype("float32")
    milliseconds = []
    for count in stacks:
        passes = max(4, 256 // count)

        def in_float32(count=count, passes=passes):
            for _ in range(passes):
                for kernel in kernels[:count]:
                    x @ kernel.T

        def in_int8(count=count, passes=passes):
            for _ in range(passes):
                for product in products[:count]:
                    product(x)

        times = in_turns({"float32": in_float32, "int8": in_int8}, 5)
        milliseconds.append([round(1000 * t / passes / count, 5) for t in times.values()])
    return {"milliseconds": milliseconds}


def large(lab: Laboratory, repetitions: int, new: int) -> dict:
    """Tokens a second of one text at the shape of GPT-2 124M, and how near int8 stays to float32.

    The weights are random, those of `benchmarks.generation`.
    """
    from utils.generation.compressed_gpt2 import as_arrays
    from utils.generation.generator import Generator
    from utils.generation.int8_gpt2 import Int8GPT2
    from utils.generation.plain_gpt2 import read_weights
    from utils.models.compression import quantize, quantized_bytes

    length = len(PROMPT) + new
    with tempfile.TemporaryDirectory() as models:
        folder = Path(models) / "gpt2"
        model = make_model(GPT2_124M, folder)
        weights = as_arrays(read_weights(model))
        int8 = Int8GPT2(weights, GPT2_124M["heads"], end_id=-2)
        generator = Generator(model, end_id=-2)
        programs: dict[str, Callable[[], Any]] = {
            "float32": lambda: generator([PROMPT], length, top_k=1),
            "int8": lambda: list(int8.continued(PROMPT, length)),
        }
        with ctranslate2(lab.peer, folder, new) as more:
            times = in_turns(programs | more, repetitions, perf_counter)
        expected = generator([PROMPT], length, top_k=1)[0]
    kernels = [array for block in weights.blocks for array in block if array.ndim == 2]
    numbers = sum(kernel.size for kernel in kernels) + weights.token_embedding.size
    in_int8 = sum(quantized_bytes(quantize(kernel, 8), 8) for kernel in kernels)
    in_int8 += quantized_bytes(quantize(weights.token_embedding, 8), 8)
    parameters = model.count_params()
    return {
        "tokens_per_second": {name: round(new / time, 1) for name, time in times.items()},
        "float32_bytes": 4 * parameters,
        "int8_bytes": 4 * (parameters - numbers) + in_int8,
        **agreement(int8, weights, GPT2_124M["heads"], expected),
    }


@contextmanager
def ctranslate2(
    python: str | None, folder: Path, new: int
) -> Iterator[dict[str, Callable[[], float]]]:
    """CTranslate2 with the model of a folder, if there is a Python that has it."""
    if not python:
        yield {}
        return
    peer = Peer(python, Path(__file__).with_name("generation_ctranslate2.py"))
    peer.ask(folder=str(folder))
    task = {"prompt": PROMPT, "batch": 1, "new": new, "sampling": {"top_k": 1}, "seed": 0}

    def of(precision: str) -> Callable[[], float]:
        return lambda: float(peer.ask(**task, precision=precision)["seconds"])

    yield {f"CTranslate2 {name}": of(name) for name in ("float32", "int8")}
    peer.close()


def agreement(int8, weights, heads: int, ids: list[int]) -> dict:
    """How near the logits in int8 are to those in float32 along a text."""
    import tensorflow as tf

    from utils.generation.plain_gpt2 import plain_logits

    expected = plain_logits(tf.nest.map_structure(tf.constant, weights), tf.constant([ids]), heads)
    expected = expected.numpy()[0]
    found = int8.logits(int8.read(np.array([ids]), np.zeros(1, int), int8.empty_cache(1), [0]))
    error = np.sqrt(np.mean((found - expected) ** 2)) / expected.std()
    same = np.mean(found.argmax(axis=-1) == expected.argmax(axis=-1))
    return {"logit_error": round(float(error), 4), "same_token": round(float(same), 4)}


# ---- all runs ------------------------------------------------------------------------------------

KINDS: dict[str, Callable[..., dict]] = {
    "rounded": rounded,
    "blocks": blocks,
    "pruned": pruned,
    "narrowed": narrowed,
    "student": student,
    "speeds": speeds,
    "cache": cache,
    "large": large,
}


def make(lab: Laboratory, setting: dict) -> dict:
    """One run, as its setting says."""
    numbers = {name: value for name, value in setting.items() if name != "kind"}
    return KINDS[setting["kind"]](lab, **numbers)


def complete(results: Results, runs: dict[str, dict], make: Callable[[dict], dict]) -> None:
    """Make the runs that the file does not have with the same setting, each written at once."""
    for name, setting in runs.items():
        results.run(name, setting, partial(make, setting), line)


def line(name: str, run: dict) -> str:
    """What one run has come to."""
    if "loss" not in run:
        return f"{name:34} {run.get('tokens_per_second') or run.get('milliseconds')}"
    size = f"{run['bytes']:11,} bytes" if "bytes" in run else " " * 17
    return f"{name:34} {size}   loss {run['loss']:.4f}   valid {run['valid']:6.1%}"


def main() -> None:
    """Make the runs that are missing, or list those that are there."""
    parser = command(__doc__, FILE)
    parser.add_argument("--only", default="", help="make only the runs that begin like this")
    parser.add_argument("--peer", help="a Python with torch, transformers and ctranslate2")
    args = parser.parse_args()
    results = Results(args.out, args.again)
    if args.list:
        results.show(line)
        return
    from utils.quiet import import_tensorflow

    import_tensorflow()
    lab = Laboratory(args.peer)
    results.data |= {"floor": lab.floor, "tales": TALES, "stories": STORIES}
    runs = {name: setting for name, setting in plan().items() if name.startswith(args.only)}
    complete(results, runs, lambda setting: make(lab, setting))


if __name__ == "__main__":
    run_command(main)
