"""Byte-level byte-pair encoding, as GPT-2 has it: learn the merges, encode, decode, save, load.

    merges = train(text, num_merges=1000)
    tokenizer = Tokenizer(merges)
    ids = tokenizer.encode("Once upon a time")
    tokenizer.decode(ids)                     # "Once upon a time"

A token is a run of bytes. The first 256 tokens are the single bytes, so every text can be encoded;
each merge adds one token, the two halves of a pair joined. Three things are GPT-2's own: the
regular expression that cuts a text into words, the order of the bytes, and the two files.

Sources: R. Sennrich, B. Haddow, A. Birch, Neural Machine Translation of Rare Words with Subword
Units (2016), section 3.2; A. Radford et al., Language Models are Unsupervised Multitask Learners
(2019), section 2.2, and the `encoder.py` published with it.
"""

import heapq
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

# The standard library's `re` does not know \p{L}, a letter of any script.
import regex  # type: ignore[import-untyped]
from tqdm import tqdm  # type: ignore[import-untyped]

from utils import files
from utils.errors import CourseError

Pair = tuple[bytes, bytes]

END = "<|endoftext|>"  # between two texts; the one token that is not made of bytes of the text
GAP = b""  # in a row of tokens: where no token starts, and after each word
PROGRESS_DELAY = 2  # seconds until training shows its progress
MAX_CACHED_WORD = 64  # characters; longer words are too rare, and too large, to be remembered
SMALLEST_VOCABULARY = 257  # the 256 bytes and END; each merge adds one token
VERSION = "#version: 0.2"  # first line of merges.txt
# A contraction, or letters, or digits, or other signs, each with the space before it, or white
# space. No token ever reaches across two of these words.
WORD = regex.compile(r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")


class TokenizerError(CourseError):
    """A text, an id or a file that a tokenizer cannot use; one sentence says why."""


# ---- bytes and words -----------------------------------------------------------------------------


def _byte_characters() -> dict[int, str]:
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1)]
    printable += range(ord("®"), ord("ÿ") + 1)
    others = [byte for byte in range(256) if byte not in printable]
    shown = {byte: chr(byte) for byte in printable}
    return shown | {byte: chr(256 + number) for number, byte in enumerate(others)}


# How GPT-2's files show a byte: by a character that can be seen. A space is Ġ, a line break Ċ.
CHARACTER_OF = _byte_characters()
BYTE_OF = {character: byte for byte, character in CHARACTER_OF.items()}


def as_characters(token: bytes) -> str:
    """A token as vocab.json and merges.txt write it."""
    return "".join(CHARACTER_OF[byte] for byte in token)


def split_words(text: str) -> list[str]:
    """The words of a text, spaces included: joined, they are the text again."""
    return WORD.findall(text)


def single_bytes(word: str) -> list[bytes]:
    """The word in UTF-8, one byte to a token.

    Raises:
        TokenizerError: if the word holds half of a surrogate pair, which is no character.
    """
    try:
        return [bytes([byte]) for byte in word.encode("utf-8")]
    except UnicodeEncodeError as error:
        half = f"U+{ord(word[error.start]):04X}"
        raise TokenizerError(
            f"The text contains half a character ({half}, one part of a surrogate pair):"
            " read it again with the encoding it was written in."
        ) from None


def merge(tokens: Sequence[bytes], pair: Pair) -> list[bytes]:
    """Join every occurrence of the pair, from left to right."""
    left, right = pair
    merged: list[bytes] = []
    i = 0
    while i < len(tokens):
        if tokens[i] == left and tokens[i + 1 : i + 2] == [right]:
            merged.append(left + right)
            i += 2
        else:
            merged.append(tokens[i])
            i += 1
    return merged


# ---- neighbours ----------------------------------------------------------------------------------


