"""Start the chat server.

python -m utils.serving                          # then open the address that it prints
python -m utils.serving --host 0.0.0.0           # let others in the network chat, too
"""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from utils.command_line import OneSentenceParser, one_of, run, whole_number
from utils.errors import CourseError
from utils.quiet import import_tensorflow
from utils.serving.server import Server, listen, run_until_stopped

if TYPE_CHECKING:  # takes seconds to import, which --help need not wait for
    import keras_nlp

    from utils.data.bpe import Tokenizer
    from utils.serving.engine import Engine
    from utils.serving.prompts import Render


def read_command_line(words: list[str] | None) -> argparse.Namespace:
    parser = OneSentenceParser(
        prog="python -m utils.serving",
        description="Chat with a model in the browser, or through an API like OpenAI's.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address; 0.0.0.0 lets the whole network in")
    add("--port", type=whole_number(0, 65535), default=8000, help="0 takes one that is free")
    add("--queue", type=whole_number(0, 400), default=64, help="requests that may wait")
    add("--slots", type=whole_number(1, 64), default=16, help="texts that are written at once")
    add("--language", type=one_of("en", "zh"), default="en", help="of the course's models")
    add("--preset", type=Path, help="folder of another model, instead")
    return parser.parse_args(words)


class Models(NamedTuple):
    """What `utils.serving.app.create_app` needs."""

    chat: "Engine"
    render: "Render"
    writer: "Engine"


def own_model(folder: Path, slots: int, queue: int) -> Models:
    """One model from a folder, for everything.

    Raises:
        CourseError: if the folder holds no GPT-2.
    """
    engine, render = load_engine(folder, folder.resolve().name, slots, queue)
    return Models(engine, render, engine)


def small_models(language: str, slots: int, queue: int) -> Models:
    """The course's own: the chat model answers, the one before fine-tuning writes tales.

    What is missing is trained first.
    """
    from utils.small_chat import CORPORA, chat_run
    from utils.small_gpt2 import pretrained

    chat, base = chat_run(language), pretrained(CORPORA[language])
    engine, render = load_engine(Path(chat.preset), f"small-chat-{language}", slots, queue)
    writer, _ = load_engine(Path(base.preset), f"small-gpt2-{language}", slots, queue)
    return Models(engine, render, writer)


def load_engine(folder: Path, name: str, slots: int, queue: int) -> "tuple[Engine, Render]":
    """An engine with a model, and what makes a prompt of a chat.

    That is the template of lesson 10 for a model that knows the tokens of the roles, a play for
    others.

    Raises:
        CourseError: if the folder holds no GPT-2.
    """
    import keras_nlp

    from utils.data.chat_template import Template, role_token
    from utils.generation.generator import Generator
    from utils.serving.engine import Engine
    from utils.serving.prompts import plain_chat

    try:
        model = keras_nlp.models.GPT2CausalLM.from_preset(str(folder))
    except (OSError, ValueError) as error:
        raise CourseError(f"{folder} holds no GPT-2 in Keras's format ({error}).") from None
    in_keras = model.preprocessor.tokenizer
    tokenizer = read_tokenizer(in_keras)
    knows_roles = role_token("assistant") in in_keras.vocabulary
    render = Template(tokenizer).prompt if knows_roles else plain_chat(tokenizer)
    return Engine(Generator(model, tokenizer.end_id), tokenizer, name, slots, queue), render


def read_tokenizer(in_keras: "keras_nlp.models.GPT2Tokenizer") -> "Tokenizer":
    """The course's tokenizer with the merges of one in Keras: it knows the bytes of each token.

    Raises:
        CourseError: if the two do not give the same ids.
    """
    from utils.data.bpe import BYTE_OF, Tokenizer

    pairs = (line.split(" ") for line in in_keras.merges)
    merges = [[bytes(BYTE_OF[character] for character in half) for half in pair] for pair in pairs]
    tokenizer = Tokenizer((left, right) for left, right in merges)
    if not tokenizer.vocabulary.items() <= in_keras.vocabulary.items():
        raise CourseError("The preset has another vocabulary than its merges give: take another.")
    return tokenizer


def main(words: list[str] | None = None) -> int:
    """Serve until somebody stops it; a mistake ends it with code 2 and one sentence."""
    args = read_command_line(words)
    try:
        listener = listen(args.host, args.port)
        import_tensorflow()
        from utils.serving.app import create_app

        size = (args.slots, args.queue)
        if args.preset:
            models = own_model(args.preset, *size)
        else:
            models = small_models(args.language, *size)
        server = Server(create_app(*models), [models.chat, models.writer], listener)
        print(f"Open {server.url} in a browser. Ctrl-C stops the server.", flush=True)
        run_until_stopped(server)
    except CourseError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    run(main)
