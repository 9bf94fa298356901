"""A peer of `benchmarks.generation`: Hugging Face's transformers, in an environment of its own.

    python generation_transformers.py

`benchmarks.generation` starts it with the Python of that environment and talks to it in lines of
JSON: a task comes in, the seconds that it took go out. It needs torch and transformers; nothing of
this course.
"""

import json
import sys
from time import perf_counter

import torch  # type: ignore[import-not-found]
import transformers  # type: ignore[import-not-found]


def load(task: dict) -> transformers.GPT2LMHeadModel:
    """The model in a folder."""
    return transformers.GPT2LMHeadModel.from_pretrained(task["folder"]).eval()


def generate(model: transformers.GPT2LMHeadModel, task: dict) -> tuple[float, list]:
    """Continue task["batch"] prompts by task["new"] tokens; seconds, and the ids."""
    ids = torch.tensor([task["prompt"]] * task["batch"])
    torch.manual_seed(task["seed"])
    start = perf_counter()
    with torch.no_grad():
        rows = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=task["new"],
            min_new_tokens=task["new"],
            pad_token_id=0,
            do_sample=True,
            **task["sampling"],
        )
    return perf_counter() - start, rows.tolist()


def main() -> None:
    """Answer each line of the standard input with one of the standard output."""
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    versions = f"transformers {transformers.__version__}, torch {torch.__version__}"
    print(json.dumps({"versions": versions}), flush=True)
    model = None
    for line in sys.stdin:
        task = json.loads(line)
        if "folder" in task:
            model, answer = load(task), {}
        else:
            seconds, rows = generate(model, task)
            answer = {"seconds": seconds, "rows": rows if task.get("rows") else None}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
