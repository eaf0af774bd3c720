"""Counts tokens with byte-pair vocabularies, in chunks and never on the event loop for long."""

import asyncio
import hashlib
import re
import threading
from collections import OrderedDict
from collections.abc import Iterator
from string import ascii_letters

from tiktoken import Encoding

from chatnest.adapters.tokenizers.models import Tokenization, byte_length, tokenization_of
from chatnest.adapters.tokenizers.vocabularies import encoding, is_loaded
from chatnest.domain.ports import TokenOverhead

# A million spaces in one piece make tiktoken's regular expression panic; 4,096 of any character
# take it two milliseconds at the most.
CHUNK_CHARS = 4_096

# Where a chunk has no good place to end, the two sides can be fewer tokens than the whole was: by
# 7 at the most in 480,000 random cuts through random runs of both vocabularies' own tokens.
CUT_MARGIN_TOKENS = 16

# No token of either vocabulary has more: what is far too long is known to be so without counting.
MOST_BYTES_IN_A_TOKEN = 128
MOST_LETTERS_IN_A_TOKEN = 41
_LETTERS = ascii_letters.encode()

# About 5 ms of work at the worst; more is done in a thread.
_INLINE_BYTES = 16_384

_REMEMBERED_FROM_CHARS = 1_024
_REMEMBERED_BYTES = 4 * 1_024 * 1_024
_DIGITS = re.compile(r"\d")


class BpeTokenCounter:
    """The :class:`~chatnest.domain.ports.TokenCounter` for every model, by its family.

    OpenAI's models are counted exactly, except that a run of more than 4,096 characters without
    a space is counted a little high; other families are estimated. *remembered_bytes* bounds the
    memory that counts of longer texts are kept in, the least recently used going first.
    """

    def __init__(self, *, remembered_bytes: int = _REMEMBERED_BYTES) -> None:
        self._memory = _Memory(remembered_bytes)

    def bound(self, model: str, text: str) -> int:
        """An upper bound of the tokens in *text*: its UTF-8 bytes, a tenth more for some.

        A byte-level vocabulary has a token for each byte, so no text is more tokens than bytes.
        """
        return _bound(tokenization_of(model), text)

    async def count(self, model: str, text: str, *, most: int | None = None) -> int:
        """The tokens in *text*, or those of its beginning where they are more than *most*.

        Over 16 KB, or before the vocabulary is loaded, it counts in a thread.

        Raises:
            ConfigurationError: the vocabulary's file is missing or was changed.
        """
        if not text:
            return 0
        tokenization = tokenization_of(model)
        if is_loaded(tokenization.vocabulary) and byte_length(text) <= _INLINE_BYTES:
            return self._count(tokenization, text, most)
        return await asyncio.to_thread(self._count, tokenization, text, most)

    def overestimate_percent(self, model: str) -> int:
        """How far above the truth the family's estimate may lie; zero for OpenAI's own models."""
        return tokenization_of(model).overestimate_percent

    def overhead(self, model: str) -> TokenOverhead:
        """What the chat template of *model*'s family adds to the texts."""
        return tokenization_of(model).overhead

    def _count(self, tokenization: Tokenization, text: str, most: int | None) -> int:
        if most is not None and (least := _least(text, most)) > most:
            return least
        if len(text) < _REMEMBERED_FROM_CHARS:
            return _estimate(tokenization, text, most)
        key = (tokenization, _digest(text))
        known = self._memory.get(key)
        if known is None:
            known = _estimate(tokenization, text, most)
            if most is None or known <= most:
                self._memory.put(key, known)
        return known


_Key = tuple[Tokenization, bytes]


class _Memory:
    """Counts of texts that were counted before, by digest: no text outlives its request here."""

    # A tuple, a digest, an integer and their places in the ordered dictionary.
    ENTRY_BYTES = 256

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes // self.ENTRY_BYTES
        self._counts: OrderedDict[_Key, int] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: _Key) -> int | None:
        with self._lock:
            count = self._counts.get(key)
            if count is not None:
                self._counts.move_to_end(key)
            return count

    def put(self, key: _Key, count: int) -> None:
        with self._lock:
            self._counts[key] = count
            self._counts.move_to_end(key)
            while len(self._counts) > self._most:
                self._counts.popitem(last=False)


def counted_chunks(
    encoder: Encoding, text: str, *, chunk_chars: int = CHUNK_CHARS
) -> Iterator[tuple[str, int]]:
    """The chunks of *text*, each with its tokens; together never fewer than *text* has.

    Exactly as many where every chunk ends before a space that follows another character.
    """
    for chunk, exact in _chunks(text, chunk_chars):
        tokens = len(encoder.encode_ordinary(chunk))
        yield chunk, tokens if exact else tokens + CUT_MARGIN_TOKENS


def _chunks(text: str, chunk_chars: int) -> Iterator[tuple[str, bool]]:
    """Cut *text*; False where a chunk ends in the middle of what may be one word."""
    start = 0
    while len(text) - start > chunk_chars:
        cut = _last_good_cut(text, start, start + chunk_chars)
        end = cut or start + chunk_chars
        yield text[start:end], cut is not None
        start = end
    yield text[start:], True


def _last_good_cut(text: str, start: int, end: int) -> int | None:
    """The last place up to *end* where a space follows a character that is none.

    Neither vocabulary's pattern takes a space into a word after anything but white space, so no
    word goes across such a place; and neither looks back across it.
    """
    cut = text.rfind(" ", start + 1, end + 1)
    while cut > 0 and text[cut - 1].isspace():
        cut = text.rfind(" ", start + 1, cut)
    return cut if cut > 0 else None


def _estimate(tokenization: Tokenization, text: str, most: int | None) -> int:
    hundredths = 0
    for chunk, tokens in counted_chunks(encoding(tokenization.vocabulary), text):
        if tokenization.splits_digits:
            tokens += len(_DIGITS.findall(chunk))
        hundredths += tokenization.hundredths(chunk, tokens)
        if most is not None and hundredths > most * 100:
            break
    return min(-(-hundredths // 100), _bound(tokenization, text))


def _least(text: str, most: int) -> int:
    """No more tokens than *text* has in any family; zero where that cannot be above *most*."""
    size = byte_length(text)
    if size <= most * MOST_LETTERS_IN_A_TOKEN:
        return 0
    others = text.encode("utf-8", "surrogatepass").translate(None, _LETTERS)
    letters = size - len(others)
    return max(letters // MOST_LETTERS_IN_A_TOKEN, size // MOST_BYTES_IN_A_TOKEN)


def _bound(tokenization: Tokenization, text: str) -> int:
    percent, size = tokenization.bound_percent, byte_length(text)
    return size if percent == 100 else -(-size * percent // 100)


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