class Row:
    """The tokens of words, as a linked list: two neighbours are joined without moving the others.

    A word can be as long as the text: Chinese without punctuation is a single word, and so is a
    genome. If each merge copied the tokens of a word, the time would grow with the square of its
    length. So a token stays at the position of its first byte. The token after it is found by
    adding its length, the token before it through `before`.

    Attributes:
        tokens: the token that starts at each position; `GAP` where no token starts.
        before: where a token starts, the position of the token before it, or of the gap there.
    """

    def __init__(self, words: Iterable[Iterable[bytes]]):
        self.tokens = [token for word in words for token in (*word, GAP)]
        self.before = list(range(-1, len(self.tokens) - 1))  # tokens[-1] is a gap, too

    def holds(self, pair: Pair, position: int) -> bool:
        """Does the pair start there, with neither half joined to another token meanwhile?"""
        left, right = pair
        return self.tokens[position] == left and self.tokens[position + len(left)] == right

    def join(self, pair: Pair, position: int) -> tuple[int, int]:
        """Join the pair that starts there; return the positions before and after the new token."""
        left, right = pair
        token = left + right
        after = position + len(token)
        self.tokens[position] = token
        self.tokens[position + len(left)] = GAP
        self.before[after] = position
        return self.before[position], after


# ---- training ------------------------------------------------------------------------------------


def train(text: str, num_merges: int) -> list[Pair]:
    """Learn merges: again and again, join the most frequent pair of neighbouring tokens.

    Among equally frequent pairs the one that occurs first in the text wins. The list is shorter
    than `num_merges` if every word of a small text has become one token before. In a terminal,
    training that takes longer than `PROGRESS_DELAY` shows how far it is.

    Raises:
        TokenizerError: for an empty text.
    """
    trainer = Trainer(text)
    merges: list[Pair] = []
    bar = tqdm(
        desc="merges",
        total=num_merges,
        delay=PROGRESS_DELAY,
        disable=None,  # silent unless in a terminal
    )
    with bar:
        while len(merges) < num_merges and (pair := trainer.step()):
            merges.append(pair)
            bar.update()
    return merges


class Trainer:
    """Learns one merge at each `step()` and looks only where something changes.

    A merge changes the pairs to the left and to the right of what it joins, and no others. So the
    trainer remembers at which positions each pair occurs, and after a merge it corrects the counts
    of these neighbours only. `pairs_counted` says how often it has looked at a pair so far.

    The best pair comes from a heap. All occurrences of a token arise at once, in one merge; after
    that a pair of tokens can only become rarer, and its first occurrence can only move to a later
    position. So an entry of the heap may promise too much, but never too little: if the one at the
    top still holds, no other pair can be better.
    """

    def __init__(self, text: str):
        if not text:
            raise TokenizerError("There is nothing to learn from: the text is empty.")
        occurrences = Counter(split_words(text))  # in the order in which the words first occur
        words = [single_bytes(word) for word in occurrences]
        self.row = Row(words)
        # For each position, how often its word occurs in the text.
        self.frequency = [
            count
            for word, count in zip(words, occurrences.values(), strict=True)
            for _ in range(len(word) + 1)
        ]
        self.counts: Counter[Pair] = Counter()
        # Ascending. A position whose pair is gone stays in the list until somebody comes across it:
        # to search for it would cost more.
        self.positions: defaultdict[Pair, list[int]] = defaultdict(list)
        self.pairs_counted = 0
        for position, pair in enumerate(pairwise(self.row.tokens)):
            if GAP not in pair:
                self._add(pair, position)
        self.heap = [self._entry(pair) for pair in self.counts]
        heapq.heapify(self.heap)

    def step(self) -> Pair | None:
        """Merge the best pair and return it; None if no pair is left."""
        best = self._best_pair()
        if best is not None:
            self._merge_everywhere(best)
        return best

    def _best_pair(self) -> Pair | None:
        while self.heap:
            entry = heapq.heappop(self.heap)
            pair = entry[-1]
            if not self.counts[pair]:
                continue
            now = self._entry(pair)
            if now == entry:
                return pair
            heapq.heappush(self.heap, now)
        return None

    def _entry(self, pair: Pair) -> tuple[int, int, Pair]:
        """The key of a pair in the heap: most frequent first, then first in the text."""
        positions = self.positions[pair]
        gone = 0
        while not self.row.holds(pair, positions[gone]):
            gone += 1
        del positions[:gone]
        self.pairs_counted += gone + 1
        return -self.counts[pair], positions[0], pair

    def _merge_everywhere(self, pair: Pair) -> None:
        left, right = pair
        token = left + right
        tokens = self.row.tokens
        born: set[Pair] = set()
        positions = self.positions.pop(pair)
        self.pairs_counted += len(positions)
        for position in positions:
            if not self.row.holds(pair, position):
                continue  # "aaa" holds "aa" twice, but only the first can be joined
            before, after = self.row.join(pair, position)
            if (previous := tokens[before]) != GAP:
                self._forget((previous, left), position)
                self._add((previous, token), before)
                born.add((previous, token))
            if (following := tokens[after]) != GAP:
                self._forget((right, following), position)
                self._add((token, following), position)
                born.add((token, following))
        del self.counts[pair]
        for new in born:
            if self.counts[new]:
                heapq.heappush(self.heap, self._entry(new))

    def _add(self, pair: Pair, position: int) -> None:
        self.pairs_counted += 1
        self.counts[pair] += self.frequency[position]
        self.positions[pair].append(position)

    def _forget(self, pair: Pair, position: int) -> None:
        self.pairs_counted += 1
        self.counts[pair] -= self.frequency[position]


