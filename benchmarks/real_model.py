"""SmolLM2-135M-Instruct: tokens a second beside Hugging Face's transformers, on the same weights.

    python -m venv ../hf
    ../hf/bin/pip install torch transformers
    python -m utils.data.downloads smollm2
    python -m benchmarks.real_model ../hf/bin/python

What is measured of the course is what the chat server runs: one step for a text that is alone, and
one for eight texts at once; with the weights in int8, as it does by itself, and in float32. Both
programs continue the same prompt, the likeliest token each time, in turns. transformers computes in
float32. It runs in an environment of its own, in a process that waits between its turns.

In float32 both must write the same text. Of int8 it is measured first how far it is from float32:
eight questions are answered in float32, the likeliest token each time, and at each position of the
answers both predictions are compared. Without the path of a Python only this is done.

On a busy machine the seconds of both depend on who gets the processors, so the processor seconds of
each process are measured, too. `--threads 1` gives each program one thread.

The exit code is 1 if the course is slower beside transformers than it should be, or if the texts
differ.
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter, process_time, sleep
from typing import TYPE_CHECKING

from utils.errors import show_one_sentence

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

PEER = Path(__file__).with_name("real_model_transformers.py")
PAUSE = 0.5  # seconds between turns: idle threads of a peer spin for a while before they sleep
QUESTION = "Write a long story about a fox and a hare who build a boat."
CONTEXT = 1024  # tokens, enough for what is written here; the caches of more take gigabytes
# For each batch, at least so many times transformers' speed.
WANTED = {"int8": {1: 0.7, 8: 2.0}, "float32": {1: 0.7, 8: 1.0}}
QUESTIONS = [
    "What is the capital of France?",
    "Why is the sky blue?",
    "Write three sentences about a fox and a hare.",
    "What is 12 times 12?",
    "Name five animals that live in the sea.",
    "What is a computer program?",
    "Who wrote Romeo and Juliet?",
    "How do I make a cup of tea?",
]


def write_folder(config, weights, folder: Path) -> None:
    """Write the weights in Hugging Face's format.

    Its rotary positions turn the first half of a head against the second, not neighbours.
    """
    import numpy as np
    from safetensors.numpy import save_file

    from utils.generation.cached_llama import halves_together

    arrays = {
        "model.embed_tokens.weight": weights.token_embedding,
        "model.norm.weight": weights.norm,
    }
    for number, block in enumerate(weights.blocks):
        query, key = (halves_together(one, config.head_dim) for one in (block.query, block.key))
        named = {
            "self_attn.q_proj": query,
            "self_attn.k_proj": key,
            "self_attn.v_proj": block.value,
            "self_attn.o_proj": block.output,
            "mlp.gate_proj": block.gate,
            "mlp.up_proj": block.up,
            "mlp.down_proj": block.down,
            "input_layernorm": block.attention_norm,
            "post_attention_layernorm": block.mlp_norm,
        }
        arrays |= {f"model.layers.{number}.{name}.weight": one for name, one in named.items()}
    arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    save_file(arrays, folder / "model.safetensors", metadata={"format": "pt"})
    about = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": config.width,
        "intermediate_size": config.inner,
        "num_hidden_layers": config.num_layers,
        "num_attention_heads": config.num_heads,
        "num_key_value_heads": config.num_kv_heads,
        "head_dim": config.head_dim,
        "vocab_size": config.vocabulary_size,
        "max_position_embeddings": config.context,
        "rope_theta": config.rope_base,
        "rms_norm_eps": config.epsilon,
        "tie_word_embeddings": True,
        "bos_token_id": None,
        "eos_token_id": None,
        "dtype": "float32",
    }
    (folder / "config.json").write_text(json.dumps(about), encoding="utf-8")


def write_texts(batch, prompt: list[int], texts: int, new: int) -> dict:
    """Continue a prompt in so many slots; seconds and processor seconds of the steps, and ids."""
    from utils.generation.sampling import as_sampling

    for slot in range(texts):
        batch.start(slot, prompt, len(prompt) + 2 * new, as_sampling(1.0, 1, 1.0), seed=0)
    while len(batch.texts[texts - 1].ids) == len(prompt):  # the first new token of the last text
        batch.step()
    written = sum(len(text.ids) for text in batch.texts.values())
    start, processors = perf_counter(), process_time()
    for _ in range(new):
        batch.step()
    seconds, processors = perf_counter() - start, process_time() - processors
    tokens = sum(len(text.ids) for text in batch.texts.values()) - written
    ids = batch.texts[0].ids[len(prompt) :][:new]
    for slot in range(texts):
        batch.stop(slot)
    return {"seconds": seconds / tokens, "processors": processors / tokens, "ids": ids}


def in_float32(kernel: "np.ndarray") -> "Callable[[np.ndarray], np.ndarray]":
    """The product with a weight matrix, (outputs, inputs), that `Int8Product` rounds."""
    return lambda x: x @ kernel.T


def answered(model, prompt: list[int], most: int) -> tuple[list[int], "np.ndarray"]:
    """The likeliest tokens after a prompt, and the logits of each, (tokens, vocabulary)."""
    import numpy as np

    cache, ids, new = model.empty_cache(1), list(prompt), np.array([prompt])
    found: list[np.ndarray] = []
    while len(found) < most:
        x = model.read(new, np.array([len(ids) - new.shape[1]]), cache, [0])
        found.append(model.logits(x[-1:])[0])
        ids.append(int(found[-1].argmax()))
        if ids[-1] == model.end_id:
            break
        new = np.array([ids[-1:]])
    return ids[len(prompt) :], np.array(found)


def log_softmax(logits: "np.ndarray") -> "np.ndarray":
    """The logarithms of the probabilities, (rows, vocabulary)."""
    import numpy as np

    logits = logits - logits.max(axis=-1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))


def show_deviation(model, plain, prompts: list[list[int]], most: int) -> None:
    """Print how far the predictions of a model are from those of the same in float32."""
    import numpy as np

    largest, divergence, loss, same, whole = [], [], [], [], 0
    for prompt in prompts:
        reply, expected = answered(plain, prompt, most)
        x = model.read(
            np.array([[*prompt, *reply[:-1]]]), np.zeros(1, int), model.empty_cache(1), [0]
        )
        logits = model.logits(x[len(prompt) - 1 :])
        p, q = log_softmax(expected), log_softmax(logits)
        largest.append(np.abs(logits - expected).max())
        divergence += [*(np.exp(p) * (p - q)).sum(axis=-1)]
        loss += [*(p - q)[range(len(reply)), reply]]
        same += [*(logits.argmax(axis=-1) == reply)]
        whole += all(logits.argmax(axis=-1) == reply)
    print(f"int8 beside float32, {len(same)} tokens of {len(prompts)} answers")
    print(f"  the same token is the likeliest: {np.mean(same):.1%}; whole answers: {whole}")
    print(f"  Kullback-Leibler divergence {np.mean(divergence):.4f}, loss {np.mean(loss):+.4f}")
    print(f"  logits differ by {np.max(largest):.2f} at most, and spread by {expected.std():.2f}")


def compare(
    weights: str, batch, peer, prompt: list[int], texts: int, new: int, repetitions: int
) -> bool:
    """Run one case and print it; True if it is fast enough and, in float32, writes the same."""
    runs: dict[str, list[dict]] = {"this course": [], "transformers": []}
    for _ in range(repetitions):
        sleep(PAUSE)
        runs["this course"].append(write_texts(batch, prompt, texts, new))
        sleep(PAUSE)
        runs["transformers"].append(peer.ask(prompt=prompt, batch=texts, new=new))
    same = all(run["ids"] == runs["transformers"][0]["ids"] for run in runs["this course"])
    about = f"{new} new tokens each, medians of {repetitions}; same text: {same}"
    print(f"{weights}, {texts} at once, {about}")
    medians = {
        name: [median(run[key] for run in found) for key in ("seconds", "processors")]
        for name, found in runs.items()
    }
    ours, theirs = medians.values()
    ratios = [other / own for own, other in zip(ours, theirs, strict=True)]
    for name, (seconds, processors) in medians.items():
        print(f"  {name:13} {1 / seconds:6.1f} tokens/s, {1 / processors:6.1f} a processor second")
    print(f"  {ratios[0]:.2f} times, {ratios[1]:.2f} times a processor second", flush=True)
    return (same or weights == "int8") and ratios[0] >= WANTED[weights][texts]


def main() -> int:
    """Compare the speeds; exit code 1 if ours is slower than it should be."""
    sys.excepthook = show_one_sentence
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.real_model", description=main.__doc__
    )
    parser.add_argument(
        "python", nargs="?", help="the Python of an environment with torch and transformers"
    )
    parser.add_argument("--weights", choices=WANTED, nargs="+", help="instead of both")
    parser.add_argument("--new", type=int, default=64, help="new tokens of each text")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--threads", type=int, help="threads of each program")
    args = parser.parse_args()
    if args.threads:
        os.environ["OMP_NUM_THREADS"] = str(args.threads)  # of torch
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: args.threads])  # of both

    from benchmarks.generation import Peer
    from utils.quiet import import_tensorflow

    peer = Peer(args.python, PEER) if args.python else None
    import_tensorflow()
    from utils.data.dialogues import Message
    from utils.data.downloads import download
    from utils.data.gguf_reader import read_gguf
    from utils.data.smollm2 import ChatTemplate, read_tokenizer
    from utils.generation.cached_llama import cached_llama
    from utils.generation.generator import Generator
    from utils.generation.int8_llama import Int8Llama
    from utils.models.llama import read_config, read_weights
    from utils.serving.batching import Batch
    from utils.serving.int8_batch import Int8Batch

    file = read_gguf(download("smollm2"))
    config, tokenizer = read_config(file.metadata), read_tokenizer(file.metadata)
    config = config._replace(context=CONTEXT)
    weights = read_weights(config, file.tensors)
    template, end = ChatTemplate(tokenizer), tokenizer.end_id
    prompts = [template.prompt([Message("user", question)]) for question in QUESTIONS]
    model, plain = Int8Llama(config, weights, end), Int8Llama(config, weights, end, in_float32)
    show_deviation(model, plain, prompts, args.new)
    if peer is None:
        return 0
    with tempfile.TemporaryDirectory() as folder:
        write_folder(config, weights, Path(folder))
        peer.ask(folder=folder)
    print(f"beside {peer.versions}", flush=True)
    prompt, most = template.prompt([Message("user", QUESTION)]), max(WANTED["int8"])
    good = []
    for name in args.weights or WANTED:
        if name == "int8":
            batch: Batch = Int8Batch(model, most)
        else:
            batch = Batch(Generator(cached_llama(config, weights), end_id=-1), most)
        for texts in WANTED[name]:
            case = name, batch, peer, prompt, texts, args.new, args.repetitions
            good.append(compare(*case))
    peer.close()
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
