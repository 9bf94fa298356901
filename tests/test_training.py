"""What training prints."""

import io

import keras
import numpy as np
import pytest

from utils.course.seeds import seed_everything
from utils.training.progress import Progress


@pytest.fixture
def model():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="zeros")])
    model.compile(optimizer=keras.optimizers.SGD(0.01), loss="mean_squared_error")
    return model


def fit(model, progress, epochs):
    x = np.array([1.0, 2.0])
    return model.fit(x, x, epochs=epochs, verbose=0, callbacks=[progress])


def test_one_tidy_line_every_few_epochs_and_the_last(model, capsys):
    history = fit(model, Progress(every=4), epochs=10)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  loss")[0] for line in lines] == [
        "epoch  1/10",
        "epoch  4/10",
        "epoch  8/10",
        "epoch 10/10",
    ]
    assert lines[-1].endswith(f"loss {history.history['loss'][-1]:.4f}")


def test_a_terminal_gets_one_progress_bar(model, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    history = fit(model, Progress(), epochs=3)
    text = terminal.getvalue()
    assert "3/3" in text
    assert f"loss: {history.history['loss'][-1]:.4f}" in text, "the last loss, not a mean"


def test_the_same_seed_draws_the_same_numbers():
    first = (seed_everything(3).random(4), keras.random.normal((4,)))
    second = (seed_everything(3).random(4), keras.random.normal((4,)))
    other = (seed_everything(4).random(4), keras.random.normal((4,)))
    for a, b, c in zip(first, second, other, strict=True):
        assert np.array_equal(a, b)
        assert not np.array_equal(a, c)
