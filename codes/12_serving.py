# %% [markdown]
# # 12. Serving: a chat page for many
#
# At the end of this lesson you will have a server with a chat page on your machine: dozens of
# people can use it at once, their texts are written together, and whatever they send, it answers.
# You will have built the idea at its heart by hand: a schedule by which many texts share one step
# of the model.
#
# You need: how a text is written token by token, from [lesson 9](09_generation.ipynb), the small
# GPT-2 of [lesson 8](08_pretraining.ipynb) and the chat model of [lesson 10](10_chat.ipynb). If the
# models are not there yet, this lesson trains them first, which takes some minutes.

# %%
from utils.course.settings import settings

args = settings(language="en", top_p=0.8, length=64, seed=12)
print(args)

# %% [markdown]
# To use the server, you need none of this: `make chat` trains what is missing, starts it, and
# prints an address for your browser. Here you see how it works.

# %%
import codecs
import json
import logging
from collections import Counter, deque
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter, sleep

import keras
import keras_nlp
import matplotlib.pyplot as plt
import numpy as np
import requests
from flask import Flask, jsonify, request

from utils.course.plots import BLUE, GREEN, ORANGE, PURPLE, SKY, STYLE
from utils.data.decoding import as_text
from utils.exercises import lesson_12 as check
from utils.generation.generator import Generator
from utils.generation.sampling import as_sampling
from utils.serving.app import create_app
from utils.serving.batching import Batch
from utils.serving.engine import Engine
from utils.serving.server import Server, listen
from utils.small_chat import CORPORA, Assistant, chat_run
from utils.small_gpt2 import pretrained
from utils.tales import tell

plt.style.use(STYLE)
keras.utils.set_random_seed(args.seed)
rng = np.random.default_rng(args.seed)

# %%
assistant = Assistant(chat_run(args.language))  # answers
template = assistant.template
tokenizer, END = template.tokenizer, template.end_id
gpt2 = keras_nlp.models.GPT2CausalLM.from_preset(pretrained(CORPORA[args.language]).preset)
generator = Generator(gpt2, END)  # writes tales

# %% [markdown]
# ## Twenty lines
#
# Nearly every article about this ends with an endpoint such as the following. An **endpoint** is an
# address at which a program answers. The web framework [Flask](https://flask.palletsprojects.com)
# calls the function when somebody sends a text to `/generate`, as JSON, and sends back what it
# returns.

# %%
simple = Flask("twenty lines")
logging.getLogger("twenty lines").disabled = True  # its tracebacks would fill this page


@simple.post("/generate")
def generate():
    text = request.json["text"]
    prompt = [END, *tokenizer.encode(text)]
    (row,) = generator([prompt], args.length, top_p=args.top_p, seed=args.seed)
    written = [i for i in row[1:] if i < END]
    return jsonify({"generated_text": tokenizer.decode(written)})


client = simple.test_client()  # sends requests without a network
beginning = tell(args.language, seed=3).text[:40].rsplit(" ", 1)[0]  # no half words
answer = client.post("/generate", json={"text": beginning})
print(answer.status_code, answer.json["generated_text"])

# %% [markdown]
# It works, and for a demonstration that is enough. Now let others in. What do they send?

# %%
BAD = {
    "no JSON": {"data": "hello", "content_type": "application/json"},
    "no text": {"json": {"prompt": "hello"}},
    "a number": {"json": {"text": 7}},
    "null": {"json": {"text": None}},
    "too long": {"json": {"text": "hello " * 200}},
    "a list": {"json": ["text"]},
}


def show(problem, status, body):
    print(f"{problem:9} {status}  {' '.join(body.split())[:88]}")


for problem, sent in BAD.items():
    answer = client.post("/generate", **sent)
    show(problem, answer.status_code, answer.get_data(as_text=True))

# %% [markdown]
# A status of 400 to 499 says *you made a mistake*, one of 500 and more *I made one*. Here nearly
# every mistake of a user becomes an error of the server: the user learns nothing, and whoever runs
# it finds a traceback in the log for each.
#
# There is more that does not show in a single request:
#
# * **Each alone.** No two texts share a step. Eight at once take as long as one after the other.
# * **Silence.** The first word comes when the last one is written.
# * **No limit.** A thousand requests are all accepted, and all are slow.
# * **No ear.** Who closes the page is not missed: the text is written to its end, for nobody.
# * **A server for development.** Flask's own says so itself when it starts.
#
# ## A schedule, by hand
#
# The first point is the heart. Reading one token through the model means to read all weights from
# memory, and that is most of the work; for eight tokens at once they are read once (lesson 9). So
# texts should share a step. But they begin at different times, and have different lengths.
#
# Let us plan it on paper. Five texts arrive at these steps and need so many steps each. Three
# **slots** can be used at once.

