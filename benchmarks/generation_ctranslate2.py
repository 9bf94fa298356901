"""A peer of `benchmarks.generation`: CTranslate2, in an environment of its own.

    python generation_ctranslate2.py

`benchmarks.generation` starts it with the Python of that environment and talks to it in lines of
JSON: a task comes in, the seconds that it took go out. It needs ctranslate2, and torch and
transformers to convert the model; nothing of this course.
"""

import json
import sys
from pathlib import Path
from time import perf_counter

import ctranslate2  # type: ignore[import-not-found]
import transformers  # type: ignore[import-not-found]

PRECISIONS = ["float32", "int8"]
END = "<|endoftext|>"


def load(folder: Path) -> dict[str, ctranslate2.Generator]:
    """The model in a folder of Hugging Face's format, converted to each precision."""
    add_vocabulary(folder)
    generators = {}
    for precision in PRECISIONS:
        converted = folder / f"ctranslate2-{precision}"
        converter = ctranslate2.converters.TransformersConverter(str(folder))
        converter.convert(str(converted), quantization=precision)
        generators[precision] = ctranslate2.Generator(str(converted), compute_type=precision)
    return generators


def add_vocabulary(folder: Path) -> None:
    """Give the model a vocabulary, which the converter demands: token 12 is called "t12"."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    vocabulary = {f"t{i}": i for i in range(config["vocab_size"] - 1)}
    vocabulary[END] = len(vocabulary)
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")


def generate(generator: ctranslate2.Generator, task: dict) -> tuple[float, list[list[int]]]:
    """Continue task["batch"] prompts by task["new"] tokens; seconds, and the ids."""
    prompt, new = [f"t{i}" for i in task["prompt"]], task["new"]
    ctranslate2.set_random_seed(task["seed"])
    start = perf_counter()
    results = generator.generate_batch(
        [prompt] * task["batch"],
        max_length=new,
        min_length=new,
        include_prompt_in_result=False,
        **{f"sampling_{name.replace('_', '')}": value for name, value in task["sampling"].items()},
    )
    seconds = perf_counter() - start
    rows = [task["prompt"] + result.sequences_ids[0] for result in results]
    assert all(len(row) == len(prompt) + new for row in rows)
    return seconds, rows


def main() -> None:
    """Answer each line of the standard input with one of the standard output."""
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    print(json.dumps({"versions": f"CTranslate2 {ctranslate2.__version__}"}), flush=True)
    generators: dict[str, ctranslate2.Generator] = {}
    for line in sys.stdin:
        task = json.loads(line)
        if "folder" in task:
            generators, answer = load(Path(task["folder"])), {}
        else:
            seconds, rows = generate(generators[task["precision"]], task)
            answer = {"seconds": seconds, "rows": rows if task.get("rows") else None}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
