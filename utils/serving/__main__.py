"""Start the chat server.

python -m utils.serving                          # then open the address that it prints
python -m utils.serving --host 0.0.0.0           # let others in the network chat, too
python -m utils.serving --preset FOLDER          # another GPT-2, such as one of Hugging Face
python -m utils.serving --model smollm2          # SmolLM2-135M-Instruct, see lesson 16
"""

import argparse
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from utils.command_line import OneSentenceParser, one_of, run, whole_number
from utils.errors import CourseError
from utils.quiet import import_tensorflow
from utils.serving.server import Server, listen, run_until_stopped

if TYPE_CHECKING:  # takes seconds to import, which --help need not wait for
    import keras_nlp

    from utils.serving.engine import Engine
    from utils.serving.prompts import Render


SLOTS, SMOLLM2_SLOTS = 16, 8
ROOM_FOR_REPLY = 512  # tokens of SmolLM2's context that a long chat leaves free


def origin(text: str) -> str:
    """A converter for argparse: the origin of a web page, or "*" for all."""
    found = re.fullmatch(r"(https?://[^/?#@\s]+)/?|\*|null", text)
    if not found:
        say = f"must be like http://localhost:3000, or * for all, not {text!r}"
        raise argparse.ArgumentTypeError(say)
    return found[1] or text


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
    add("--model", type=one_of("small", "smollm2"), default="small", help="small: the course's own")
    add("--language", type=one_of("en", "zh"), default="en", help="of the course's models")
    parser.set_defaults(preset=None, cors=[], allow_host=[], slots=None)
    unset = argparse.SUPPRESS  # in the list of options these have no default
    slots = f"texts that are written at once ({SLOTS}, or {SMOLLM2_SLOTS} with smollm2)"
    add("--slots", type=whole_number(1, 64), default=unset, metavar="SLOTS", help=slots)
    add(
        "--preset",
        type=Path,
        default=unset,
        metavar="FOLDER",
        help="serve the GPT-2 of this folder",
    )
    cors = "let web pages of this origin use the server; * for all; may be repeated"
    add("--cors", action="append", type=origin, default=unset, metavar="ORIGIN", help=cors)
    host = "answer for this host name, too, such as that of a proxy; may be repeated"
    add("--allow-host", action="append", default=unset, metavar="NAME", help=host)
    args = parser.parse_args(words)
    if args.preset and args.model != "small":
        parser.error("--preset and --model name two models: give one of them")
    if args.slots is None:
        args.slots = SMOLLM2_SLOTS if args.model == "smollm2" else SLOTS
    return args


class Models(NamedTuple):
    """The models of a server, as `utils.serving.app.create_app` takes them."""

    chat: "Engine"
    render: "Render"
    writer: "Engine"


def own_model(folder: Path, slots: int, queue: int) -> Models:
    """One model from a folder, which answers chats and continues texts.

    Raises:
        CourseError: if the folder holds no GPT-2 that can be read.
    """
    engine, render = load_engine(folder, folder.resolve().name, slots, queue)
    return Models(engine, render, engine)


def small_models(language: str, slots: int, queue: int) -> Models:
    """The course's own models: the chat model, and the one before fine-tuning, which writes tales.

    A model that is missing is trained first.
    """
    from utils.small_chat import CORPORA, chat_run
    from utils.small_gpt2 import pretrained

    chat, base = chat_run(language), pretrained(CORPORA[language])
    engine, render = load_engine(Path(chat.preset), f"small-chat-{language}", slots, queue)
    writer, _ = load_engine(Path(base.preset), f"small-gpt2-{language}", slots, queue)
    return Models(engine, render, writer)


