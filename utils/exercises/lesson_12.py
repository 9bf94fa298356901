"""Exercises of lesson 12, a server for many."""

import heapq
import json

from utils.exercises import Answers, exercise


@exercise(
    cases=[({"text": "hen"},), ({"n": 1, "done": False},), ([],)],
    hints=[
        "A line that begins with `data: `, and an empty line behind it.",
        '`f"data: {json.dumps(content)}\\n\\n".encode()`.',
    ],
)
def as_event(content):
    return f"data: {json.dumps(content)}\n\n".encode()


@as_event.mistake("the empty line is missing: an event ends with two line breaks.")
def _(content):
    return f"data: {json.dumps(content)}\n".encode()


@as_event.mistake("that is a string; what is sent is bytes: `.encode()`.")
def _(content):
    return f"data: {json.dumps(content)}\n\n"


@as_event.mistake("the object must be converted to JSON: `json.dumps`.")
def _(content):
    return f"data: {content}\n\n".encode()


FOX = "a狐狸".encode()


@exercise(
    cases=[(FOX,), (FOX[:6],), (FOX[:5],), (FOX[:2],), (b"",), ("é!".encode()[:1],)],
    hints=[
        "A whole text decodes without an error; try shorter and shorter beginnings.",
        "Or let the incremental decoder do it: what it gives back has so many bytes again:"
        ' `len(codecs.getincrementaldecoder("utf-8")().decode(data).encode())`.',
    ],
)
def whole_characters(data):
    for size in range(len(data), -1, -1):
        try:
            data[:size].decode("utf-8")
        except UnicodeDecodeError:
            continue
        return size


@whole_characters.mistake("that is the number of characters; wanted are bytes.")
def _(data):
    return len(data.decode("utf-8", "ignore"))


@whole_characters.mistake("a character has up to four bytes, and all of them may be there already.")
def _(data):
    for size in range(len(data) - 1, -1, -1):
        try:
            data[:size].decode("utf-8")
        except UnicodeDecodeError:
            continue
        return size
    return 0


@exercise(
    cases=[
        ([6, 2, 3, 4, 2], 3),
        ([5, 5, 5], 1),
        ([1, 2, 3], 5),
        ([4, 4, 4, 4, 1], 2),
        ([1, 1, 4], 2),
    ],
    hints=[
        "Remember for each slot when it becomes free. The next text takes the earliest.",
        "`free = [0] * slots`; for each length: `i = free.index(min(free))`, `free[i] += length`.",
    ],
)
def last_end(lengths, slots):
    free = [0] * slots
    for length in lengths:
        heapq.heappush(free, heapq.heappop(free) + length)
    return max(free)


@last_end.mistake("that is one after the other: the slots work at the same time.")
def _(lengths, slots):
    return sum(lengths)


@last_end.mistake("those are static batches: a slot is free as soon as its own text has ended.")
def _(lengths, slots):
    return sum(max(lengths[i : i + slots]) for i in range(0, len(lengths), slots))


@last_end.mistake("the texts come in their order; you have begun with the longest.")
def _(lengths, slots):
    free = [0] * slots
    for length in sorted(lengths, reverse=True):
        heapq.heappush(free, heapq.heappop(free) + length)
    return max(free)


@last_end.mistake(
    "work cannot be divided so evenly: a text is generated in one slot, step by step."
)
def _(lengths, slots):
    return -(-sum(lengths) // slots)


@exercise(
    cases=[()],
    hints=["The first waits 2 seconds, the second 4, the last 16.", "The mean of 2, 4, …, 16."],
)
def mean_wait():
    return sum(2 * n for n in range(1, 9)) / 8


@mean_wait.mistake("that is when the last one has it; asked is the mean.")
def _():
    return 16


@mean_wait.mistake("that is the time until a text begins; add the two seconds that it takes.")
def _():
    return 7


@exercise(
    cases=[()],
    hints=[
        "Mistakes of the client are 4xx; what does not exist is 404; too many requests is 429.",
        "A server that is about to stop made no mistake, it is not available: 503.",
    ],
)
def statuses():
    return (400, 429, 503, 404)


@statuses.mistake("a bad value is the client's mistake: 400, not 500.")
def _():
    return (500, 429, 503, 404)


@statuses.mistake("a server that stops is no bug: 503 says that it is not available.")
def _():
    return (400, 429, 500, 404)


@statuses.mistake("a full queue is 429, too many requests: it tells the client to try again later.")
def _():
    return (400, 503, 503, 404)


answer = Answers(
    (
        "A schedule, by hand",
        "In a large model most of the time of a step is spent on loading the weights from memory."
        " One step for eight texts loads them once; eight steps load them eight times.",
    ),
    (
        "A schedule, by hand",
        "It looks at the slots between any two steps and gives a free slot to the text that has"
        " waited longest. With static batching a free slot stays empty until all texts of the"
        " batch have ended.",
    ),
    (
        "One cache for all slots",
        "Every array has one row or part per slot: tokens, positions, keys and values. The"
        " position of a slot decides where its new key and value are written and which positions"
        " its attention mask shows. The mask hides what the previous text has left behind, so"
        " nothing need be cleared.",
    ),
    (
        "Too many requests",
        "Without a limit the server accepts requests that it cannot answer in time, and the"
        " wait grows for everybody. When the queue is full, a client gets status code 429 at"
        " once, with the number of seconds after which to try again.",
    ),
    (
        "Untrusted text, in both directions",
        "A text in the input contains instructions, and the model follows them as if they came"
        " from its operator, because it reads everything as one sequence of tokens. The server"
        " can make sure that nobody forges the tokens that say who is speaking. For the rest"
        " there is no complete solution.",
    ),
)
