"""Is it the same GPT-2?  Logits and tokens beside Hugging Face's transformers.

    python -m venv ../hf
    ../hf/bin/pip install torch transformers
    python -m benchmarks.parity ../hf/bin/python

transformers and torch are large and are not installed with the course, so they run in their own
environment, in a second process. Two random GPT-2s are compared: one that lesson 7 writes and
transformers reads, and one that transformers writes and keras-nlp reads.
"""

import argparse
import json
import runpy
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from utils.errors import CourseError, show_one_sentence
from utils.quiet import import_tensorflow

LIMIT = 1e-4
OTHER_SIDE = Path(__file__).with_name("parity_transformers.py")


def lesson_7() -> SimpleNamespace:
    """The functions of the lesson, and the constants that they need."""
    from safetensors.numpy import save_file

    from utils.data.keras_tokenizers import folder, load_tokenizer

    definitions = runpy.run_path("tests/lesson_code.py")["definitions"]
    lesson = definitions("07_gpt2", np=np, json=json, shutil=shutil, save_file=save_file)
    lesson.folder, lesson.tokenizer, lesson.CONTEXT = folder, load_tokenizer("en"), 256
    lesson.END = lesson.tokenizer.token_to_id("<|endoftext|>")
    return lesson


def config_of(lesson: SimpleNamespace, layers: int, heads: int, width: int) -> dict:
    """A GPT-2 configuration with the course's vocabulary, in the published format."""
    return {
        "model_type": "gpt2",
        "architectures": ["GPT2LMHeadModel"],
        "n_layer": layers,
        "n_head": heads,
        "n_embd": width,
        "n_positions": lesson.CONTEXT,
        "vocab_size": lesson.tokenizer.vocabulary_size(),
        "activation_function": "gelu_new",
        "resid_pdrop": 0.0,
        "bos_token_id": lesson.END,
        "eos_token_id": lesson.END,
    }


def ask_transformers(python: str, folder: Path, ids: np.ndarray, texts: list[str]) -> dict:
    """Let the other environment do its part; return what it says.

    Raises:
        CourseError: if that Python cannot be started, or lacks torch or transformers.
    """
    task = json.dumps({"ids": ids.tolist(), "texts": texts})
    (folder / "task.json").write_text(task, encoding="utf-8")
    try:
        subprocess.run(
            [python, OTHER_SIDE, folder], check=True, capture_output=True, encoding="utf-8"
        )
    except OSError as error:
        raise CourseError(f"{python} cannot be started: {error.strerror}.") from error
    except subprocess.CalledProcessError as error:
        reason = error.stderr.strip().splitlines()[-1]
        raise CourseError(
            f"{python} failed ({reason}): it needs torch and transformers, installed with"
            f" `{python} -m pip install torch transformers`."
        ) from error
    return json.loads((folder / "answer.json").read_text(encoding="utf-8"))


def keras_logits(folder: Path, ids: np.ndarray) -> np.ndarray:
    """What keras-nlp's GPT-2 answers with the weights in a folder."""
    import keras_nlp

    model = keras_nlp.models.GPT2CausalLM.from_preset(str(folder), preprocessor=None)
    return model.predict_on_batch({"token_ids": ids, "padding_mask": np.ones_like(ids)})


def compare(name: str, ours: np.ndarray, theirs: np.ndarray) -> bool:
    """Print the largest difference of two arrays of logits; True if it is within the limit."""
    difference = np.abs(ours - theirs).max()
    print(f"{name:40} largest logit {np.abs(theirs).max():.2f}, difference {difference:.1e}")
    return bool(difference <= LIMIT)


def compare_all(python: str, folder: Path) -> bool:
    """Make both models in `folder`, ask both sides, print; True if all agree."""
    lesson, rng = lesson_7(), np.random.default_rng(7)
    ids = rng.integers(0, lesson.END, size=(4, lesson.CONTEXT))  # (batch, time)
    texts = texts_to_cut()
    config = config_of(lesson, layers=4, heads=4, width=128)
    weights = lesson.random_weights(config, rng)
    lesson.save_folder(weights, config, folder / "ours")
    their_config = json.dumps(config_of(lesson, layers=3, heads=5, width=80))
    (folder / "theirs").mkdir()
    (folder / "theirs" / "config.json").write_text(their_config, encoding="utf-8")

    answer = ask_transformers(python, folder, ids, texts)
    ours, theirs = np.load(folder / "ours.npy"), np.load(folder / "theirs.npy")
    print(f"beside {answer['versions']}")
    agree = [
        compare("our folder: lesson 7 in NumPy", lesson.gpt2(ids, weights, config), ours),
        compare("our folder: keras-nlp", keras_logits(folder / "ours", ids), ours),
        compare("transformers' folder: keras-nlp", keras_logits(folder / "theirs", ids), theirs),
    ]
    pairs = zip(texts, answer["tokens"], strict=True)
    same = sum(np.array_equal(lesson.tokenizer(text), tokens) for text, tokens in pairs)
    print(f"{'tokens':40} the same in {same} of {len(texts)} texts")
    return all(agree) and same == len(texts)


def texts_to_cut() -> list[str]:
    """Held-out tales, and strings that are hard to cut into tokens."""
    from utils.tales import corpus

    hard = ["  two  spaces\n\n\nand lines\t", "naïve café, 你好, 👩‍🚀!", "it's 12,345.67 o'clock"]
    return [tale.text for tale in corpus("en", "validation", 100)] + hard


def main() -> int:
    """Compare the small GPT-2 with transformers' on random weights; exit code 1 if they differ."""
    sys.excepthook = show_one_sentence
    parser = argparse.ArgumentParser(prog="python -m benchmarks.parity", description=main.__doc__)
    parser.add_argument("python", help="the Python of an environment with torch and transformers")
    python = parser.parse_args().python
    import_tensorflow()
    with tempfile.TemporaryDirectory() as folder:
        return 0 if compare_all(python, Path(folder)) else 1


if __name__ == "__main__":
    sys.exit(main())
