"""Start the chat server.

python -m utils.serving                          # then open the address that it prints
python -m utils.serving --host 0.0.0.0           # let others in the network chat, too
python -m utils.serving --preset FOLDER          # another GPT-2, such as one of Hugging Face
python -m utils.serving --model smollm2          # SmolLM2-135M-Instruct, see lesson 16
python -m utils.serving --model gpt2             # the official GPT-2, which continues texts
python -m utils.serving --preset FOLDER --weights int8     # a large GPT-2, faster: see lesson 18
python -m utils.serving --docs FOLDER            # ask your own documents, see lesson 20
python -m utils.serving --adapter pirate=FILE    # the chat model with an adapter, too
"""

import argparse
import os
import re
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from utils.command_line import OneSentenceParser, folder, one_of, preset_folder, run, whole_number
from utils.errors import CourseError
from utils.quiet import import_tensorflow
from utils.serving.access import is_address, name_in
from utils.serving.published import WEIGHTS, smollm2
from utils.serving.server import Server, listen, run_until_stopped

if TYPE_CHECKING:  # takes seconds to import, which --help need not wait for
    import keras_nlp

    from utils.generation.generator import CachedModel
    from utils.serving.adapted import AdaptedEngine
    from utils.serving.engine import Engine
    from utils.serving.prompts import Render


SLOTS, LARGE_MODEL_SLOTS = 16, 8
MODELS = ("small", "smollm2", "gpt2")
Adapters = Sequence[tuple[str, Path]]  # names in requests, and files


def origin(text: str) -> str:
    """A converter for argparse: the origin of a web page, or "*" for all."""
    found = re.fullmatch(r"(https?://[^/?#@\s]+)/?|\*|null", text)
    if not found:
        say = f"must be like http://localhost:3000, or * for all, not {text!r}"
        raise argparse.ArgumentTypeError(say)
    return found[1] or text


def read_command_line(words: list[str] | None) -> argparse.Namespace:
    """The options; a wrong one ends the command with exit code 2 and one sentence."""
    parser = OneSentenceParser(
        prog="python -m utils.serving",
        description="Chat with a model in the browser, or through an API like OpenAI's.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address; 0.0.0.0 lets the whole network in")
    add("--port", type=whole_number(0, 65535), default=8000, help="0 takes one that is free")
    add("--queue", type=whole_number(0, 400), default=64, help="requests that may wait")
    add(
        "--model",
        type=one_of(*MODELS),
        default="small",
        help="small (the course's own), smollm2 or gpt2",
    )
    add("--language", type=one_of("en", "zh"), default="en", help="of the course's models")
    parser.set_defaults(preset=None, cors=[], allow_host=[], slots=None, adapter=[])
    parser.set_defaults(context=None, weights=None)
    parser.set_defaults(docs=None)
    unset = argparse.SUPPRESS  # in the list of options these have no default
    slots = f"texts that are written at once ({SLOTS}; {LARGE_MODEL_SLOTS} of smollm2 and gpt2)"
    add("--slots", type=whole_number(1, 64), default=unset, metavar="SLOTS", help=slots)
    numbers = (
        "of smollm2, gpt2 or a --preset: int8, or float32, which is slower for large models"
        " (int8 for smollm2, float32 for the others)"
    )
    add("--weights", type=one_of(*WEIGHTS), default=unset, metavar="WEIGHTS", help=numbers)
    longest = "tokens that SmolLM2 remembers at most (as many as memory allows)"
    add("--context", type=whole_number(256, 8192), default=unset, metavar="TOKENS", help=longest)
    add(
        "--preset",
        type=preset_folder(),
        default=unset,
        metavar="FOLDER",
        help="serve the GPT-2 of this folder, a preset or a run",
    )
    adapter = "serve the chat model with this adapter, too, under this name; may be repeated"
    add(
        "--adapter",
        action="append",
        type=named_adapter,
        default=unset,
        metavar="NAME=FILE",
        help=adapter,
    )
    docs = "serve a page on which this folder of documents is asked, instead of a model"
    add("--docs", type=folder(), default=unset, metavar="FOLDER", help=docs)
    cors = "let web pages of this origin use the server; * for all; may be repeated"
    add("--cors", action="append", type=origin, default=unset, metavar="ORIGIN", help=cors)
    host = "answer for this host name, too, such as that of a proxy; may be repeated"
    add("--allow-host", action="append", type=host_name, default=unset, metavar="NAME", help=host)
    args = parser.parse_args(words)
    args.preset, args.docs = (path and Path(path) for path in (args.preset, args.docs))
    asked = [name for name in ("preset", "adapter", "weights", "context") if getattr(args, name)]
    asked += ["model"] if args.model != "small" else []
    if args.docs and asked:
        say = f"--docs answers with words of the documents, without a model: leave out --{asked[0]}"
        parser.error(say)
    if args.docs and (args.cors or args.slots):
        parser.error(f"--{'cors' if args.cors else 'slots'} is for a model, not for --docs")
    if args.preset and args.model != "small":
        parser.error("--preset and --model name two models: give one of them")
    if args.context and args.model != "smollm2":
        parser.error("--context is for SmolLM2: add --model smollm2")
    if args.weights and args.model == "small" and not args.preset:
        say = "--weights is for large models: add --model smollm2, --model gpt2 or --preset FOLDER"
        parser.error(say)
    if args.weights == "int8" and args.adapter:
        parser.error("--adapter needs the weights in float32: leave --weights int8 out")
    if args.adapter and args.model != "small":
        parser.error(f"--adapter is for a GPT-2 of the course, not for {args.model}: leave one out")
    names = [name for name, _ in args.adapter]
    own = [f"small-chat-{args.language}", f"small-gpt2-{args.language}"]
    if args.preset:
        own = [name_of(args.preset)]
    if len({*names, *own}) < len(names) + len(own):
        parser.error("--adapter: each adapter needs a name that no other model has")
    if args.slots is None:
        args.slots = SLOTS if args.model == "small" else LARGE_MODEL_SLOTS
    return args


