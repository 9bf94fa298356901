"""The engine writes what a single stream would write, for many at once, and lets go what nobody
wants."""

import random
import threading

import numpy as np
import pytest
import tensorflow as tf
from tiny_server import CONTEXT, NEVER, Gate, random_model, shut, tiny_engine, tiny_tokenizer, until

from utils.data.bpe import END, Tokenizer, train
from utils.data.decoding import as_text
from utils.data.dialogues import Message
from utils.errors import CourseError
from utils.generation.generator import CHUNK, Generator
from utils.generation.sampling import as_sampling
from utils.serving.batching import Batch, Penalties, piece_at
from utils.serving.engine import Busy, Closing, Engine, ModelFailed
from utils.serving.prompts import as_beginning, longest_prompt, plain_chat

SLOTS, QUEUE = 3, 2
LIKELIEST, DARING = as_sampling(1.0, 1, 1.0), as_sampling(2.0, 0, 0.95)


@pytest.fixture(scope="module")
def engine():
    with pytest.MonkeyPatch.context() as patch:  # so that prompts are read in several pieces
        patch.setattr("utils.serving.batching.CHUNK", CHUNK)
        engine = tiny_engine(SLOTS, QUEUE)
    engine.gate = Gate(engine)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def generator(engine):
    return engine._generator


def is_idle(engine):
    return until(lambda: engine.load == (0, 0))


# ---- the same texts ------------------------------------------------------------------------------


def test_logits_of_rows_at_different_places_equal_those_of_each_row_alone(generator):
    rng, rows = np.random.default_rng(0), 3
    ids = rng.integers(0, generator.vocabulary_size, (rows, 20)).astype("int32")
    together = generator.empty_cache(rows, CONTEXT)
    alone = [generator.empty_cache(1, CONTEXT) for _ in range(rows)]
    delays = np.array([0, 3, 7])  # the second row begins three steps after the first
    for step in range(20):
        places = np.maximum(step - delays, 0).astype("int32")
        tokens = ids[np.arange(rows), places]
        logits, together = generator.read_tokens(
            generator.weights, tf.constant(tokens[:, None]), tf.constant(places), together
        )
        for row in range(rows):
            token, place = tf.constant([[tokens[row]]]), tf.constant(places[row])
            expected, alone[row] = generator.read_tokens(
                generator.weights, token, place, alone[row]
            )
            assert np.abs(expected[0] - logits[row]).max() < 1e-4


def test_each_text_is_the_one_that_a_stream_would_write(engine, generator):
    """More texts than slots, with prompts shorter and longer than a chunk, each drawn its own way.

    They come and go at different steps.
    """
    rng = np.random.default_rng(1)
    lengths = [1, 5, CHUNK, CHUNK + 1, CHUNK + 2, 2 * CHUNK + 1, CONTEXT - 1, 60, 3, 40]
    prompts = [rng.integers(0, generator.vocabulary_size, n).tolist() for n in lengths]
    options = [(1.0, 0, 1.0), (1.3, 20, 0.9), (0.7, 1, 1.0)]
    expected, found = [], [None] * len(prompts)

    def ask(number, prompt, length, option):
        while found[number] is None:
            try:
                reply = engine.submit(prompt, length, as_sampling(*option), number)
                found[number] = list(reply)
            except Busy:
                threading.Event().wait(0.01)

    cases = [(n, p, CONTEXT - n % 2 * 60, options[n % 3]) for n, p in enumerate(prompts)]
    threads = [threading.Thread(target=ask, args=case) for case in cases]
    for thread in threads:
        thread.start()
    for number, prompt, length, option in cases:
        stream = generator.stream(prompt, length, *option, seed=number)
        expected.append(list(stream))
    for thread in threads:
        thread.join()
    assert found == expected and len({len(text) for text in found}) > 5


def test_texts_are_written_together_not_one_after_the_other(engine):
    with shut(engine.gate) as gate:
        replies = [engine.submit([1, 2], CONTEXT, DARING, seed) for seed in range(SLOTS)]
        assert gate.has(SLOTS, 0)
        gate.let(4)
        streams = [iter(reply) for reply in replies]
        seen = [[next(stream) for _ in range(2)] for stream in streams]
        assert len(seen) == SLOTS and engine.load == (SLOTS, 0)
    assert is_idle(engine)


def test_a_text_from_the_queue_begins_while_others_go_on(engine):
    with shut(engine.gate) as gate:
        long = engine.submit([1], CONTEXT, DARING, 0)
        short = [engine.submit([1], 6, DARING, seed) for seed in range(SLOTS - 1)]
        waiting = engine.submit([1], CONTEXT, DARING, 7)
        assert gate.has(SLOTS, 1)
        assert gate.let_until(lambda: all(reply.finish_reason for reply in short))
        gate.let(2)
        assert next(iter(waiting)) >= 0 and not long.finish_reason
    assert is_idle(engine)


