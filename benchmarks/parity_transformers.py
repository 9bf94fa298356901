"""The other side of `benchmarks.parity`: Hugging Face's transformers, in an environment of its own.

    python parity_transformers.py FOLDER    makes and reads GPT-2s under FOLDER

`benchmarks.parity` starts it with the Python of that environment. It needs torch and transformers,
and nothing of this course.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch  # type: ignore[import-not-found]
import transformers  # type: ignore[import-not-found]


def make(folder: Path) -> None:
    """Save a random GPT-2 with the shape of FOLDER/config.json, biases and norms included."""
    model = transformers.GPT2LMHeadModel(transformers.GPT2Config.from_pretrained(folder))
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / 4)
    model.save_pretrained(folder)


def logits(folder: Path, ids: np.ndarray) -> np.ndarray:
    """What the GPT-2 in a folder answers: (batch, time) -> (batch, time, vocabulary)."""
    model = transformers.GPT2LMHeadModel.from_pretrained(folder).eval()
    with torch.no_grad():
        return model(torch.tensor(ids)).logits.numpy()


def tokens(folder: Path, texts: list[str]) -> list[list[int]]:
    """The ids of texts, with the tokenizer in a folder."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    return [tokenizer(text)["input_ids"] for text in texts]


def main() -> None:
    """Make FOLDER/theirs, read it and FOLDER/ours, and leave the answers in FOLDER."""
    folder = Path(sys.argv[1])
    task = json.loads((folder / "task.json").read_text(encoding="utf-8"))
    ids = np.array(task["ids"])
    make(folder / "theirs")
    for name in ["ours", "theirs"]:
        np.save(folder / f"{name}.npy", logits(folder / name, ids))
    answer = {
        "versions": f"transformers {transformers.__version__}, torch {torch.__version__}",
        "tokens": tokens(folder / "ours", task["texts"]),
    }
    (folder / "answer.json").write_text(json.dumps(answer), encoding="utf-8")


if __name__ == "__main__":
    main()
