"""A peer of `benchmarks.real_model`: transformers, in an environment of its own.

    python real_model_transformers.py

`benchmarks.real_model` starts it with the Python of that environment and talks to it in lines of
JSON: a task comes in, what it took goes out. It needs torch and transformers; nothing of this
course.
"""

import json
import sys
from time import perf_counter, process_time

import torch  # type: ignore[import-not-found]
import transformers  # type: ignore[import-not-found]


class Clock(transformers.StoppingCriteria):
    """Looks at the time after each step of `generate`, and never stops it."""

    def __init__(self):
        self.times: list[tuple[float, float]] = []

    def __call__(self, ids, scores, **_):
        self.times.append((perf_counter(), process_time()))
        return torch.zeros(len(ids), dtype=torch.bool)


def generate(model: transformers.LlamaForCausalLM, task: dict) -> dict:
    """Continue a prompt in a batch; seconds for each token after the first, and the ids."""
    ids, new, clock = torch.tensor([task["prompt"]] * task["batch"]), task["new"], Clock()
    with torch.inference_mode():
        rows = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=new + 1,
            do_sample=False,
            pad_token_id=0,
            stopping_criteria=transformers.StoppingCriteriaList([clock]),
        )
    (start, processors), (end, processors_end) = clock.times[0], clock.times[-1]
    tokens = task["batch"] * (len(clock.times) - 1)
    return {
        "seconds": (end - start) / tokens,
        "processors": (processors_end - processors) / tokens,
        "ids": rows[0, ids.shape[1] :][:new].tolist(),
    }


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
            found = transformers.LlamaForCausalLM.from_pretrained(task["folder"])
            model, answer = found.eval(), {}
        else:
            answer = generate(model, task)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
