"""SmolLM2-135M-Instruct: tokens a second beside Hugging Face's transformers, on the same weights.

    python -m venv ../hf
    ../hf/bin/pip install torch transformers
    python -m utils.data.downloads smollm2
    python -m benchmarks.real_model ../hf/bin/python

What is measured of the course is what the chat server runs: one step for a text that is alone, and
one for eight texts at once. Both programs continue the same prompt, the likeliest token each time,
in turns. transformers runs in an environment of its own, in a process that waits between its turns.

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

from utils.errors import show_one_sentence

PEER = Path(__file__).with_name("real_model_transformers.py")
PAUSE = 0.5  # seconds between turns: idle threads of a peer spin for a while before they sleep
QUESTION = "Write a long story about a fox and a hare who build a boat."
WANTED = {1: 0.7, 8: 2.0}  # for each batch, at least so many times transformers' speed


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


def compare(batch, peer, prompt: list[int], texts: int, new: int, repetitions: int) -> bool:
    """Run one case and print it; True if it is fast enough and writes the same."""
    runs: dict[str, list[dict]] = {"this course": [], "transformers": []}
    for _ in range(repetitions):
        sleep(PAUSE)
        runs["this course"].append(write_texts(batch, prompt, texts, new))
        sleep(PAUSE)
        runs["transformers"].append(peer.ask(prompt=prompt, batch=texts, new=new))
    same = all(run["ids"] == runs["transformers"][0]["ids"] for run in runs["this course"])
    print(f"{texts} at once, {new} new tokens each, medians of {repetitions}; same text: {same}")
    about = {
        name: [median(run[key] for run in found) for key in ("seconds", "processors")]
        for name, found in runs.items()
    }
    ours, theirs = about.values()
    ratios = [other / own for own, other in zip(ours, theirs, strict=True)]
    for name, (seconds, processors) in about.items():
        print(f"  {name:13} {1 / seconds:6.1f} tokens/s, {1 / processors:6.1f} a processor second")
    print(f"  {ratios[0]:.2f} times, {ratios[1]:.2f} times a processor second", flush=True)
    return same and ratios[0] >= WANTED[texts]


def main() -> int:
    """Compare the speeds; exit code 1 if ours is slower than it should be."""
    sys.excepthook = show_one_sentence
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.real_model", description=main.__doc__
    )
    parser.add_argument("python", help="the Python of an environment with torch and transformers")
    parser.add_argument("--new", type=int, default=64, help="new tokens of each text")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--threads", type=int, help="threads of each program")
    args = parser.parse_args()
    if args.threads:
        os.environ["OMP_NUM_THREADS"] = str(args.threads)  # of torch
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: args.threads])  # of both

    from benchmarks.generation import Peer
    from utils.quiet import import_tensorflow

    peer = Peer(args.python, PEER)
    import_tensorflow()
    from utils.data.dialogues import Message
    from utils.data.downloads import download
    from utils.data.gguf_reader import read_gguf
    from utils.data.smollm2 import ChatTemplate, read_tokenizer
    from utils.generation.cached_llama import cached_llama
    from utils.generation.generator import Generator
    from utils.models.llama import read_config, read_weights
    from utils.serving.batching import Batch

    file = read_gguf(download("smollm2"))
    config, tokenizer = read_config(file.metadata), read_tokenizer(file.metadata)
    weights = read_weights(config, file.tensors)
    with tempfile.TemporaryDirectory() as folder:
        write_folder(config, weights, Path(folder))
        peer.ask(folder=folder)
    print(f"beside {peer.versions}", flush=True)
    prompt = ChatTemplate(tokenizer).prompt([Message("user", QUESTION)])
    batch = Batch(Generator(cached_llama(config, weights), end_id=-1), max(WANTED))
    case = args.new, args.repetitions
    good = [compare(batch, peer, prompt, texts, *case) for texts in WANTED]
    peer.close()
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