def name_of(preset: Path) -> str:
    """The name under which a preset is served: that of its folder, or of the run that made it."""
    folder = preset.resolve()
    return folder.parent.name if folder.name == "preset" else folder.name


def host_name(text: str) -> str:
    """A converter for argparse: the name of a host; a port behind it does not matter."""
    return text if is_address(text) else name_in(text) or text  # 2001:db8::1 has no port


def named_adapter(text: str) -> tuple[str, Path]:
    """A converter for argparse: the name of an adapter and its file."""
    found = re.fullmatch(r"([\w.-]+)=(.+)", text)
    if not found:
        raise argparse.ArgumentTypeError(f"must be like pirate=FILE, not {text!r}")
    path = Path(os.path.expanduser(found[2]))
    if not path.is_file():
        raise argparse.ArgumentTypeError(f"there is no file {path}")
    return found[1], path


class Models(NamedTuple):
    """The models of a server, as `utils.serving.app.create_app` takes them."""

    chat: "Engine"
    render: "Render | None"
    writer: "Engine"


def own_model(
    folder: Path, slots: int, queue: int, adapters: Adapters = (), weights: str = "float32"
) -> Models:
    """One model from a folder, which continues texts, and answers chats if it has been taught to.

    Raises:
        CourseError: if the folder holds no GPT-2 that can be read, or an adapter is not for it.
    """
    name = name_of(folder)
    engine, render = load_engine(folder, name, slots, queue, adapters, weights=weights)
    return Models(engine, render, engine)


def small_models(language: str, slots: int, queue: int, adapters: Adapters = ()) -> Models:
    """The course's own models: the chat model, and the one before fine-tuning, which writes tales.

    A model that is missing is trained first.

    Raises:
        CourseError: if an adapter is not for the chat model.
    """
    from utils.small_chat import CORPORA, chat_run
    from utils.small_gpt2 import pretrained

    chat, base = chat_run(language), pretrained(CORPORA[language])
    name = f"small-chat-{language}"
    engine, render = load_engine(Path(chat.preset), name, slots, queue, adapters)
    writer, _ = load_engine(Path(base.preset), f"small-gpt2-{language}", slots, queue)
    return Models(engine, render, writer)


def official_gpt2(slots: int, queue: int, weights: str = "float32") -> Models:
    """The GPT-2 with 124 million parameters that OpenAI published; downloaded if it is missing.

    It is a base model: it has read web pages, and continues texts.

    Raises:
        CourseError: if it cannot be downloaded, is damaged, or does not fit into memory.
    """
    from utils.data.downloads import download

    folder = download("gpt2")
    print("Reading and compiling GPT-2, which takes up to a minute.", flush=True)
    engine, render = load_engine(folder, "gpt2", slots, queue, tells_tales=False, weights=weights)
    return Models(engine, render, engine)


