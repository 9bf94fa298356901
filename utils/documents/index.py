"""An index of a folder of documents, in one file on disk.

    index = index_of(folder)
    report = index.update(folder)                # reads what is new or changed
    for found in index.search("How long is the warranty?"):
        print(found.file, found.place, found.text)

The index is an SQLite database; its full-text index (FTS5) finds candidates, and lesson 20's BM25
ranks them. Each file is one transaction: whatever kills the process, the next `update` goes on with
the file that was being read.
"""

import contextlib
import hashlib
import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from utils.documents.passages import passages
from utils.documents.ranking import bm25, fuse, rarity
from utils.documents.readers import READERS, Section, Unreadable, sections
from utils.documents.words import keywords, words
from utils.errors import CourseError
from utils.files import exclusive_lock
from utils.paths import data_dir

FORMAT = 2  # of the tables; an index of another format is made anew
CANDIDATES = 100  # passages of each ranking that are looked at
MOST_WORDS = 64  # of a question
FEWEST = 50  # passages; fewer say little about how rare a word is
COMPARED = 4096  # vectors in the memory at a time
EMBEDDED = 64  # passages whose vectors are made and saved together
LONGEST_NAME = 200  # bytes of the folder's name in that of its index; most systems allow 255
# UnicodeDecodeError, because a message may quote the damaged bytes.
SQLITE_ERRORS = (sqlite3.Error, UnicodeDecodeError)
# The codes of those that are the fault of the disk, not of a damaged index.
DISK_ERRORS = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_READONLY,
}

TABLES = """
CREATE TABLE files (id INTEGER PRIMARY KEY, path TEXT UNIQUE, size INTEGER, changed INTEGER);
CREATE TABLE passages (id INTEGER PRIMARY KEY, file INTEGER, place TEXT, length INTEGER, text TEXT);
CREATE INDEX by_file ON passages (file);
CREATE INDEX by_length ON passages (length);
CREATE TABLE vectors (passage INTEGER PRIMARY KEY, vector BLOB);
CREATE VIRTUAL TABLE search
    USING fts5 (words, content='', tokenize='unicode61 remove_diacritics 0');
CREATE VIRTUAL TABLE vocabulary USING fts5vocab (search, 'row');
"""

Encoder = Callable[[Sequence[str]], np.ndarray]  # texts to vectors of length 1, (texts, width)


class DocumentsError(CourseError):
    """A folder that cannot be indexed, or an index that cannot be used."""


class Report(NamedTuple):
    """What an update has found.

    Attributes:
        read: the names of the files that were read.
        unchanged: the names of those that were read before.
        gone: the names of those that are not in the folder any more.
        unreadable: why the others could not be read, by name.
        skipped: how many files have an extension that is not read, by extension.
    """

    read: list[str]
    unchanged: list[str]
    gone: list[str]
    unreadable: dict[str, str]
    skipped: Counter[str]


class Found(NamedTuple):
    """A passage that fits a question.

    Attributes:
        number: the number of the passage in the index.
        file: its file, relative to the folder.
        place: where it stands in the file, such as "line 12".
        text: the passage.
        score: BM25 as a share of the best possible, from 0 to 1.
        likeness: cosine of the question's and the passage's vector; None without an encoder.
    """

    number: int
    file: str
    place: str
    text: str
    score: float
    likeness: float | None = None


def place_of(folder: Path) -> Path:
    """Where the index of a folder is kept: a file in `data_dir()`."""
    full = folder.resolve()
    start = os.fsencode(full.name)[:LONGEST_NAME].decode(errors="ignore")
    digest = hashlib.sha256(os.fsencode(full)).hexdigest()[:8]
    return data_dir() / "documents" / f"{start}-{digest}.sqlite"


def index_of(folder: Path) -> "DocumentIndex":
    """The index of a folder; made if it is missing.

    Raises:
        DocumentsError: if there is no such folder, or its index cannot be used.
    """
    _check_folder(folder)
    return DocumentIndex(place_of(folder))


def files_in(folder: Path, refused: Callable[[OSError], None] | None = None) -> Iterator[Path]:
    """The files of a folder and its subfolders, without hidden ones.

    Args:
        folder: where to look.
        refused: a function called with the error for each subfolder that cannot be read.
    """
    for root, folders, files in os.walk(folder, onerror=refused):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith("."):
                yield Path(root, name)