def test_the_end_id_ends_a_text_and_is_not_part_of_it(engine, generator):
    whole = list(generator.stream([5], CONTEXT, top_k=1))
    end = whole[9]
    engine.end_id = end
    try:
        reply = engine.submit([5], CONTEXT, LIKELIEST, 0)
        assert list(reply) == whole[: whole.index(end)] and reply.finish_reason == "stop"
    finally:
        engine.end_id = generator.end_id
    reply = engine.submit([5], 8, LIKELIEST, 0)
    assert list(reply) == whole[:7] and reply.finish_reason == "length"


@pytest.mark.parametrize("settings", [(1e-50, 0, 1.0), (1.0, 0, 1e-50)], ids=str)
def test_settings_too_small_for_float32_still_draw(generator, settings):
    assert list(generator.stream([5], 12, *settings)) == list(generator.stream([5], 12, top_k=1))


def test_a_large_vocabulary_is_sampled_row_by_row():
    """Published GPT-2's 50,257 tokens are searched in groups, with a limit for each row."""
    generator = Generator(random_model(9000), NEVER)
    options = [(1.0, 0, 1.0), (1.3, 20, 0.9), (0.7, 1, 1.0), (1.0, 8000, 1.0)]
    batch = Batch(generator, len(options))
    for slot, option in enumerate(options):
        batch.start(slot, [7, slot], CONTEXT, as_sampling(*option), seed=slot)
    steps = [batch.step() for _ in range(12)]
    for slot, option in enumerate(options):
        stream = generator.stream([7, slot], 13, *option, seed=slot)
        written = [step[slot] for step in steps if slot in step]
        assert written[:11] == list(stream)


def greedy_by_hand(generator, prompt, steps, penalties):
    """OpenAI's formula, token by token: the likeliest one after bias and penalties."""
    cache = generator.empty_cache(1, CONTEXT)
    ids = list(prompt)
    for place in range(len(prompt) + steps - 1):
        token = tf.constant([[ids[place]]])
        read = generator.read_tokens
        logits, cache = read(generator.weights, token, tf.constant(place), cache)
        if place == len(ids) - 1:
            scores = logits.numpy()[0, 0].astype("float64")
            for number, value in penalties.logit_bias.items():
                scores[number] += value
            counts = np.bincount(ids[len(prompt) :], minlength=len(scores))
            scores -= penalties.frequency * counts + penalties.presence * (counts > 0)
            ids.append(int(scores.argmax()))
    return ids[len(prompt) :]


def test_penalties_are_openais(engine, generator):
    """Each slot has its own; whoever comes into the slot afterwards has none."""
    cases = [
        Penalties({}, 1.5, 0.0),
        Penalties({}, 0.0, 0.7),
        Penalties({3: 4.0, 9: -100.0}, -0.5, 0.3),
        Penalties({3: 4.0}, 0.0, 0.0),
    ]
    prompt, whole = [5, 6], greedy_by_hand(generator, [5, 6], 40, Penalties({}, 0.0, 0.0))
    length = len(prompt) + 40
    replies = [engine.submit(prompt, length, LIKELIEST, 0, penalties=case) for case in cases]
    found = [list(reply) for reply in replies]
    assert found == [greedy_by_hand(generator, prompt, 40, case) for case in cases]
    assert all(text != whole for text in found)
    plain = [engine.submit(prompt, length, LIKELIEST, 0) for _ in range(SLOTS + 1)]
    assert [list(reply) for reply in plain] == [whole] * len(plain)


# ---- the queue -----------------------------------------------------------------------------------


def test_a_full_queue_refuses_and_takes_again(engine):
    with shut(engine.gate) as gate:
        for seed in range(SLOTS + QUEUE):
            engine.submit([1], 50, DARING, seed)
        with pytest.raises(Busy, match="try again"):
            engine.submit([1], 5, DARING, 9)
        assert gate.has(SLOTS, QUEUE)
    assert is_idle(engine)
    assert len(list(engine.submit([1], 5, DARING, 0))) == 4


@pytest.mark.parametrize("how", ["cancel", "gone"])
def test_what_nobody_wants_frees_its_slot_and_its_place_in_the_queue(engine, how):
    left = set()
    with shut(engine.gate) as gate:
        replies = [
            engine.submit([1], CONTEXT, DARING, seed, gone=lambda seed=seed: seed in left)
            for seed in range(SLOTS + QUEUE)
        ]
        assert gate.has(SLOTS, QUEUE)
        for seed in (0, SLOTS):  # one that is being written, one that waits
            if how == "cancel":
                replies[seed].cancel()
            else:
                left.add(seed)
        assert gate.let_until(lambda: engine.load == (SLOTS, QUEUE - 2))
        assert len(list(replies[0])) <= 20 and replies[0].finish_reason == "cancelled"
        assert list(replies[SLOTS]) == [] and replies[SLOTS].finish_reason == "cancelled"
    assert is_idle(engine)
    assert len(list(replies[1])) == CONTEXT - 1  # nobody else was harmed


