"""A page on which one asks a folder of documents, with sources that can be opened.

    python -m utils.serving --docs FOLDER

The page has no script. What a document says is escaped, so that nothing in it is run.
"""

import base64
import hashlib
import threading
from collections.abc import Collection
from pathlib import Path

from flask import Flask, Response, render_template_string, request
from werkzeug.exceptions import HTTPException

from utils.documents.__main__ import embed, encoder_if_fetched, nothing_to_ask, tell
from utils.documents.answers import NOT_THERE, ask
from utils.documents.index import DocumentIndex, DocumentsError, Encoder, index_of
from utils.serving.access import refuse_foreign_hosts
from utils.serving.problems import Problem

PAGE = Path(__file__).with_name("documents.html")
LONGEST = 1000  # characters of a question
MOST_DIGITS = 18  # of a passage's number; SQLite's largest number has 19


def prepare_documents(folder: Path) -> tuple[DocumentIndex, Encoder | None]:
    """Bring the index of a folder up to date; the encoder is used if it is here.

    Raises:
        CourseError: if the folder or the index cannot be used, or the documents have no text.
    """
    index = index_of(folder)
    tell(index.update(folder), index)
    if not index.size[1]:
        raise DocumentsError(nothing_to_ask(folder))
    encoder = encoder_if_fetched()
    if encoder:
        embed(index, encoder)
    return index, encoder


def create_documents_app(
    index: DocumentIndex, encoder: Encoder | None, name: str, hosts: Collection[str] = ()
) -> Flask:
    """The web application.

    Args:
        index: the index of the documents.
        encoder: an encoder that compares by meaning; None to compare by words only.
        name: the name of the folder, for the title.
        hosts: names and addresses of the server besides those of the loopback.
    """
    app = Flask(__name__, static_folder=None)
    template = PAGE.read_text(encoding="utf-8")
    one_at_a_time = threading.Lock()  # the index is one connection

    def page(**found: object) -> str:
        return render_template_string(
            template, folder=name, not_there=NOT_THERE, **{"question": "", **found}
        )

    @app.get("/")
    def index_page() -> str:
        question = request.args.get("question", "")[:LONGEST]
        with one_at_a_time:
            if question.strip():
                return page(question=question, answer=ask(index, question, encoder))
            files, count = index.size
        return page(files=files, count=count)

    @app.get("/source/<digits>")
    def source(digits: str) -> str:
        # Passages are numbered from 1, so there is none with the number 0.
        number = int(digits) if digits.isdecimal() and len(digits) <= MOST_DIGITS else 0
        with one_at_a_time:
            file, passages = index.around(number)
        if not passages:
            raise Problem(404, "There is no such passage; the documents may have changed.")
        return page(file=file, passages=passages, here=number)

    refuse_foreign_hosts(app, hosts)
    _harden(app, template)
    return app


def _harden(app: Flask, template: str) -> None:
    """Let the page run nothing, and answer errors as plain text."""
    style = template.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'sha256-{digest}'; form-action 'self'; base-uri 'none';"
        " frame-ancestors 'none'"
    )

    @app.after_request
    def add_policy(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = policy
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        return response

    @app.errorhandler(Problem)
    def problem(error: Problem) -> Response:
        return Response(f"{error.message}\n", error.status, mimetype="text/plain")

    @app.errorhandler(DocumentsError)
    def unusable(error: DocumentsError) -> Response:
        return Response(f"{error}\n", 500, mimetype="text/plain")

    @app.errorhandler(HTTPException)
    def http(error: HTTPException) -> Response:
        return Response(f"{error.name}.\n", error.code or 500, mimetype="text/plain")