# %%
ARRIVALS = [0, 0, 0, 1, 2]
LENGTHS = [6, 2, 3, 4, 2]


def exclusive_lock(arrivals, lengths):
    """(start, end) of each text if only one is written at a time."""
    free, spans = 0, []
    for arrival, length in zip(arrivals, lengths, strict=True):
        start = max(free, arrival)
        free = start + length
        spans.append((start, free))
    return spans


def fixed_batches(arrivals, lengths, slots):
    """The same if `slots` texts begin together, and the next ones when all of these have ended."""
    free, spans = 0, []
    for first in range(0, len(lengths), slots):
        batch = range(first, min(first + slots, len(lengths)))
        start = max(free, *(arrivals[i] for i in batch))
        spans += [(start, start + lengths[i]) for i in batch]
        free = max(end for _, end in spans)
    return spans


# %% [markdown]
# The better way: **continuous batching**. Look at the slots between any two steps. A text that has
# ended leaves its slot, the one that has waited longest takes it, and nobody waits for others to
# end. (First in Yu and others, *Orca: A Distributed Serving System for Transformer-Based Generative
# Models*, 2022, section 3, as *iteration-level scheduling*.)


# %%
def continuous(arrivals, lengths, slots):
    """The same if a text takes a slot as soon as one is free."""
    waiting, running, spans, step = deque(), {}, {}, 0
    while len(spans) < len(lengths) or running:
        waiting.extend(i for i, arrival in enumerate(arrivals) if arrival == step)
        while waiting and len(running) < slots:
            text = waiting.popleft()
            running[text] = lengths[text]
            spans[text] = (step, step + lengths[text])
        running = {text: left - 1 for text, left in running.items() if left > 1}
        step += 1
    return [spans[i] for i in range(len(lengths))]


# %% tags=["nbval-check-output"]
plans = {
    "one at a time": exclusive_lock(ARRIVALS, LENGTHS),
    "fixed batches": fixed_batches(ARRIVALS, LENGTHS, slots=3),
    "continuous": continuous(ARRIVALS, LENGTHS, slots=3),
}
for name, spans in plans.items():
    times = [end - arrival for (_, end), arrival in zip(spans, ARRIVALS, strict=True)]
    print(f"{name:14} last one ends at step {max(end for _, end in spans):2}", end="")
    print(f"   mean time from arrival to end {np.mean(times):.1f} steps")

# %%
figure, panels = plt.subplots(1, 3, figsize=(8.4, 2.5), sharey=True, sharex=True)
for axes, (name, spans) in zip(panels, plans.items(), strict=True):
    for text, (start, end) in enumerate(spans):
        colour = [BLUE, ORANGE, GREEN, PURPLE, SKY][text]
        axes.barh(text, end - start, left=start, color=colour)
        axes.plot(ARRIVALS[text], text, marker="|", markersize=14, color="black")
    axes.set(title=name, xlabel="step")
panels[0].set(ylabel="text", yticks=range(5))
panels[0].invert_yaxis()
plt.show()

# %% [markdown]
# Each row is a text: a black mark is its arrival, a bar the time during which it is written. In the
# middle the last two texts wait until the first one is done, though two slots are empty for some
# steps. On the right they begin as soon as the short texts have ended.
#
# ## The same with the model
#
# In a step of continuous batching each slot stands at another place of its text. So the model needs
# a position for each slot, and the cache a place for each. That is what
# [batching.py](../utils/serving/batching.py) adds to lesson 9. A prompt it reads in
# large pieces between two steps, so that even a long one holds nobody up for long. The number of
# slots never changes: an empty one is computed, too, and its token ignored, so that there is one
# shape, compiled once.
#
# Do texts still come out as if each were alone? Start three, at different times.

# %%
batch = Batch(generator, slots=4)
sampling = as_sampling(temperature=1.0, top_k=0, top_p=args.top_p)
prompts = [[END, *tokenizer.encode(tell(args.language, n).text)[: 5 + 20 * n]] for n in range(3)]
written = {slot: [] for slot in range(3)}
for step in range(30):
    if step % 5 == 0 and step // 5 < 3:  # at the steps 0, 5 and 10
        slot = step // 5
        batch.start(slot, prompts[slot], generator.context, sampling, seed=slot)
    for slot, token in batch.step().items():
        written[slot].append(token)