def test_a_failure_of_the_model_is_told_and_passes(engine, monkeypatch, caplog):
    working = engine._batch.step
    with shut(engine.gate) as gate:
        replies = [engine.submit([1], 50, DARING, seed) for seed in range(SLOTS + 1)]
        assert gate.has(SLOTS, 1)
        monkeypatch.setattr(engine._batch, "step", lambda: 1 / 0)
        gate.let(1)
        for reply in replies[:SLOTS]:
            with pytest.raises(ModelFailed):
                list(reply)
        monkeypatch.setattr(engine._batch, "step", working)
    assert is_idle(engine)
    assert "ZeroDivisionError" in caplog.text
    assert len(list(engine.submit([1], 9, DARING, 0))) == 8


def test_closing_finishes_what_is_written_and_refuses_the_rest():
    engine = tiny_engine(slots=1, queue=2)
    gate = Gate(engine)
    gate.shut()
    running, waiting = (engine.submit([1], 30, DARING, seed) for seed in range(2))
    assert gate.has(1, 1)
    closer = threading.Thread(target=engine.close)
    closer.start()
    with pytest.raises(Closing, match="shutting down"):
        list(waiting)
    with pytest.raises(Closing):
        engine.submit([1], 30, DARING, 2)
    assert closer.is_alive()
    gate.open()
    closer.join()
    assert len(list(running)) == 29 and running.finish_reason == "length"
    assert not engine._thread.is_alive()


def test_a_prompt_that_does_not_fit_is_refused_at_once(engine):
    for prompt, length, seed in [([], 5, 0), ([1] * 5, 5, 0), ([10**6], 5, 0), ([1], 5, -1)]:
        with pytest.raises(CourseError):
            engine.submit(prompt, length, DARING, seed)
    assert engine.load == (0, 0)


def test_another_slot_and_another_place_compile_nothing_anew(generator):
    batch = Batch(generator, slots=3)
    function = tf.function(batch._read_piece, jit_compile=True)

    def compiled(slot, place):
        """The program for these values; were they constants to the compiler, they would differ."""
        piece = piece_at(slot, np.full((1, batch.chunk), slot, "int32"), place)
        return function.experimental_get_compiler_ir(*piece)(stage="hlo")

    assert compiled(0, 0) == compiled(2, 5)


def test_an_engine_with_a_context_shorter_than_a_chunk_works(monkeypatch):
    monkeypatch.setattr("tiny_server.CONTEXT", CHUNK - 4)
    tokenizer = tiny_tokenizer()
    generator = Generator(random_model(len(tokenizer.tokens)), NEVER)
    short = Engine(generator, tokenizer, "short", 1, 0)
    assert len(list(short.submit([1, 2, 3], CHUNK - 4, DARING, 0))) == CHUNK - 7
    short.close()


# ---- text and ids --------------------------------------------------------------------------------


def test_pieces_of_text_are_whole_characters():
    tokenizer = Tokenizer([])  # every byte is a token
    text = "é 狐狸 🦊 end"
    pieces = list(as_text(tokenizer.encode(text), tokenizer))
    assert pieces == list(text)


def test_pieces_come_as_soon_as_they_are_whole():
    tokenizer, seen = Tokenizer([]), []

    def ids():
        for number in tokenizer.encode("a狐b"):
            yield number
            seen.append(number)

    reading = as_text(ids(), tokenizer)
    counts = [(next(reading), len(seen)) for _ in range(3)]
    assert counts == [("a", 0), ("狐", 3), ("b", 4)]


def test_pieces_together_are_what_the_tokenizer_decodes():
    tokenizer, rng = tiny_tokenizer(), random.Random(0)
    for _ in range(500):  # mostly no UTF-8 at all
        ids = [rng.randrange(len(tokenizer.tokens)) for _ in range(rng.randrange(30))]
        pieces = list(as_text(ids, tokenizer))
        assert "".join(pieces) == tokenizer.decode(ids) and "" not in pieces


@pytest.mark.parametrize(
    "text", [END, f"a{END}b{END}", f"<{END}", f"{END[:5]}{END}狐", "plain", ""]
)
def test_a_special_token_in_a_text_is_only_letters(text):
    tokenizer = Tokenizer(train(END * 5, 12))  # even if the letters have been merged
    first, *ids = as_beginning(text, tokenizer)
    assert first == tokenizer.end_id and tokenizer.end_id not in ids
    assert tokenizer.decode(ids) == text


def test_a_chat_becomes_a_play():
    tokenizer = tiny_tokenizer()
    messages = [Message("system", "Be kind."), Message("user", f"Hi{END}"), Message("user", "?")]
    first, *ids = plain_chat(tokenizer)(messages)
    assert first == tokenizer.end_id
    assert tokenizer.decode(ids) == f"system: Be kind.\nuser: Hi{END}\nuser: ?\nassistant:"


def test_no_text_longer_than_the_longest_prompt_fits():
    tokenizer = Tokenizer(train("aaaa bbb " * 9, 5))
    longest = longest_prompt(10, tokenizer)
    densest = max(tokenizer.tokens[: tokenizer.end_id], key=len).decode() * 10
    assert len(densest) <= longest and len(tokenizer.encode("x" * (longest + 1))) > 10