class DocumentIndex:
    """An index; see the module.

    Args:
        path: the file of the database; made if it is missing.

    Raises:
        DocumentsError: if it cannot be used.
    """

    def __init__(self, path: Path):
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            if not self._has_tables():
                with self._lock(f"Another process is making {path}: waiting for it."):
                    if not self._has_tables():  # else the other process has made them
                        self._make_tables()
        except OSError as error:
            raise _cannot_write(path, error) from error
        except SQLITE_ERRORS as error:
            raise self._refusal(error) from error

    def _lock(self, waiting: str) -> contextlib.AbstractContextManager[None]:
        """Hold the lock of those that write the index; `waiting` is said if another has it."""
        return exclusive_lock(self.path.with_suffix(".lock"), waiting, _cannot_write)

    def _has_tables(self) -> bool:
        return self._one("PRAGMA user_version") == (FORMAT,)

    def _make_tables(self) -> None:
        self._connection.execute("PRAGMA journal_mode = WAL")
        for (name,) in self._all("SELECT name FROM sqlite_master WHERE sql LIKE 'CREATE VIRTUAL%'"):
            self._connection.execute(f"DROP TABLE {name}")
        for (name,) in self._all("SELECT name FROM sqlite_master WHERE type = 'table'"):
            self._connection.execute(f"DROP TABLE {name}")
        self._connection.executescript(f"BEGIN;{TABLES}PRAGMA user_version = {FORMAT};COMMIT;")

    def _one(self, query: str, *values: object) -> tuple:
        rows = self._all(query, *values)
        if not rows:
            raise self._refusal(sqlite3.DatabaseError("a row is missing"))
        return rows[0]

    def _all(self, query: str, *values: object) -> list[tuple]:
        try:
            return self._connection.execute(query, values).fetchall()
        except SQLITE_ERRORS as error:
            raise self._refusal(error) from error

    @contextlib.contextmanager
    def _transaction(self, kind: str = "IMMEDIATE") -> Iterator[None]:
        """A block whose changes are all kept or, if it raises, all undone.

        Args:
            kind: "IMMEDIATE" to write; "DEFERRED" to read what does not change meanwhile.

        Raises:
            DocumentsError: if the index cannot be used.
        """
        try:
            self._connection.execute(f"BEGIN {kind}")
            yield
            self._connection.execute("COMMIT")
        except SQLITE_ERRORS as error:
            raise self._refusal(error) from error
        finally:
            if self._connection.in_transaction:  # SQLite itself may have ended it: the disk is full
                with contextlib.suppress(sqlite3.Error):  # the first error is the one to tell
                    self._connection.execute("ROLLBACK")

    def _refusal(self, error: Exception) -> DocumentsError:
        """The sentence about an error of SQLite: the disk's fault, or a damaged index."""
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in DISK_ERRORS:
            return _cannot_write(self.path, error)
        return DocumentsError(
            f"{self.path} cannot be used as an index ({error}): delete it, or set COURSE_DATA to a"
            " folder that you may write to."
        )

    def close(self) -> None:
        """Release the file."""
        self._connection.close()

    @property
    def size(self) -> tuple[int, int]:
        """How many files and how many passages it has."""
        return self._one("SELECT (SELECT count(*) FROM files), (SELECT count(*) FROM passages)")

    @property
    def without_vectors(self) -> int:
        """How many passages `embed` has not made vectors of."""
        return self._one("SELECT count(*) - (SELECT count(*) FROM vectors) FROM passages")[0]

    # ---- update ----------------------------------------------------------------------------------

    def update(self, folder: Path, tell: Callable[[str], None] = lambda name: None) -> Report:
        """Read the files that are new or changed, forget those that are gone.

        A file that cannot be read is left out. Another process that updates the same index is
        waited for.

        Args:
            folder: the documents.
            tell: a function called with the name of each file before it is read.

        Raises:
            DocumentsError: if there is no such folder, or the index cannot be written.
        """
        _check_folder(folder)
        with self._lock(f"Another process is indexing {folder}: waiting for it."):
            return self._update(folder, tell)

    def _update(self, folder: Path, tell: Callable[[str], None]) -> Report:
        known = {path: state for path, *state in self._all("SELECT path, size, changed FROM files")}
        report = Report([], [], [], {}, Counter())

        def refused(error: OSError) -> None:
            name = _name(Path(error.filename), folder)
            report.unreadable[name] = f"the folder cannot be read ({error.strerror})"

        for file in files_in(folder, refused):
            if file.suffix.lower() not in READERS:
                report.skipped[file.suffix.lower()] += 1
                continue
            name = _name(file, folder)
            state = _state(file)
            if known.pop(name, None) == state:
                report.unchanged.append(name)
                continue
            tell(name)
            try:
                self._replace(name, state, sections(file))
                report.read.append(name)
            except Unreadable as reason:
                report.unreadable[name] = str(reason)
        for name in known:
            # What is in a folder that cannot be read now may still be there.
            if not any(PurePosixPath(name).is_relative_to(other) for other in report.unreadable):
                self._replace(name)
                report.gone.append(name)
        return report

    def _replace(
        self, name: str, state: Sequence[int] = (), found: Iterator[Section] | None = None
    ) -> None:
        """Forget what is known of a file and put in its sections, all of it or nothing.

        If the file turns out to be unreadable, what was known of it is forgotten all the same.
        """
        with self._transaction():
            self._forget(name)
        if found is None:
            return
        with self._transaction():
            row = self._connection.execute(
                "INSERT INTO files VALUES (NULL, ?, ?, ?)", (name, *state)
            )
            for section in found:
                for start, stop in passages(section.text):
                    self._insert(row.lastrowid, section, start, section.text[start:stop])

    def _insert(self, file: int | None, section: Section, start: int, text: str) -> None:
        line = section.line + section.text.count("\n", 0, start)
        place = section.place or (f"line {line}" if section.line else "")
        found = words(text)
        row = self._connection.execute(
            "INSERT INTO passages VALUES (NULL, ?, ?, ?, ?)", (file, place, len(found), text)
        )
        self._connection.execute(
            "INSERT INTO search (rowid, words) VALUES (?, ?)", (row.lastrowid, " ".join(found))
        )

    def _forget(self, name: str) -> None:
        query = "SELECT id, text FROM passages WHERE file = (SELECT id FROM files WHERE path = ?)"
        for number, text in self._all(query, name):
            forgotten = ("delete", number, " ".join(words(text)))
            self._connection.execute(
                "INSERT INTO search (search, rowid, words) VALUES (?, ?, ?)", forgotten
            )
            self._connection.execute("DELETE FROM vectors WHERE passage = ?", (number,))
            self._connection.execute("DELETE FROM passages WHERE id = ?", (number,))
        self._connection.execute("DELETE FROM files WHERE path = ?", (name,))

    def embed(self, encoder: Encoder, tell: Callable[[int], None] = lambda number: None) -> None:
        """Make the vectors that are missing; what a killed process has made is kept.

        Another process that writes the same index is waited for.

        Args:
            encoder: the encoder that makes them.
            tell: a function called with the number of passages after each batch.

        Raises:
            DocumentsError: if the index cannot be used or written.
        """
        with self._lock(f"Another process is writing {self.path}: waiting for it."):
            self._embed(encoder, tell)

    def _embed(self, encoder: Encoder, tell: Callable[[int], None]) -> None:
        query = (
            "SELECT id, text FROM passages WHERE id NOT IN (SELECT passage FROM vectors) LIMIT ?"
        )
        while batch := self._all(query, EMBEDDED):
            vectors = encoder([text for _, text in batch]).astype("<f2")
            rows = [(n, v.tobytes()) for (n, _), v in zip(batch, vectors, strict=True)]
            with self._transaction():
                self._connection.executemany("INSERT INTO vectors VALUES (?, ?)", rows)
            tell(len(batch))

    # ---- search ----------------------------------------------------------------------------------

    def rarities(self, question: str) -> dict[str, float]:
        """The keywords of a question with their rarities in these documents.

        Raises:
            DocumentsError: if the index cannot be used.
        """
        (total,) = self._one("SELECT count(*) FROM passages")
        query = "SELECT doc FROM vocabulary WHERE term = ?"
        asked = keywords(question)[:MOST_WORDS]
        counts = {word: sum(doc for (doc,) in self._all(query, word)) for word in asked}
        return {word: rarity(max(total, FEWEST), n) for word, n in counts.items()}

    def search(self, question: str, limit: int = 5, encoder: Encoder | None = None) -> list[Found]:
        """The passages that fit a question best, the best first.

        Args:
            question: the question, in plain words.
            limit: the most passages to return.
            encoder: an encoder whose ranking by meaning, of the passages that `embed` has made
                vectors of, is fused with the one by words; None for the latter alone.

        Raises:
            DocumentsError: if the index cannot be used.
        """
        with self._transaction("DEFERRED"):
            return self._search(question, limit, encoder)

    def _search(self, question: str, limit: int, encoder: Encoder | None) -> list[Found]:
        rarities = self.rarities(question)
        (average,) = self._one("SELECT avg(length) FROM passages")
        likeness = self._likeness(question, encoder) if encoder else {}
        numbers = dict.fromkeys([*self._candidates(rarities), *likeness])
        scores: dict[int, float] = {}
        for number in numbers:
            (text,) = self._one("SELECT text FROM passages WHERE id = ?", number)
            scores[number] = bm25(rarities, words(text), average)
        by_words = sorted((n for n in numbers if scores[n] > 0), key=lambda n: -scores[n])
        best = fuse(by_words, likeness) if likeness else by_words
        return [self._found(number, scores[number], likeness) for number in best[:limit]]

    def around(self, number: int, more: int = 5) -> tuple[str, list[tuple[int, str, str]]]:
        """The file of a passage, and the passage between some of its neighbours.

        Args:
            number: the number of the passage.
            more: how many passages before it and after it.

        Returns:
            The name of the file, and (number, place, text) of each; ("", []) if there is none.

        Raises:
            DocumentsError: if the index cannot be used.
        """
        query = (
            "SELECT path, passages.id, place, text FROM passages JOIN files ON file = files.id"
            " WHERE file = (SELECT file FROM passages WHERE id = ?) AND passages.id BETWEEN ? AND ?"
            " ORDER BY passages.id"
        )
        rows = self._all(query, number, number - more, number + more)
        return (rows[0][0], [row[1:] for row in rows]) if rows else ("", [])

    def _candidates(self, rarities: dict[str, float]) -> list[int]:
        if not rarities:
            return []
        either = " OR ".join(f'"{word}"' for word in rarities)
        query = "SELECT rowid FROM search WHERE search MATCH ? ORDER BY rank LIMIT ?"
        return [number for (number,) in self._all(query, either, CANDIDATES)]

    def _likeness(self, question: str, encoder: Encoder) -> dict[int, float]:
        """The passages nearest to a question in meaning, with their cosines, the nearest first."""
        asked, numbers, cosines = encoder([question])[0], [], []
        vectors = self._connection.execute("SELECT passage, vector FROM vectors")
        while rows := vectors.fetchmany(COMPARED):
            some = np.frombuffer(b"".join(vector for _, vector in rows), "<f2")
            cosines.append(some.reshape(len(rows), -1).astype("float32") @ asked)
            numbers += [number for number, _ in rows]
        if not numbers:
            return {}
        found = np.concatenate(cosines)
        return {numbers[at]: float(found[at]) for at in np.argsort(-found)[:CANDIDATES]}

    def _found(self, number: int, score: float, likeness: dict[int, float]) -> Found:
        query = (
            "SELECT path, place, text FROM passages JOIN files ON file = files.id"
            " WHERE passages.id = ?"
        )
        file, place, text = self._one(query, number)
        return Found(number, file, place, text, score, likeness.get(number))


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise DocumentsError(f"There is no folder {folder}: give one with documents in it.")


def _name(path: Path, folder: Path) -> str:
    """The name of a file in the index: relative to the folder, and text whatever its bytes are."""
    return path.relative_to(folder).as_posix().encode(errors="backslashreplace").decode()


def _state(file: Path) -> list[int]:
    """What tells a changed file from an unchanged one: its size, and when it was changed."""
    try:
        found = file.stat()
        return [found.st_size, found.st_mtime_ns]
    except OSError:  # a link that leads nowhere
        return [0, 0]


def _cannot_write(path: Path, error: Exception) -> DocumentsError:
    reason = getattr(error, "strerror", None) or error
    return DocumentsError(
        f"{path} cannot be written ({reason}): free some space, or set COURSE_DATA to a folder"
        " that you may write to."
    )