# ---- encoding and decoding -----------------------------------------------------------------------


class Tokenizer:
    """Turns text into token ids and back, with a list of merges.

    Attributes:
        merges: the pairs, in the order in which they were learnt.
        tokens: the bytes of each id: the 256 bytes, one token for each merge, and `END`.
        end_id: the id of `END`, the last one. (Keras pads with id 0, so that must be another.)

    Raises:
        TokenizerError: if a merge joins something that is no token yet, or joins it again.
    """

    def __init__(self, merges: Iterable[Pair]):
        self.merges = list(merges)
        self.tokens = [bytes([byte]) for byte in CHARACTER_OF]
        known = set(self.tokens)
        for left, right in self.merges:
            if not {left, right} <= known or left + right in known:
                raise TokenizerError(
                    f"The merge of {left!r} and {right!r} does not fit the ones before it:"
                    " keep all merges, in the order in which they were learnt."
                )
            self.tokens.append(left + right)
            known.add(left + right)
        self.end_id = len(self.tokens)
        self.tokens.append(END.encode())
        self._rank = {pair: number for number, pair in enumerate(self.merges)}
        self._id_of = {token: number for number, token in enumerate(self.tokens)}
        self._cached_ids = lru_cache(maxsize=1 << 16)(self._encode_word)

    @property
    def vocabulary(self) -> dict[str, int]:
        """The id of each token, as vocab.json writes it."""
        characters = [as_characters(token) for token in self.tokens[:-1]]
        return {token: number for number, token in enumerate([*characters, END])}

    @property
    def merge_lines(self) -> list[str]:
        """The merges, as merges.txt writes them."""
        return [f"{as_characters(left)} {as_characters(right)}" for left, right in self.merges]

    def encode(self, text: str) -> list[int]:
        """The ids of a text. Every text has some; where it says `END`, that is one token.

        Raises:
            TokenizerError: if the text contains half of a surrogate pair.
        """
        ids: list[int] = []
        for number, part in enumerate(text.split(END)):
            if number > 0:
                ids.append(self.end_id)
            for word in split_words(part):
                is_long = len(word) > MAX_CACHED_WORD
                ids += self._encode_word(word) if is_long else self._cached_ids(word)
        return ids

    def _encode_word(self, word: str) -> list[int]:
        """Join what can be joined, the earliest merge first, as training did."""
        row = Row([single_bytes(word)])
        # Each possible merge as its number and its position: the heap gives the earliest merge
        # first, and of one merge the leftmost. A merge makes only later ones possible.
        heap: list[tuple[int, int]] = []
        for position, pair in enumerate(pairwise(row.tokens)):
            if pair in self._rank:
                heap.append((self._rank[pair], position))
        heapq.heapify(heap)
        while heap:
            number, position = heapq.heappop(heap)
            if row.holds(self.merges[number], position):
                before, after = row.join(self.merges[number], position)
                for start, end in ((before, position), (position, after)):
                    pair = row.tokens[start], row.tokens[end]
                    if pair in self._rank:
                        heapq.heappush(heap, (self._rank[pair], start))
        return [self._id_of[token] for token in row.tokens if token != GAP]

    def decode(self, ids: Iterable[int], strict: bool = False) -> str:
        """The text of some ids.

        Args:
            ids: what `encode` returned, or what a model has drawn.
            strict: whether to raise where the bytes are no whole character, not show "�".

        Raises:
            TokenizerError: for an id that is out of range; if `strict`, for half a character.
        """
        data = b"".join(map(self._bytes_of, ids))
        try:
            return data.decode("utf-8", "strict" if strict else "replace")
        except UnicodeDecodeError as error:
            raise TokenizerError(
                f"The tokens hold half a character (byte {error.start} of their text):"
                " decode them together with their neighbours."
            ) from None

    def _bytes_of(self, number: int) -> bytes:
        if not 0 <= number < len(self.tokens):
            raise TokenizerError(
                f"There is no token {number}: the ids of this tokenizer run"
                f" from 0 to {len(self.tokens) - 1}."
            )
        return self.tokens[number]

    # ---- files -----------------------------------------------------------------------------------

    def save(self, folder: Path | str) -> None:
        """Write vocab.json and merges.txt into `folder`, in GPT-2's own format.

        Raises:
            TokenizerError: if the folder cannot be written to.
        """
        folder = Path(folder)
        lines = "".join(f"{line}\n" for line in [VERSION, *self.merge_lines])
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "vocab.json").write_text(json.dumps(self.vocabulary), encoding="utf-8")
            (folder / "merges.txt").write_text(lines, encoding="utf-8", newline="\n")
        except OSError as error:
            raise TokenizerError(f"{folder} cannot be written to ({error.strerror}).") from error

    @classmethod
    def load(cls, folder: Path | str) -> "Tokenizer":
        """Read what `save` has written.

        Raises:
            TokenizerError: if a file is missing or damaged, or the two do not belong together.
        """
        tokenizer = cls(_read_merges(Path(folder, "merges.txt")))
        path = Path(folder, "vocab.json")
        _check_vocabulary(_read_vocabulary(path), tokenizer, path)
        return tokenizer


