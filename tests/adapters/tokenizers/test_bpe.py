"""What is particular to the byte-pair counter: exactness, chunks, threads and its memory."""

import re
import threading
from collections.abc import Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tiktoken import Encoding

from chatnest.adapters.tokenizers import BpeTokenCounter, bpe
from chatnest.adapters.tokenizers.bpe import (
    CHUNK_CHARS,
    CUT_MARGIN_TOKENS,
    MOST_BYTES_IN_A_TOKEN,
    MOST_LETTERS_IN_A_TOKEN,
    counted_chunks,
)
from chatnest.adapters.tokenizers.models import byte_length
from chatnest.adapters.tokenizers.vocabularies import Vocabulary, encoding
from chatnest.testing.tokens import texts

vocabularies = st.sampled_from(Vocabulary)
words = st.sampled_from(
    [
        "a",
        "don't",
        "I'LL",
        "x1",
        "12345",
        "(!)",
        "é",
        "我想",
        "😀",
        "e\u0301",
        "\ud800",
        "A\n/b",
        "!\n/",
    ]
)
LONGEST_WORD = 5
gaps = st.sampled_from([" ", " ", " ", "  ", "\n", "\n  ", " \n", "\t ", "\u00a0", "\r\n "])


def tokens_of(vocabulary: Vocabulary, text: str) -> int:
    """The tokens of *text* in one piece."""
    return len(encoding(vocabulary).encode_ordinary(text))


def in_chunks(vocabulary: Vocabulary, text: str, chunk_chars: int) -> int:
    """The tokens of *text* in chunks, after checking that the chunks are the text."""
    chunks = list(counted_chunks(encoding(vocabulary), text, chunk_chars=chunk_chars))
    assert "".join(chunk for chunk, _ in chunks) == text
    assert all(len(chunk) <= chunk_chars for chunk, _ in chunks)
    return sum(tokens for _, tokens in chunks)