# %%
for slot, prompt in enumerate(prompts):
    stream = generator.stream(prompt, top_p=args.top_p, seed=slot)
    alone = [token for token, _ in zip(stream, written[slot], strict=False)]  # may end earlier
    same = written[slot][: len(alone)] == alone
    print(f"text {slot}: {len(prompt):2} tokens of prompt, {len(alone)} written, the same: {same}")
    assert same

# %% [markdown]
# And is it worth it? A step with many slots against steps with one.

# %%
SLOTS, STEPS = [1, 2, 4, 8, 16], 40
speeds = []
for slots in SLOTS:
    batch = Batch(generator, slots)
    for slot in range(slots):
        batch.start(slot, [END], generator.context, sampling, seed=slot)
    start = perf_counter()
    for _ in range(STEPS):
        batch.step()
    speeds.append(slots * STEPS / (perf_counter() - start))
    print(f"{slots:2} slots: {speeds[-1]:7,.0f} tokens/s, {speeds[-1] / speeds[0]:4.1f} times")

# %% [markdown]
# More slots give more tokens per second in all, but each step takes longer, and at some number the
# gain ends. The server takes sixteen: so many people are served at once, each a bit more slowly.
#
# ## Piece by piece
#
# Nobody likes to look at an empty page. So each token is to be sent as soon as it is there. A token
# is a run of *bytes* though (lesson 3), and may end in the middle of a character.

# %% tags=["nbval-check-output"]
data = "a狐狸".encode()
print(len(data), "bytes:", [data[i : i + 1].decode("utf-8", "replace") for i in range(len(data))])
decoder = codecs.getincrementaldecoder("utf-8")("replace")
print("with a memory:", [decoder.decode(data[i : i + 1]) for i in range(len(data))])

# %% [markdown]
# An **incremental decoder** keeps the bytes that are no whole character yet. `as_text` of
# [decoding.py](../utils/data/decoding.py) uses it. On a thousand rows of random tokens, its pieces
# put together are what the tokenizer makes of the whole row.

# %% tags=["nbval-check-output"]
rows = rng.integers(END, size=(1000, 12)).tolist()
same = all("".join(as_text(row, tokenizer)) == tokenizer.decode(row) for row in rows)
print("the same texts:", same)
assert same

# %% [markdown]
# For sending pieces there is a standard, too: **server-sent events**. The answer has the type
# `text/event-stream`, and nobody knows beforehand how long it will be. Each event here is a line
# that begins with `data: `, and an empty line ends it.
#
# ## The server
#
# Now put together what the lesson has shown. An **engine**
# ([engine.py](../utils/serving/engine.py)) is a thread that owns a model: it goes
# from step to step, fills free slots from a queue, and hands each new token to the one who waits
# for it. Its loop is that of `continuous`. There are two, because there are two models: the small
# GPT-2 continues texts, the chat model answers. The **application** reads requests and refuses bad
# ones. The **server** around it looks after the connections; it is
# [waitress](https://docs.pylonsproject.org/projects/waitress), made for production, and the same on
# every system.

# %%
answerer = Engine(assistant.generator, tokenizer, "small-chat", slots=16, queue=64)
writer = Engine(generator, tokenizer, "small-gpt2", slots=16, queue=64)
listener = listen("127.0.0.1", 0)  # this machine only, and any port that is free
server = Server(create_app(answerer, template.prompt, writer), [answerer, writer], listener)
server.start()
print(requests.get(f"{server.url}/v1/models").json()["data"][0]["id"])
answer = requests.post(f"{server.url}/generate", json={"text": "", "max_length": 60, "seed": 5})
print(answer.status_code, answer.json())

# %% [markdown]
# It listens at `127.0.0.1`, where only programs of the same machine can reach it. To let others in
# is a decision: `python -m utils.serving --host 0.0.0.0`.
#
# The endpoint for chats has the form that OpenAI gave its own, so that existing programs can talk
# to your model: only the address and the name of the model differ.

# %%
tale = tell(args.language, seed=args.seed)
chat = {
    "model": "small-chat",
    "messages": [
        {"role": "system", "content": tale.text},
        {"role": "user", "content": tale.questions[0].question},
    ],
    "temperature": 0,
}
answer = requests.post(f"{server.url}/v1/chat/completions", json=chat).json()
print("asked: ", chat["messages"][-1]["content"])
print("answer:", answer["choices"][0]["message"]["content"])
print("usage: ", answer["usage"])