def read_text(path: Path | str) -> str:
    """The text of a file in UTF-8.

    Raises:
        TokenizerError: if there is no such file, or it is written in another encoding.
    """
    return files.read_text(path, TokenizerError)


def _read_merges(path: Path) -> list[Pair]:
    merges = []
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if not line or line.startswith("#version"):
            continue
        halves = line.split(" ")
        if len(halves) != 2 or "" in halves or not set("".join(halves)) <= BYTE_OF.keys():
            raise TokenizerError(
                f"{path}, line {number}: {line!r} is not a merge, which is two tokens in"
                " GPT-2's characters with one space between them."
            )
        left, right = (bytes(BYTE_OF[character] for character in half) for half in halves)
        merges.append((left, right))
    return merges


def _read_vocabulary(path: Path) -> dict[str, int]:
    try:
        vocabulary = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise TokenizerError(f"{path} is not JSON (line {error.lineno}: {error.msg}).") from None
    if not isinstance(vocabulary, dict):
        raise TokenizerError(f"{path} must hold a JSON object: the id of each token.")
    return vocabulary


def _check_vocabulary(vocabulary: dict[str, int], tokenizer: Tokenizer, path: Path) -> None:
    """The merges decide what the vocabulary must be; say in which way it is not."""
    missing = len(BYTE_OF.keys() - vocabulary.keys())
    if missing:
        raise TokenizerError(
            f"{path} lacks {missing} of the 256 bytes, so some texts could not be encoded:"
            " a byte-level vocabulary holds them all."
        )
    if vocabulary.get(END) != len(vocabulary) - 1:
        raise TokenizerError(f"{path} must end with {END}: its id must be the last one.")
    if vocabulary != tokenizer.vocabulary:
        raise TokenizerError(
            f"{path} and merges.txt beside it do not belong together:"
            " take both from the same tokenizer."
        )
