"""Exercises of lesson 10, from a text to a conversation."""

from utils.exercises import Answers, exercise

PLAY = ["token", "system", "system", "token", "user", "token", "assistant", "assistant"]
TWO = ["token", "user", "token", "assistant", "token", "user", "user", "token", "assistant"]


@exercise(
    cases=[(PLAY,), (TWO,), (["token", "user"],)],
    hints=[
        "One number for each token: 1 where the assistant speaks.",
        '`[int(role == "assistant") for role in roles]`.',
    ],
)
def loss_mask_of(roles):
    return [int(role == "assistant") for role in roles]


@loss_mask_of.mistake("the assistant's role token stands in the prompt, it need not be learnt.")
def _(roles):
    following = [*roles[1:], ""]
    return [
        int(role == "assistant" or (role == "token" and after == "assistant"))
        for role, after in zip(roles, following, strict=True)
    ]


@loss_mask_of.mistake("what the user says is to be read, not learnt.")
def _(roles):
    return [int(role in ("user", "assistant")) for role in roles]


@loss_mask_of.mistake("it is the other way round: 1 where something is to be learnt.")
def _(roles):
    return [int(role != "assistant") for role in roles]


@exercise(
    cases=[
        ([3, 4, 5, 2], 8),
        ([8, 8], 8),
        ([5, 5, 5], 8),
        ([1], 10),
        ([4, 4, 4], 8),
        ([6, 5, 2, 3], 8),
    ],
    hints=[
        "Go through the lengths and remember how much of the last row is used.",
        "If the next one does not fit any more, begin a row: `rows += 1; used = 0`.",
    ],
)
def rows_needed(lengths, length):
    rows, used = 0, length
    for needed in lengths:
        if used + needed > length:
            rows, used = rows + 1, 0
        used += needed
    return rows


@rows_needed.mistake("a conversation is never cut: what does not fit goes to a new row as a whole.")
def _(lengths, length):
    return -(-sum(lengths) // length)


@rows_needed.mistake("they come in their order: a row that has been left is not filled later.")
def _(lengths, length):
    rows = []
    for needed in lengths:
        i = next((i for i, used in enumerate(rows) if used + needed <= length), None)
        if i is None:
            rows.append(needed)
        else:
            rows[i] += needed
    return len(rows)


@rows_needed.mistake("the last row counts too, or the first: you are one short.")
def _(lengths, length):
    rows, used = 0, 0
    for needed in lengths:
        if used + needed > length:
            rows, used = rows + 1, 0
        used += needed
    return rows


@rows_needed.mistake("a row may be filled to the last token: `>`, not `>=`.")
def _(lengths, length):
    rows, used = 0, length
    for needed in lengths:
        if used + needed >= length:
            rows, used = rows + 1, 0
        used += needed
    return rows


@exercise(
    cases=[()],
    hints=["A row of the embedding table for each token.", "3 rows of 768 numbers."],
)
def new_parameters():
    return 3 * 768


@new_parameters.mistake("the table that makes the logits is the same one: count it once.")
def _():
    return 2 * 3 * 768


@new_parameters.mistake("that is one token; there are three.")
def _():
    return 768


@exercise(
    cases=[()],
    hints=[
        "The mean over the tokens with mask 1, whichever reply they belong to.",
        "Six tokens: (4 * 1 + 2 * 3) / 6.",
    ],
)
def row_loss():
    return (4 * 1 + 2 * 3) / 6


@row_loss.mistake("that is the mean of the two replies' means: here each token counts the same.")
def _():
    return 2


@row_loss.mistake("that is the sum; the loss is the mean.")
def _():
    return 10


TALK = [("system", 10), ("user", 3), ("assistant", 4), ("user", 5), ("assistant", 2), ("user", 6)]


@exercise(
    cases=[(TALK, 30), (TALK, 29), (TALK, 23), (TALK, 22), (TALK, 16)],
    hints=[
        "Keep the first message apart. Drop two of the others as long as it is too long.",
        "`while sum(length for _, length in messages) > longest:` and then"
        " `messages = [messages[0], *messages[3:]]`.",
    ],
)
def forget(messages, longest):
    while sum(length for _, length in messages) > longest:
        messages = [messages[0], *messages[3:]]
    return messages


@forget.mistake("you dropped the system's message: it stays.")
def _(messages, longest):
    while sum(length for _, length in messages) > longest:
        messages = messages[2:]
    return messages


@forget.mistake("a question without its reply is left, or the reverse: drop both.")
def _(messages, longest):
    while sum(length for _, length in messages) > longest:
        messages = [messages[0], *messages[2:]]
    return messages


@forget.mistake("drop the oldest exchange, not the newest.")
def _(messages, longest):
    while sum(length for _, length in messages) > longest:
        messages = [*messages[:-3], messages[-1]]
    return messages


@forget.mistake("no more than needed: it may fill the room to the last token.")
def _(messages, longest):
    while sum(length for _, length in messages) >= longest and len(messages) > 2:
        messages = [messages[0], *messages[3:]]
    return messages


answer = Answers(
    (
        "What is missing",
        "The conversation is written as a transcript that ends with the assistant's role token."
        " What follows it in the training is always a reply, so a reply is the likeliest"
        " continuation.",
    ),
    (
        "Only the assistant's tokens",
        "As targets they would teach the model to ask, which it never has to do. As inputs they are"
        " needed: through attention the gradient of the reply reaches them, and so the model learns"
        " to read them.",
    ),
    (
        "The template of the course",
        "A role token is an id of its own, and the template adds it. Each message is encoded by"
        " itself, and there `<|system|>` is only letters, which never become that id.",
    ),
    (
        "One tale, many conversations",
        "The attention mask: a token sees the tale and what stands before it in its own segment,"
        " nothing of the other conversations.",
    ),
    (
        "Conversations",
        "Questions without an answer in the tale, with a reply that says so. A model that has only"
        " seen questions with an answer learns to give one every time: it hallucinates.",
    ),
)
