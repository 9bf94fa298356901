"""Ask your own documents.

python -m utils.documents FOLDER                        # index .txt, .md, .html, .pdf and .docx
python -m utils.documents FOLDER --ask "How long is the warranty?"
python -m utils.documents FOLDER --words-only           # without the sentence encoder

The index lies in `datasets/cache/documents`; the same command brings it up to date, and goes on
where it was stopped. The sentence encoder is used if it is here: `python -m utils.data.downloads
minilm` fetches it.
"""

import sys
from collections import Counter
from pathlib import Path

from tqdm import tqdm  # type: ignore[import-untyped]

from utils.command_line import OneSentenceParser, folder, name, run
from utils.documents.answers import NOT_THERE, Answer, ask
from utils.documents.index import DocumentIndex, Encoder, Report, index_of
from utils.documents.readers import READERS
from utils.quiet import import_tensorflow

SHOWN = 300  # characters of a passage
KINDS_SHOWN = 8  # of files that are not read
KINDS = ", ".join(READERS)


def main(words: list[str] | None = None) -> int:
    """Bring the index up to date, and answer a question if there is one.

    Returns:
        The exit code: 2 if the documents have no text.

    Raises:
        CourseError: if the folder or the index cannot be used.
    """
    parser = OneSentenceParser(
        prog="python -m utils.documents",
        description="Index a folder of documents, and ask what they say.",
    )
    add = parser.add_argument
    documents = f"the documents ({KINDS}; other files are left out)"
    add("folder", type=folder(), metavar="FOLDER", help=documents)
    question = "print the sentence that answers it, with its source"
    add("--ask", type=name("a question"), metavar="QUESTION", help=question)
    add("--words-only", action="store_true", help="do not use the sentence encoder")
    args = parser.parse_args(words)
    place = Path(args.folder)
    index = index_of(place)
    tell(index.update(place, lambda file: print(f"reading {file}", file=sys.stderr)), index)
    if not index.size[1]:
        print(nothing_to_ask(place), file=sys.stderr)
        return 2
    encoder = None if args.words_only else encoder_if_fetched()
    if encoder:
        embed(index, encoder)
    if args.ask:
        show(ask(index, args.ask, encoder))
    return 0


def tell(report: Report, index: DocumentIndex) -> None:
    """Say on stderr what an update has found."""
    for file, reason in report.unreadable.items():
        print(f"{file} is left out: {reason}.", file=sys.stderr)
    if report.skipped:
        print(left_out(report.skipped), file=sys.stderr)
    files, passages = index.size
    said = f"{len(report.read)} files read, {len(report.unchanged)} unchanged"
    said += f", {len(report.gone)} gone" if report.gone else ""
    print(f"{said}; the index has {files} files in {passages:,} passages.", file=sys.stderr)


def left_out(skipped: Counter[str]) -> str:
    """The sentence about the files that are not read.

    Args:
        skipped: how many there are, by extension.
    """
    kinds = [kind or "no extension" for kind, _ in skipped.most_common(KINDS_SHOWN)]
    kinds += ["…"] if len(skipped) > KINDS_SHOWN else []
    count = skipped.total()
    files = "1 file of a kind" if count == 1 else f"{count:,} files of kinds"
    return f"Left out: {files} that it does not read ({', '.join(kinds)})."


def nothing_to_ask(place: Path) -> str:
    """The sentence about a folder `place` of whose documents none has text."""
    return (
        f"There is nothing to ask: no text was found in {place}; put documents into it that can be"
        f" read ({KINDS}), or name another folder."
    )


def encoder_if_fetched() -> Encoder | None:
    """The sentence encoder; None, with a sentence on stderr, if it is not here."""
    from utils.data.downloads import fetched, how_to_fetch

    if not fetched("minilm"):
        print(f"Searching by words only. {how_to_fetch('minilm')}", file=sys.stderr)
        return None
    import_tensorflow()
    from utils.documents.encoder import SentenceEncoder

    return SentenceEncoder()


def embed(index: DocumentIndex, encoder: Encoder) -> None:
    """Make the vectors that are missing, with a progress bar; Ctrl-C keeps those that are made."""
    with tqdm(desc="vectors", total=index.without_vectors, unit=" passages", disable=None) as bar:
        index.embed(encoder, bar.update)


def show(answer: Answer) -> None:
    """Print an answer with its source, and the other passages that were found."""
    print(answer.sentence or NOT_THERE)
    for number, found in enumerate(answer.sources if answer.sentence else [], 1):
        text = " ".join(found.text.split())
        text = text if len(text) <= SHOWN else f"{text[:SHOWN]} …"
        print(f"\n[{number}] {', '.join(filter(None, (found.file, found.place)))}\n    {text}")


if __name__ == "__main__":
    run(main)