# %% [markdown]
# And as a stream. Here are the events as they come over the wire, a bit shortened.

# %%
url = f"{server.url}/v1/chat/completions"
with requests.post(url, json=chat | {"stream": True}, stream=True) as stream:
    print(stream.headers["Content-Type"])
    for line in stream.iter_lines(decode_unicode=True):
        if line.startswith("data: {"):
            print("data: …", json.dumps(json.loads(line[6:])["choices"]))
        elif line:
            print(line)

# %% [markdown]
# `delta` is what is new. `[DONE]` is OpenAI's mark for the end, and no part of the standard.
#
# ### Bad input
#
# The same six mistakes as above, sent to this server.

# %%
for problem, sent in BAD.items():
    if "json" in sent:
        answer = requests.post(f"{server.url}/generate", json=sent["json"])
    else:
        headers = {"Content-Type": sent["content_type"]}
        answer = requests.post(f"{server.url}/generate", data=sent["data"], headers=headers)
    error = answer.json()["error"]
    show(problem, answer.status_code, f"{error['param'] or '-'}: {error['message']}")
    assert 400 <= answer.status_code < 500

# %% [markdown]
# Each gets a status that says *you*, the name of the field if there is one, and a sentence that
# says what is wrong. (*400, bad request*, is the usual one; a model that does not exist is *404,
# not found*.) The rules for the fields stand in one place,
# [schemas.py](../utils/serving/schemas.py); the server checks requests with them, and
# publishes them at `/openapi.json`, where a program can read them and make up bad requests. One of
# the tests does that.
#
# ### Too many
#
# A queue without an end is a promise that cannot be kept. Here is a server with two slots and room
# for two more. Twenty clients come at once.

# %%
small = Engine(generator, tokenizer, "small-gpt2", slots=2, queue=2)
app = create_app(small, template.prompt)  # only its /generate is used here
narrow = Server(app, [small], listen("127.0.0.1", 0))
narrow.start()


def ask(number):
    return requests.post(f"{narrow.url}/generate", json={"text": "", "seed": number})


with ThreadPoolExecutor(20) as pool:
    answers = list(pool.map(ask, range(20)))
statuses = Counter(answer.status_code for answer in answers)
print("statuses that came back:", dict(sorted(statuses.items())))
refused = next(answer for answer in answers if answer.status_code == 429)
print(refused.json()["error"]["message"], "Retry-After:", refused.headers["Retry-After"])
assert set(statuses) == {200, 429}
narrow.stop()

# %% [markdown]
# Whoever does not fit is told so at once, with *429, too many requests*, and with the number of
# seconds after which to try again. Clients know this status: that of OpenAI tries again by itself.
#
# ### Somebody hangs up
#
# A reader loses patience after a fifth of the time that a tale takes, and closes the page. Does the
# server go on writing for nobody? `/healthz` says how many texts are being written.

# %%
wanted = {"url": f"{server.url}/generate", "json": {"text": "", "seed": 7}}
start = perf_counter()
requests.post(**wanted)
whole = perf_counter() - start

start = perf_counter()
try:
    requests.post(**wanted, timeout=whole / 5)
except requests.Timeout:
    while requests.get(f"{server.url}/healthz").json()["running"] > 0:
        sleep(0.005)
free = (perf_counter() - start) / whole
print(f"the whole tale takes {whole:.1f} s; after the hang-up its slot was free at {free:.0%}")
assert free < 0.8

# %% [markdown]
# ### Many at once
#
# The measurement that counts: clients that come at the same time, and each wants a new tale. For
# each number of clients, all tokens per second, and the time until half of the clients have theirs.


# %%
def timed(number):
    """A new tale: the seconds that it took, and its text."""
    start = perf_counter()
    answer = requests.post(f"{server.url}/generate", json={"text": "", "seed": number})
    return perf_counter() - start, answer.json()["generated_text"]


def load(clients):
    """Tokens per second, and the median time to a whole tale in seconds."""
    start = perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        results = list(pool.map(timed, range(max(4, clients))))  # at least four, for a median
    speed = sum(len(tokenizer.encode(text)) for _, text in results) / (perf_counter() - start)
    return speed, float(np.median([seconds for seconds, _ in results]))


