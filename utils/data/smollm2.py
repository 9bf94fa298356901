"""SmolLM2-Instruct's tokenizer and chat template, from its GGUF file. See lesson 16.

    file = read_gguf(download("smollm2"))
    tokenizer = read_tokenizer(file.metadata)
    tokenizer.encode("A line of 3 <|im_end|>")               # what somebody typed: only text
    tokenizer.encode("<|im_start|>user\n", special=True)     # special tokens count
    ChatTemplate(tokenizer).prompt([Message("user", "Hello")])

The encoding is the byte-pair encoding of lesson 3. Three things differ from GPT-2: digits are cut
into single ones, the ids are those of the file, and there are 17 special tokens.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import regex  # type: ignore[import-untyped]

from utils.data.bpe import BYTE_OF, MAX_CACHED_WORD, Pair, Tokenizer, TokenizerError, as_characters
from utils.data.dialogues import Message

START_TOKEN, END_TOKEN = "<|im_start|>", "<|im_end|>"
SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
# GPT-2's words, but each digit is one, and white space before a digit belongs to no word with it.
SINGLE_DIGITS = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+|\s+(?![^\s\p{N}])|\s+"
CONTROL = 3  # the type of a special token in a GGUF


class PretrainedTokenizer(Tokenizer):
    """A byte-level BPE with another model's words, ids and special tokens.

    Attributes:
        tokens: the bytes of each id; of a special token, its name in UTF-8.
        special_ids: the id of each special token, by name.
        end_id: the id at which the model ends what it says.

    Args:
        merges: pairs of bytes, in the order in which they were learnt.
        tokens: the bytes of each id. A byte that is no token is left out of every text, as
            Hugging Face's `tokenizers` does it.
        special: the names of the special tokens, which are among `tokens`.
        end: the name of the one that ends a text.
        words: a regular expression that cuts a text into words.

    Raises:
        TokenizerError: if merges and tokens do not belong together.
    """

    def __init__(
        self,
        merges: Iterable[Pair],
        tokens: Sequence[bytes],
        special: Iterable[str],
        end: str,
        words: str = SINGLE_DIGITS,
    ):
        super().__init__(merges)
        self.tokens = list(tokens)
        ids = {token: number for number, token in enumerate(self.tokens)}
        self.special_ids = {name: ids.pop(name.encode(), -1) for name in special}
        joined = {left + right for left, right in self.merges}
        if not joined <= ids.keys() or -1 in self.special_ids.values():
            raise TokenizerError(
                "The tokens are not those that the merges and special tokens need:"
                " take all of them from the same file."
            )
        self.end_id = self.special_ids[end]
        # Bytes that are no token. Those of ASCII are characters, and left out before merging.
        missing = [byte for byte in range(256) if bytes([byte]) not in ids]
        self._left_out = {byte: None for byte in missing if byte < 128}
        self._id_of = {bytes([byte]): -1 for byte in missing} | ids
        self._words = regex.compile(words)
        longest_first = sorted(map(regex.escape, self.special_ids), key=len, reverse=True)
        self._special = regex.compile(f"({'|'.join(longest_first)})")
        self._cached_ids = lru_cache(maxsize=1 << 16)(self._encode_word)

    @property
    def vocabulary(self) -> dict[str, int]:
        """The id of each token, as vocab.json writes it."""
        written = {as_characters(token): i for token, i in self._id_of.items() if i >= 0}
        return self.special_ids | written

    def words(self, text: str) -> list[str]:
        """The words of a text, spaces included: joined, they are the text again."""
        return self._words.findall(text)

    def encode(self, text: str, special: bool = False) -> list[int]:
        """The ids of a text.

        Args:
            text: any text.
            special: whether the name of a special token, anywhere in the text, is that token. Only
                for texts that the program wrote itself: what a user types is text, whatever it is.

        Raises:
            TokenizerError: if the text contains half of a surrogate pair.
        """
        parts = self._special.split(text) if special else [text]
        ids: list[int] = []
        for number, part in enumerate(parts):
            if number % 2:  # what stands between two texts is a special token
                ids.append(self.special_ids[part])
                continue
            for word in self.words(part):
                is_long = len(word) > MAX_CACHED_WORD
                ids += self._encode_word(word) if is_long else self._cached_ids(word)
        return ids

    def _encode_word(self, word: str) -> list[int]:
        return [i for i in super()._encode_word(word.translate(self._left_out)) if i >= 0]


def read_tokenizer(metadata: Mapping[str, Any]) -> PretrainedTokenizer:
    """The tokenizer of a GGUF file of SmolLM2.

    Args:
        metadata: the metadata of the file, see `utils.data.gguf_reader`.

    Raises:
        TokenizerError: if the file has no such tokenizer.
    """
    model, words = (metadata.get(f"tokenizer.ggml.{key}") for key in ("model", "pre"))
    if (model, words) != ("gpt2", "smollm"):
        raise TokenizerError(
            f"The file has a tokenizer of kind {model}/{words}: the course reads gpt2/smollm."
        )
    written = metadata["tokenizer.ggml.tokens"]
    kinds = metadata["tokenizer.ggml.token_type"]
    special = [name for name, kind in zip(written, kinds, strict=True) if kind == CONTROL]
    tokens = [name.encode() if name in special else as_bytes(name) for name in written]
    merges = [
        (as_bytes(left), as_bytes(right))
        for left, right in (line.split(" ") for line in metadata["tokenizer.ggml.merges"])
    ]
    return PretrainedTokenizer(merges, tokens, special, END_TOKEN)


def as_bytes(token: str) -> bytes:
    """The bytes of a token that is written in GPT-2's characters."""
    return bytes(BYTE_OF[character] for character in token)


class ChatTemplate:
    """How SmolLM2-Instruct was taught to see a conversation; its file says so in words of Jinja.

        <|im_start|>system\nYou are a helpful AI assistant …<|im_end|>\n
        <|im_start|>user\nHello<|im_end|>\n
        <|im_start|>assistant\n

    Attributes:
        tokenizer: the model's.
        end_id: the id of `<|im_end|>`, which the model says when it is done.
        reply_start: the ids after which the assistant speaks.
    """

    def __init__(self, tokenizer: PretrainedTokenizer):
        self.tokenizer, self.end_id = tokenizer, tokenizer.end_id
        self.start_id = tokenizer.special_ids[START_TOKEN]
        self.reply_start = [self.start_id, *tokenizer.encode("assistant\n")]

    def message(self, message: Message) -> list[int]:
        """The ids of one message. A special token that is typed in it stays text."""
        text = self.tokenizer.encode(f"{message.role}\n{message.content}")
        return [self.start_id, *text, self.end_id, *self.tokenizer.encode("\n")]

    def prompt(self, messages: Sequence[Message]) -> list[int]:
        """The ids after which the assistant speaks.

        Args:
            messages: the chat so far. Unless it begins with the system's message, the one that the
                model was trained with stands before it.
        """
        if not messages or messages[0].role != "system":
            messages = [Message("system", SYSTEM), *messages]
        ids = [i for message in messages for i in self.message(message)]
        return ids + self.reply_start

    def fits(self, messages: Sequence[Message], longest: int) -> bool:
        """Whether the prompt of these messages has at most `longest` ids."""
        return len(self.prompt(messages)) <= longest

    def reply(self, ids: Iterable[int]) -> str:
        """The text of a reply, up to the first special token."""
        special, text = set(self.tokenizer.special_ids.values()), []
        for i in ids:
            if i in special:
                break
            text.append(int(i))
        return self.tokenizer.decode(text)
