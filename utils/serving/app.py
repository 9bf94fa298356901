"""The web application: which address does what, and how a request is read.

app = create_app(chat, render, writer)  # any WSGI server runs it; see server.py
"""

import base64
import hashlib
import json
import re
import time
from collections.abc import Collection, Sequence
from pathlib import Path

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from utils.serving.access import allow_origins, refuse_foreign_hosts
from utils.serving.adapted import AdaptedEngine
from utils.serving.answers import as_problem
from utils.serving.completions import Completions, no_such_model
from utils.serving.engine import Busy, Closing, Engine, ModelFailed
from utils.serving.openapi import described
from utils.serving.problems import Problem, json_answer
from utils.serving.prompts import Render

LARGEST_BODY = 2**21  # bytes; larger than any prompt that fits, so that most get a better message
PAGE = Path(__file__).with_name("page.html")


def create_app(
    chat: Engine,
    render: Render | None,
    writer: Engine | None = None,
    hosts: Collection[str] = (),
    origins: Collection[str] = (),
    adapted: Sequence[AdaptedEngine] = (),
) -> Flask:
    """The web application.

    Args:
        chat: the model that answers chats.
        render: a function that makes ids of the messages of a chat, up to the position where the
            reply begins; None for a base model, which only continues texts.
        writer: the model that continues texts; None for `chat`.
        hosts: names and addresses of the server besides those of the loopback; see `is_own`.
        origins: the origins of other web pages that may use the server; see `allow_origins`.
        adapted: the model that answers chats with adapters, each under a name of its own.
    """
    app = Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_BODY
    completions = Completions(chat, render, writer or chat, adapted)

    @app.post("/generate")
    def generate() -> Response:
        return completions.generate(read_json())

    @app.post("/v1/completions")
    def complete() -> Response:
        return completions.complete(read_json())

    @app.post("/v1/chat/completions")
    def answer() -> Response:
        return completions.chat(read_json())

    refuse_foreign_hosts(app, hosts)
    allow_origins(app, origins)
    _answer_questions(app, completions)
    _answer_problems(app)
    return app


def _answer_questions(app: Flask, completions: Completions) -> None:
    """The addresses at which no model has to write."""
    engines = completions.engines
    page, policy = _page()
    started = int(time.time())

    @app.get("/v1/models")
    def models() -> Response:
        found = [_model(engine, started, completions) for engine in engines.values()]
        return json_answer({"object": "list", "data": found})

    @app.get("/v1/models/<path:name>")
    def model(name: str) -> Response:
        if name not in engines:
            raise no_such_model(name, engines)
        return json_answer(_model(engines[name], started, completions))

    @app.get("/healthz")
    def health() -> Response:
        return _health(completions.engine, completions.writer)

    @app.get("/openapi.json")
    def openapi() -> Response:
        return json_answer(
            described(completions.engine, completions.writer, list(completions.chats))
        )

    @app.get("/")
    def index() -> Response:
        return Response(page, headers={"Content-Security-Policy": policy}, mimetype="text/html")


def read_json() -> object:
    """The body of the request.

    Raises:
        Problem: if it is not JSON.
    """
    if request.mimetype != "application/json":
        # Other types would let any web page that the user visits send requests to this server.
        raise Problem(415, "Content-Type must be application/json.", "Content-Type")
    try:
        return json.loads(request.get_data().decode("utf-8"))
    except UnicodeDecodeError as error:
        raise Problem(400, f"The request body is not UTF-8 (byte {error.start}).") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise Problem(400, f"The request body is not JSON ({error.msg}: {where}).") from None
    except ValueError:  # Python reads no number of more than 4,300 digits
        raise Problem(400, "The request body has a number that is too long.") from None


def _model(engine: Engine, started: int, completions: Completions) -> dict:
    """A model in OpenAI's format; its context has the name that vLLM's server gives it.

    `chats` tells the page whether to show a chat or one text that grows, and `tells_tales` whether
    to offer a new tale.
    """
    about = {"id": engine.name, "object": "model", "created": started, "owned_by": "you"}
    chats = completions.render is not None and engine.name in completions.chats
    about |= {"max_model_len": engine.context, "chats": chats}
    return {**about, "tells_tales": engine.tells_tales}


def _health(*engines: Engine) -> Response:
    """The health check: how many texts are being written and wait, or 503 during a shutdown."""
    if any(engine.is_closing for engine in engines):
        raise Problem(503, "The server is shutting down.", None, "shutting_down")
    running, waiting = map(sum, zip(*(engine.load for engine in set(engines)), strict=True))
    about = {"status": "ok", "model": engines[0].name, "running": running, "waiting": waiting}
    return json_answer(about)


def _page() -> tuple[bytes, str]:
    """The chat page, and a policy that lets nothing run in it but its own script and style."""
    page = PAGE.read_bytes().replace(b"\r\n", b"\n")  # browsers compute its digest so, too

    def digest(tag: str) -> str:
        found = re.search(rb"<%b>(.*?)</%b>" % (tag.encode(), tag.encode()), page, re.DOTALL)
        assert found, f"{PAGE} has no <{tag}>"
        return base64.b64encode(hashlib.sha256(found[1]).digest()).decode()

    policy = (
        f"default-src 'none'; script-src 'sha256-{digest('script')}';"
        f" style-src 'sha256-{digest('style')}'; connect-src 'self'; img-src data:;"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return page, policy


def _answer_problems(app: Flask) -> None:
    """Answer every error in JSON, without a traceback."""

    @app.errorhandler(Problem)
    def problem(error: Problem) -> Response:
        return error.answer()

    @app.errorhandler(Busy)
    @app.errorhandler(Closing)
    @app.errorhandler(ModelFailed)
    def engine_problem(error: Busy | Closing | ModelFailed) -> Response:
        return as_problem(error).answer()

    @app.errorhandler(RecursionError)
    def nested(_: RecursionError) -> Response:
        return Problem(400, "The request body is nested too deeply.").answer()

    @app.errorhandler(HTTPException)  # among them 500, which Flask makes of all other errors
    def http(error: HTTPException) -> Response:
        return _http_problem(error).answer()


def _http_problem(error: HTTPException) -> Problem:
    sentences = {
        404: f"There is nothing at {request.path}.",
        405: f"{request.path} does not answer {request.method}.",
        500: "The server made a mistake; its log has the details.",
        413: f"The request body must be at most {LARGEST_BODY:,} bytes.",
    }
    status = error.code or 500
    allowed = getattr(error, "valid_methods", None)
    headers = {"Allow": ", ".join(sorted(allowed))} if allowed else None
    return Problem(status, sentences.get(status, f"{error.name}."), headers=headers)
