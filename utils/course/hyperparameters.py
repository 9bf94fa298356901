"""The settings of all lessons and commands: what each means and which values make sense.

One name means one thing everywhere. A lesson that needs a new setting adds its line here.
"""

from typing import NamedTuple

from utils.command_line import (
    Converter,
    address,
    any_text,
    file,
    folder,
    name,
    one_of,
    positive_number,
    preset_folder,
    rate,
    share,
    switch,
    whole_number,
)


class Hyperparameter(NamedTuple):
    """One setting.

    Attributes:
        meaning: what it is, a noun phrase for `--help`.
        values: which values make sense.
        unset: what happens if no value is given. Only a setting that says so may be None.
    """

    meaning: str
    values: Converter
    unset: str | None = None


OPTIONS = {
    "corpus": Hyperparameter(
        "text to train on",
        file("text file", "tales", "tales-zh", "shakespeare", "python_docs"),
    ),
    "data": Hyperparameter(
        "table to classify, with the columns text and label",
        file("CSV file"),
        unset="the tasks of the course",
    ),
    "language": Hyperparameter("language of the tales", one_of("en", "zh")),
    # training
    "epochs": Hyperparameter("passes over the training data", whole_number(1, 1_000_000)),
    "steps": Hyperparameter(
        "gradient steps", whole_number(1, 1_000_000), unset="as the data need it"
    ),
    "batch_size": Hyperparameter(
        "examples in one gradient step", whole_number(1, 1_000_000), unset="as the data need it"
    ),
    "accumulate": Hyperparameter(
        "parts that a batch is split into; the gradients are added up", whole_number(1, 1024)
    ),
    "learning_rate": Hyperparameter(
        "size of a step against the gradient", positive_number(), unset="as the size needs it"
    ),
    "dropout": Hyperparameter(
        "probability that dropout sets an activation to 0 in training",
        rate(),
        unset="as the size has it",
    ),
    "dtype": Hyperparameter(
        "precision of the computation; the parameters stay float32",
        one_of("float32", "mixed_bfloat16"),
    ),
    "seed": Hyperparameter("starting point of all random numbers", whole_number(0, 2**32 - 1)),
    "dialogues": Hyperparameter(
        'dialogues to fine-tune on, each line {"messages": [{"role": …, "content": …}, …]}',
        file("JSON Lines file"),
        unset="those of the course",
    ),
    "base": Hyperparameter(
        "preset or run of the model to start from",
        preset_folder(),
        unset="the small GPT-2 of the course, with --lora its chat model",
    ),
    "lora": Hyperparameter(
        "rank of a LoRA adapter that is trained in place of the model",
        whole_number(1, 256),
        unset="the whole model is trained",
    ),
    "run": Hyperparameter("name of a finished run", name(), unset="the run with these settings"),
    # several processes
    "processes": Hyperparameter("processes that train together", whole_number(1, 1024)),
    "coordinator": Hyperparameter(
        "where process 0 listens", address(), unset="all processes run on this machine"
    ),
    "process_id": Hyperparameter(
        "the process of this machine, counted from 0",
        whole_number(0, 1023),
        unset="all processes run on this machine",
    ),
    # the model
    "vocabulary_size": Hyperparameter(
        "tokens in the vocabulary: 256 bytes, the end of text, the merges",
        whole_number(258, 50_257),
    ),
    "size": Hyperparameter("size of the model", one_of("small", "medium", "gpt2")),
    "layers": Hyperparameter("Transformer blocks", whole_number(1, 96), unset="as the size has it"),
    "heads": Hyperparameter(
        "attention heads in each block", whole_number(1, 128), unset="as the size has it"
    ),
    "width": Hyperparameter(
        "numbers in the vector of a token, the residual stream",
        whole_number(2, 8192),
        unset="as the size has it",
    ),
    "feed_forward": Hyperparameter(
        "hidden units of the feed-forward network in each block",
        whole_number(2, 65_536),
        unset="as the size has it",
    ),
    "context": Hyperparameter(
        "context window: tokens that the model sees at once",
        whole_number(2, 8192),
        unset="as the size has it",
    ),
    "embedding_dim": Hyperparameter("numbers in the vector of a token", whole_number(2, 4096)),
    "window": Hyperparameter(
        "largest distance between a word and its neighbours", whole_number(1, 20)
    ),
    "preset": Hyperparameter(
        "published weights to fetch, or a folder that holds some",
        folder(
            *("none", "gpt2"),
            *("gpt2_base_en", "gpt2_medium_en", "gpt2_large_en", "gpt2_extra_large_en"),
        ),
    ),
    # generation
    "temperature": Hyperparameter(
        "divisor of the logits: below 1 prefers the likely tokens, above 1 the unlikely ones",
        positive_number(),
    ),
    "top_k": Hyperparameter(
        "number of most likely tokens to sample from, 0 for all", whole_number(0, 50_257)
    ),
    "top_p": Hyperparameter("total probability of the most likely tokens to sample from", share()),
    "prompt": Hyperparameter("beginning of the text", any_text()),
    "length": Hyperparameter("tokens of a generated text, prompt included", whole_number(2, 8192)),
    "max_new_tokens": Hyperparameter("tokens of a reply at most", whole_number(1, 8192)),
    "texts": Hyperparameter("texts that a model generates to be judged", whole_number(10, 10_000)),
    "questions": Hyperparameter("questions that a model is asked", whole_number(10, 5_000)),
    "tales": Hyperparameter("tales to search in", whole_number(10, 1000)),
    "replies": Hyperparameter(
        "questions that SmolLM2 answers, 0 to leave it out", whole_number(0, 50)
    ),
    "clients": Hyperparameter("largest number of clients at once", whole_number(1, 64)),
    "chat": Hyperparameter("skip the lesson and chat in the terminal", switch()),
}