class Tallied:
    """Notes the thread in which each text is encoded."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.threads: list[int] = []
        self._real = bpe.counted_chunks
        monkeypatch.setattr(bpe, "counted_chunks", self._noted)

    @property
    def times(self) -> int:
        return len(self.threads)

    def _noted(self, encoder: Encoding, text: str) -> Iterator[tuple[str, int]]:
        self.threads.append(threading.get_ident())
        return self._real(encoder, text)


@given(
    vocabulary=vocabularies,
    parts=st.lists(st.tuples(words, st.sampled_from([" ", "  ", "   "])).map("".join)),
    chunk_chars=st.integers(LONGEST_WORD + 3, 12),
)
def test_chunks_between_words_count_exactly_what_the_whole_does(
    vocabulary: Vocabulary, parts: list[str], chunk_chars: int
) -> None:
    text = "".join(parts).rstrip(" ")
    assert in_chunks(vocabulary, text, chunk_chars) == tokens_of(vocabulary, text)


@given(
    vocabulary=vocabularies,
    parts=st.lists(st.tuples(words, gaps).map("".join)),
    chunk_chars=st.integers(1, 12),
)
def test_no_chunks_count_less_than_the_whole(
    vocabulary: Vocabulary, parts: list[str], chunk_chars: int
) -> None:
    text = "".join(parts)
    whole = tokens_of(vocabulary, text)
    most = byte_length(text) + len(text) * CUT_MARGIN_TOKENS
    assert whole <= in_chunks(vocabulary, text, chunk_chars) <= most


@given(vocabulary=vocabularies, text=texts(), chunk_chars=st.integers(1, 8))
@example(Vocabulary.CL100K, "textForResourcetranslatediclesoplayeone", 15)
@example(Vocabulary.O200K, "tussenightsadowsunkyheluchienapkplusplusembrop", 40)
def test_a_cut_inside_a_word_is_made_up_for(
    vocabulary: Vocabulary, text: str, chunk_chars: int
) -> None:
    assert in_chunks(vocabulary, text, chunk_chars) >= tokens_of(vocabulary, text)


def test_the_margin_is_needed() -> None:
    whole = "textForResourcetranslatediclesoplayeone"
    vocabulary = Vocabulary.CL100K
    halves = tokens_of(vocabulary, whole[:15]) + tokens_of(vocabulary, whole[15:])
    assert tokens_of(vocabulary, whole) - CUT_MARGIN_TOKENS <= halves < tokens_of(vocabulary, whole)


@given(text=texts())
async def test_openais_models_are_counted_exactly(text: str) -> None:
    counter = BpeTokenCounter()
    assert await counter.count("gpt-4o", text) == tokens_of(Vocabulary.O200K, text)
    assert await counter.count("gpt-4", text) == tokens_of(Vocabulary.CL100K, text)


async def test_long_prose_is_counted_exactly() -> None:
    prose = (
        "Call me Ishmael. Some years ago - never mind how long precisely -\nhaving little " * 200
    )
    assert len(prose) > 3 * CHUNK_CHARS
    assert await BpeTokenCounter().count("gpt-4o", prose) == tokens_of(Vocabulary.O200K, prose)


async def test_no_text_needs_no_vocabulary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(bpe, "encoding")
    assert await BpeTokenCounter().count("gpt-4o", "") == 0


async def test_what_looks_like_a_special_token_is_text() -> None:
    assert await BpeTokenCounter().count("gpt-4o", "<|endoftext|>") > 1


@pytest.mark.parametrize(
    ("model", "text", "bound"),
    [
        ("gpt-4o", "abcé", 5),
        ("gpt-4o", "\ud800", 3),
        ("claude-opus-5", "a" * 10, 11),
        ("claude-opus-5", "a" * 11, 13),
        ("a-model-nobody-knows", "a", 2),
    ],
)
def test_the_bound_is_the_bytes_and_a_tenth_more_for_some(
    model: str, text: str, bound: int
) -> None:
    assert BpeTokenCounter().bound(model, text) == bound


@pytest.mark.parametrize(
    ("text", "tokens"),
    # o200k has one token for each of these words and for each Chinese pair; the factors are 1.26
    # and 1.45 up to Claude 4.6.
    [(" word" * 10, 13), (" word", 2), (" word" * 100, 126), ("你好", 2)],
)
async def test_an_estimate_is_a_multiple_rounded_up(text: str, tokens: int) -> None:
    assert await BpeTokenCounter().count("claude-sonnet-4-5", text) == tokens


async def test_a_digit_is_a_token_where_the_family_splits_them() -> None:
    counter = BpeTokenCounter()
    assert await counter.count("llama3.1", "123456") == 2
    assert await counter.count("qwen2.5", "123456") == 6


@pytest.mark.parametrize(
    ("text", "elsewhere"), [("word " * 3_276, False), ("word " * 3_277, True), ("é" * 8_193, True)]
)
async def test_more_than_16_kilobytes_are_counted_in_a_thread(
    monkeypatch: pytest.MonkeyPatch, text: str, elsewhere: bool
) -> None:
    tallied = Tallied(monkeypatch)
    await BpeTokenCounter().count("gpt-4o", text)
    assert [thread != threading.get_ident() for thread in tallied.threads] == [elsewhere]


async def test_a_vocabulary_is_never_loaded_on_the_event_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads: list[int] = []

    def load(vocabulary: Vocabulary) -> Encoding:
        threads.append(threading.get_ident())
        return encoding(vocabulary)

    monkeypatch.setattr(bpe, "is_loaded", lambda _: False)
    monkeypatch.setattr(bpe, "encoding", load)
    await BpeTokenCounter().count("gpt-4o", "word")
    assert threads
    assert threading.get_ident() not in threads


async def test_a_long_text_is_counted_once_for_each_family(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tallied, counter, text = Tallied(monkeypatch), BpeTokenCounter(), "word " * 300
    first = await counter.count("gpt-4o", text)
    assert await counter.count("gpt-4.1", text) == first
    assert tallied.times == 1
    assert await counter.count("claude-opus-5", text) > first
    assert tallied.times == 2
    assert await counter.count("gpt-4o", text + "word ") == first + 1


async def test_a_short_text_is_not_worth_remembering(monkeypatch: pytest.MonkeyPatch) -> None:
    tallied, counter = Tallied(monkeypatch), BpeTokenCounter()
    for _ in range(3):
        await counter.count("gpt-4o", "word")
    assert tallied.times == 3


async def test_the_least_recently_used_count_is_forgotten_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tallied, counter = Tallied(monkeypatch), BpeTokenCounter(remembered_bytes=2 * 256)
    one, two, three = ("one " * 500, "two " * 500, "three " * 500)
    for text in (one, two, one, three, one):
        await counter.count("gpt-4o", text)
    assert tallied.times == 3
    await counter.count("gpt-4o", two)
    assert tallied.times == 4


async def test_counting_stops_soon_after_there_are_more(monkeypatch: pytest.MonkeyPatch) -> None:
    read = 0

    def noted(encoder: Encoding, text: str) -> Iterator[tuple[str, int]]:
        nonlocal read
        for chunk, tokens in counted_chunks(encoder, text):
            read += len(chunk)
            yield chunk, tokens

    monkeypatch.setattr(bpe, "counted_chunks", noted)
    text = "17 " * 60_000
    assert await BpeTokenCounter().count("gpt-4o", text, most=2_000) > 2_000
    assert 0 < read < 4 * 2_000 * len("17 ")


@pytest.mark.parametrize("word", ["word ", "17 ", "我"])
async def test_what_is_far_too_long_is_not_counted_at_all(
    monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    tallied, text = Tallied(monkeypatch), word * 200_000
    told = await BpeTokenCounter().count("gpt-4o", text, most=2_000)
    assert tallied.times == 0
    assert 2_000 < told <= await BpeTokenCounter().count("gpt-4o", text)


@pytest.mark.parametrize("vocabulary", Vocabulary)
def test_no_token_is_longer_than_it_is_said_to_be(vocabulary: Vocabulary) -> None:
    tokens = encoding(vocabulary).token_byte_values()
    assert max(map(len, tokens)) == MOST_BYTES_IN_A_TOKEN
    letters = [len(re.sub(rb"[^A-Za-z]", b"", token)) for token in tokens]
    assert max(letters) <= MOST_LETTERS_IN_A_TOKEN


async def test_a_count_that_stopped_is_not_remembered_as_the_whole() -> None:
    counter, text = BpeTokenCounter(), "word " * 20_000
    for most in (10, 10_000):
        assert await counter.count("gpt-4o", text, most=most) < 20_000
    assert await counter.count("gpt-4o", text) >= 20_000