def load_engine(
    folder: Path,
    name: str,
    slots: int,
    queue: int,
    adapters: Adapters = (),
    tells_tales: bool = True,
    weights: str = "float32",
) -> "tuple[Engine, Render | None]":
    """An engine with a model, and the function that makes the prompt of a chat.

    The prompt follows the template of lesson 10. A model that lacks the tokens of the roles is a
    base model: it only continues texts, and there is None instead of the function. With adapters,
    the engine writes with any of them, by their number. With weights in int8 it takes no adapters.

    Raises:
        CourseError: if the folder holds no GPT-2 that can be read, or an adapter is not for it.
    """
    from utils.data.chat_template import Template, role_token
    from utils.data.keras_tokenizers import from_keras
    from utils.generation.generator import Generator
    from utils.memory import free_memory
    from utils.serving.engine import Engine
    from utils.serving.int8_gpt2 import has_int8, in_int8
    from utils.serving.memory import BYTES, check_memory

    model = load_model(folder)
    gpt2 = model.backbone
    numbers = 2 * gpt2.num_layers * gpt2.max_sequence_length * gpt2.hidden_dim  # of a text's cache
    parameters = BYTES * gpt2.count_params()
    check_memory(name, parameters, slots * BYTES * numbers, free_memory() + parameters)
    in_keras = model.preprocessor.tokenizer
    tokenizer = from_keras(in_keras)
    template = Template(tokenizer)
    roles = {role_token(role): number for role, number in template.role_ids.items()}
    knows_roles = roles.items() <= in_keras.vocabulary.items()
    if weights == "int8" and has_int8("GPT-2"):
        engine = in_int8(model, tokenizer, name, slots, queue, tells_tales)
    else:
        generator = Generator(with_adapters(model, folder, adapters), tokenizer.end_id)
        engine = Engine(generator, tokenizer, name, slots, queue, tells_tales=tells_tales)
    return engine, template.prompt if knows_roles else None


def with_adapters(
    model: "keras_nlp.models.GPT2CausalLM", folder: Path, adapters: Adapters
) -> "keras_nlp.models.GPT2CausalLM | CachedModel":
    """A model of a folder as `Generator` takes it, with all adapters in it, if there are any.

    Raises:
        CourseError: if a file holds no adapter, or one for another model.
    """
    if not adapters:
        return model
    from utils.generation.adapted_gpt2 import adapted_gpt2
    from utils.training.adapters import name_of, read_adapter, with_adapter

    read = [read_adapter(path) for _, path in adapters]
    return adapted_gpt2(model, [with_adapter(load_model(folder), a, name_of(folder)) for a in read])


def with_names(engine: "Engine", adapters: Adapters) -> "list[AdaptedEngine]":
    """The adapters of an engine as models of their own, each under its name."""
    from utils.serving.adapted import AdaptedEngine

    return [AdaptedEngine(engine, name, number) for number, (name, _) in enumerate(adapters, 1)]


def load_model(folder: Path) -> "keras_nlp.models.GPT2CausalLM":
    """The GPT-2 of a folder, with its tokenizer. Nothing is ever downloaded.

    Raises:
        CourseError: if the folder is missing or damaged, or holds something else.
    """
    import keras_nlp

    from utils.models.compressed import is_compressed, load_compressed

    if not folder.is_dir():
        raise CourseError(f"There is no folder {folder}, so it holds no GPT-2 to serve.")
    if is_compressed(folder):
        return load_compressed(folder)
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


def serve_documents(args: argparse.Namespace, listener: socket.socket) -> None:
    """Serve the page of a folder of documents until stopped.

    Raises:
        CourseError: if the folder or its index cannot be used.
    """
    from utils.serving.documents import create_documents_app, prepare_documents

    folder = args.docs
    index, encoder = prepare_documents(folder)
    hosts = [args.host, listener.getsockname()[0], *args.allow_host]
    server = Server(
        create_documents_app(index, encoder, folder.resolve().name, hosts), [], listener
    )
    print(f"{where_to_open(server.urls)} Ctrl-C stops the server.", flush=True)
    run_until_stopped(server)


def main(words: list[str] | None = None) -> int:
    """Serve until stopped. A mistake of the user's is one sentence, and exit code 2."""
    args = read_command_line(words)
    try:
        listener = listen(args.host, args.port)
        if args.docs:
            serve_documents(args, listener)
            return 0
        # Before NumPy is imported: threads would wait for each other at each of its small products.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        import_tensorflow()
        from utils.serving.app import create_app

        if args.adapter:
            from utils.training.adapters import read_adapter

            for _, path in args.adapter:
                read_adapter(path)  # first: a mistake is told before a model is trained
        size = (args.slots, args.queue)
        if args.model == "smollm2":
            chat, render = smollm2(*size, args.weights or WEIGHTS[0], args.context)
            models = Models(chat, render, chat)
        elif args.model == "gpt2":
            models = official_gpt2(*size, args.weights or "float32")
        elif args.preset:
            models = own_model(args.preset, *size, args.adapter, args.weights or "float32")
        else:
            models = small_models(args.language, *size, args.adapter)
        hosts = [args.host, listener.getsockname()[0], *args.allow_host]
        app = create_app(*models, hosts, args.cors, with_names(models.chat, args.adapter))
        server = Server(app, [models.chat, models.writer], listener)
        print(f"{where_to_open(server.urls)} Ctrl-C stops the server.", flush=True)
        run_until_stopped(server)
    except CourseError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    run(main)