def smollm2(slots: int, queue: int) -> Models:
    """SmolLM2-135M-Instruct, which answers chats and continues texts; downloaded if it is missing.

    Its context is as long as memory allows: see `utils.serving.memory`.

    Raises:
        CourseError: if it cannot be downloaded, is damaged, or does not fit into memory.
    """
    from utils.data.downloads import download
    from utils.data.gguf_reader import read_gguf
    from utils.data.smollm2 import ChatTemplate, read_tokenizer
    from utils.generation.cached_llama import cached_llama
    from utils.generation.generator import Generator
    from utils.models.llama import read_config, read_weights
    from utils.serving.engine import Engine
    from utils.serving.memory import capped_context, free_memory

    file = read_gguf(download("smollm2"))
    config, tokenizer = read_config(file.metadata), read_tokenizer(file.metadata)
    context, sentence = capped_context(config, slots, free_memory())
    if sentence:
        print(sentence, flush=True)
    print("Compiling SmolLM2, which takes up to a minute.", flush=True)
    config = config._replace(context=context)
    generator = Generator(
        cached_llama(config, read_weights(config, file.tensors)), tokenizer.end_id
    )
    room = min(ROOM_FOR_REPLY, context // 4)
    engine = Engine(generator, tokenizer, "SmolLM2-135M-Instruct", slots, queue, room, False)
    return Models(engine, ChatTemplate(tokenizer).prompt, engine)


def load_engine(folder: Path, name: str, slots: int, queue: int) -> "tuple[Engine, Render]":
    """An engine with a model, and the function that makes the prompt of a chat.

    The prompt follows the template of lesson 10 if the model has the tokens of the roles; otherwise
    it is a plain transcript.

    Raises:
        CourseError: if the folder holds no GPT-2 that can be read.
    """
    from utils.data.chat_template import Template, role_token
    from utils.data.keras_tokenizers import from_keras
    from utils.generation.generator import Generator
    from utils.serving.engine import Engine
    from utils.serving.prompts import plain_chat

    model = load_model(folder)
    in_keras = model.preprocessor.tokenizer
    tokenizer = from_keras(in_keras)
    template = Template(tokenizer)
    roles = {role_token(role): number for role, number in template.role_ids.items()}
    knows_roles = roles.items() <= in_keras.vocabulary.items()
    render = template.prompt if knows_roles else plain_chat(tokenizer)
    return Engine(Generator(model, tokenizer.end_id), tokenizer, name, slots, queue), render


def load_model(folder: Path) -> "keras_nlp.models.GPT2CausalLM":
    """The GPT-2 of a folder, with its tokenizer. Nothing is ever downloaded.

    Raises:
        CourseError: if the folder is missing or damaged, or holds something else.
    """
    import keras_nlp

    if not folder.is_dir():
        raise CourseError(f"There is no folder {folder}, so it holds no GPT-2 to serve.")
    try:
        # The full path: a name such as gpt2_base_en would make keras-nlp download that model.
        model = keras_nlp.models.GPT2CausalLM.from_preset(str(folder.resolve()))
    except Exception as error:  # a damaged file makes keras-nlp raise errors of any kind
        reason, *_ = f"{type(error).__name__}: {error}".splitlines()
        raise CourseError(
            f"{folder} holds no GPT-2 that can be read, neither in Keras's format nor in Hugging"
            f" Face's: take a complete one ({reason[:200]})."
        ) from None
    if model.preprocessor is None:
        raise CourseError(f"{folder} holds a GPT-2 without its tokenizer: save both together.")
    return model


def where_to_open(urls: list[str]) -> str:
    """The sentence that says at which addresses the server can be opened."""
    here, *elsewhere = urls
    if not elsewhere:
        return f"Open {here} in a browser."
    return f"Open {here} on this machine, or {' or '.join(elsewhere)} on another in the network."


def main(words: list[str] | None = None) -> int:
    """Serve until stopped. A mistake of the user's is one sentence, and exit code 2."""
    args = read_command_line(words)
    try:
        listener = listen(args.host, args.port)
        import_tensorflow()
        from utils.serving.app import create_app

        size = (args.slots, args.queue)
        if args.model == "smollm2":
            models = smollm2(*size)
        elif args.preset:
            models = own_model(args.preset, *size)
        else:
            models = small_models(args.language, *size)
        hosts = [args.host, listener.getsockname()[0], *args.allow_host]
        app = create_app(*models, hosts=hosts, origins=args.cors)
        server = Server(app, [models.chat, models.writer], listener)
        print(f"{where_to_open(server.urls)} Ctrl-C stops the server.", flush=True)
        run_until_stopped(server)
    except CourseError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    run(main)
