"""Every lesson as a script: it runs, says what the prose promises, and takes its flags."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SCRIPTS = sorted((ROOT / "codes").glob("[0-9]*.py"))
# Flags that make a lesson quick where its full length adds nothing to the test.
QUICK = {
    "02_next_token": ["--epochs", "2"],
    "06_transformer": ["--steps", "20"],
    "08_pretraining": ["--steps", "20"],
}


def run(script, *flags, cwd):
    return subprocess.run(
        [sys.executable, script, *flags], cwd=cwd, capture_output=True, encoding="utf-8"
    )


@pytest.fixture(scope="module", params=SCRIPTS, ids=lambda path: path.stem)
def lesson(request, tmp_path_factory):
    """A lesson that has run once, without a warning: (name, folder, output)."""
    folder = tmp_path_factory.mktemp(request.param.stem)
    result = run(request.param, *QUICK.get(request.param.stem, []), cwd=folder)
    assert result.returncode == 0, result.stderr
    assert "Warning" not in result.stderr
    return request.param.stem, folder, result.stdout


def test_it_saves_each_figure_and_says_where(lesson):
    name, folder, output = lesson
    source = (ROOT / "codes" / f"{name}.py").read_text(encoding="utf-8")
    saved = re.findall(r"^figure saved: (.*)$", output, re.M)
    assert len(saved) == source.count("plt.show()")
    for path in saved:
        assert (folder / path).stat().st_size > 1000


def test_its_exercises_wait_for_an_answer(lesson):
    name, _, output = lesson
    source = (ROOT / "codes" / f"{name}.py").read_text(encoding="utf-8")
    asked = set(re.findall(r"^check\.(\w+)\(", source, re.M))
    assert 3 <= len(asked) <= 5
    for question in asked:
        assert f"… {question}: not attempted yet" in output


def test_it_keeps_its_promises(lesson):
    name, _, output = lesson
    for promise in PROMISES.get(name, []):
        assert re.search(promise, output), f"{promise!r} is not in the output of {name}"


PROMISES = {
    "01_linear_regression": [
        r"x =   10   model  -8\.[23]\d\d   rule   -9",  # not arrived after 500 epochs
        "Keras follows the formula to 1e-5: True",
        r"to the power of 1\.500",  # Kepler's 3/2
    ],
    "02_next_token": [
        r"before training (\d\.\d\d)\d*, log\(\d+\) = \1",
        r"counted (\d\.\d{5}), Keras \1|counted (\d\.\d{3})\d\d, Keras \2",
    ],
    "03_tokenization": [
        r"strangest  \['strange', 'st'\]",
        "the same merges: True",
        "less than a hundredth of the work: True",
        "10,000 texts, different tokens in 0 of them",
        "the shipped tokenizer has these merges: True",
    ],
    "04_embeddings": [
        "the look-up equals the product: True",
        r"\nall +\d+ +\d\.\d% +\d\.\d% +[89]\d\.\d%",  # own class: chance, untrained, trained
        r"trained vectors +[23]\.\d\d +3\.\d\d",
    ],
    "05_attention": [
        "causal   earlier outputs unchanged: True",
        r"no_past +0\.(0[89]|1[01])\d",  # guesses among ten digits
        r"look_back +(0\.9[89]\d|1\.000)",
        r"after  training: 0\.9",  # of the weight on the right place
        r"one layer\n(.*\n)+?right on texts never seen: 0\.[0-5]",
        r"two layers\n(.*\n)+?right on texts never seen: (0\.9[89]|1\.0)",
    ],
    "06_transformer": [
        r"pre-norm True   causal True   differences: outputs \de-0[6-9], gradients \de-0[6-9]",
        r"pre-norm False  causal False  differences: outputs \de-0[6-9], gradients \de-0[6-9]",
        r"BERT 30\d,\d+ parameters; earlier places unchanged: False",
        r"GPT  30\d,\d+ parameters; earlier places unchanged: True",
    ],
    "07_gpt2": [
        "28 arrays, the same names and shapes as ours: True",
        r"logits \(1, \d+, \d+\), largest difference \de-0[6-9]",
        r"1\.5B +1,557,611,200 +1,557,611,200 +1,557,611,200",
        r"first loss (7\.\d)\d+, ln\(\d+\) = \1",
        r"parameters, largest difference \de-0[6-9]",
        "the same tokens: True",
        "tokens as in the tale: 100%",
    ],
    "08_pretraining": [
        r"by hand (\d\.\d{4})\d, Keras \1",
        "the directions are the same: True",
        "the same losses: True; the same weights, bit for bit: True",
        r"stopped at step \d+, kept step \d+",
        r"the same, word by word +5\d\.\d+",
    ],
    "09_generation": [
        r"greedy .* the same: True\nbeam, width 2 .* the same: True",
        r"cached against uncached logits: \de-0[5-9]",
        r"   256 +\d\d,\d\d\d\.\d +1\d\d\.\d +\d{2,3}\.\d times",
        r"\nvalid +(8[5-9]|9\d)\.\d%",
        r"\ncopies +0\.\d%",
    ],
    "10_chat": [
        r"largest gradient where it is read: +0\.0\n",
        "the same ids as the play through Keras's tokenizer: True",
        "targets replaced; the gradient changes by 0.0",
        r"\nafter +(8[5-9]|9\d)\.\d% +0\.9\d\d",
    ],
    "11_evaluation": [
        r"en: 1000 pairs, match agrees in 1000, largest difference of F1 \de-1\d",
        r"zh: by hand \d\d\.\d+, keras-nlp 0\.0000",
        r"Chinese with itself: by hand 1\.0, keras-nlp 0\.0",
        r"\nfine-tuned +0\.(8[5-9]|9\d)",
    ],
    "12_serving": [
        r"no text +500",  # the twenty lines
        r"no text +400 +text: text is missing\.",  # the server
        r"(text \d: .* the same: True\n){3}",
        r"with a memory: \['a', '', '', '狐', '', '', '狸'\]",
        r"data: … .*\ndata: \[DONE\]",
        r"statuses that came back: \{200: \d+, 429: \d+\}",
        r"after the hang-up its slot was free at [2-7]\d%",
        "the last text was finished: True",
    ],
}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
@pytest.mark.parametrize("flags", [["--seed", "-3"], ["--seed", "ten"], ["--no-such-flag"]])
def test_a_wrong_flag_is_one_sentence(script, flags, tmp_path):
    result = run(script, *flags, cwd=tmp_path)
    assert result.returncode == 2
    assert result.stdout == "" and result.stderr.count("\n") == 1
    assert flags[0] in result.stderr


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_no_lesson_imports_another(script):
    imported = set()
    for node in ast.walk(ast.parse(script.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module.split(".")[0])
    assert not imported & {"codes", "tools", "tests"}