measured = {clients: load(clients) for clients in [1, 2, 4, 8, 16, 32, 64]}
for clients, (speed, wait) in measured.items():
    print(f"{clients:2} clients: {speed:5,.0f} tokens/s, half have their tale after {wait:.1f} s")

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3))
left.plot(list(measured), [speed for speed, _ in measured.values()], marker="o")
left.set(title="Tokens per second, all together")
right.plot(list(measured), [wait for _, wait in measured.values()], marker="s", color=ORANGE)
right.set(title="Seconds to a whole tale, median")
for axes in (left, right):
    axes.axvline(writer.slots, color="black", linestyle=":", linewidth=1)
    axes.set(xlabel="clients at once", ylim=(0, None), xscale="log")
    axes.set_xticks(list(measured), list(measured))
    axes.minorticks_off()
plt.show()

# %% [markdown]
# Up to sixteen clients, the number of slots (dotted), all share each step, so more is written per
# second, and each waits only a little longer: all slots are computed anyway, used or not. Beyond,
# the queue fills: the speed of the whole stays, and the wait grows with the number of clients.
# `benchmarks/` has the longer measurement, beside the twenty lines.
#
# ### The end
#
# A server is stopped many times in its life, for each new version. When it gets the signal to stop,
# it finishes the texts that it has begun, and refuses the rest with *503, service unavailable*.
# Here `stop` is called directly.

# %%
with ThreadPoolExecutor(1) as pool:
    last = pool.submit(requests.post, f"{server.url}/generate", json={"text": "", "seed": 1})
    while writer.load[0] == 0 and not last.done():  # until the text has begun
        sleep(0.001)
    server.stop()
print("the last text was finished:", last.result().status_code == 200)
assert last.result().status_code == 200

# %% [markdown]
# ## The page
#
# The server also answers at `/`, with a page: one file, without anything from other servers. Let
# the model write a new tale, then ask about it: the tale goes along as the message of the system.
# The page streams, can be stopped, remembers the chat when it is loaded again, and is readable on a
# phone. One rule of it matters most: what a model writes is *text*. If it were taken for HTML, then
# a model that has learnt to write `<script>` would run programs in the browser of the reader.
#
# ![The chat page](../assets/chat.png)
#
# ```
# make chat
# ```
#
# ## If your result looks different
#
# * **More slots bring little.** Then the arithmetic is the limit, not the memory: a machine with
#   more cores gains more. On two cores the gain ends early.
# * **A lone client gets fewer tokens per second than in lesson 9.** All slots are computed, used or
#   not: that is the price of one shape.
# * **`Port 8000 cannot be used`.** Another program has it; the server names another one to try.
# * **Others cannot reach your server.** It listens at 127.0.0.1 unless told otherwise. Think before
#   you tell it: there is no password.
#
# ## Recap
#
# * An endpoint is a function with an address; the work begins with what others send to it.
# * A mistake of the user is answered with 4xx, the field and a sentence. 5xx is for your own.
# * Texts share steps: continuous batching gives a slot to the next text as soon as one ends.
# * Tokens are bytes: an incremental decoder sends whole characters only.
# * Queues have an end, hang-ups are noticed, and a stop finishes what has begun.
#
# ## Check yourself
#
# Replace `...` by your answer and run the cell.
#
# **1.** Write a server-sent event: `data: `, the object as JSON, and what ends it. As bytes.


# %%
def as_event(content):
    """Return the event as bytes."""
    ...


check.as_event(as_event)

# %% [markdown]
# **2.** Some bytes of UTF-8 have come, and the last character may be cut off. How many bytes at the
# beginning are whole characters?


# %%
def whole_characters(data):
    """Return the number of bytes."""
    ...


check.whole_characters(whole_characters)

# %% [markdown]
# **3.** All texts are there from the start. At which step does the last one end, with continuous
# batching?


# %%
def last_end(lengths, slots):
    """Return the number of the step; a text of length 3 that begins at once ends at 3."""
    ...


check.last_end(last_end)

# %% [markdown]
# **4.** Eight clients come at once, each text takes two seconds, one is written after the other.
# How long is it, on average, until a client has the whole text? In seconds.

# %%
mean_wait = ...

check.mean_wait(mean_wait)

# %% [markdown]
# **5.** Which status: 200, 400, 404, 429, 500 or 503? Answer in this order: the temperature is
# "hot"; the queue is full; the server is about to stop; there is no such model.

# %%
statuses = ...

check.statuses(statuses)

# %% [markdown]
# ## Next
#
# That was the way from a line to a small ChatGPT. Everything on it was small, but the models that
# fill data centres are made of the same kinds of parts. Change one of yours, train again, and see
# its curve move.
