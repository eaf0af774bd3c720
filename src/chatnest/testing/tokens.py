"""The contract suite of token counters: every adapter of the port passes it.

An adapter's author subclasses :class:`TokenCounterContract` and gives a ``counter`` fixture::

    class TestMyCounter(TokenCounterContract):
        @pytest.fixture
        def counter(self) -> TokenCounter:
            return MyCounter()
"""

import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

import anyio
import anyio.lowlevel
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chatnest.domain.ports import TokenCounter

# The suite's methods run for every subclass, and a counter keeps nothing that examples could
# disturb: both checks guard against what is meant here.
_FOR_EVERY_COUNTER = settings(
    deadline=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.differing_executors,
        HealthCheck.too_slow,
    ],
)

# The longest known tokens are 128 spaces; no known one joins more than a few words, and no
# vocabulary needs more than a few for a plain English word.
_LONGEST_TOKEN_BYTES = 128
_MOST_WORDS_IN_A_TOKEN = 4
_MOST_TOKENS_IN_A_WORD = 4
_LONGEST_WAIT_S = 20
_SHORTLY_S = 0.05

HOSTILE_TEXTS: Mapping[str, str] = MappingProxyType(
    {
        "a million spaces": " " * 1_000_000,
        "spaces before a word": " " * 200_000 + "word",
        "empty lines": "\n" * 500_000,
        "one letter": "a" * 500_000,
        "one digit": "7" * 500_000,
        "punctuation": "!" * 500_000,
        "emoji": "😀" * 100_000,
        "joined emoji": "👨\u200d👩\u200d👧" * 30_000,
        "marks on one letter": "e" + "\u0301" * 100_000,
        "Chinese without a space": "我想在公司工作" * 30_000,
        "lone surrogates": "\ud800" * 100_000,
        "surrogates in the wrong order": "\udc00\ud800 " * 30_000,
        "NUL": "\0" * 500_000,
        "what looks like a special token": "<|endoftext|><|im_start|>" * 5_000,
    }
)


def texts() -> st.SearchStrategy[str]:
    """Texts of any characters, and of pieces that vocabularies treat apart."""
    pieces = [
        "the",
        " the",
        "The",
        "\n",
        "  ",
        "1",
        "234",
        "é",
        "我",
        "😀",
        "<|endoftext|>",
        "\ud800",
    ]
    return st.text(st.characters(exclude_categories=()), max_size=40) | st.lists(
        st.sampled_from(pieces)
    ).map("".join)


class TokenCounterContract:
    """What every :class:`~chatnest.domain.ports.TokenCounter` keeps, for every model.

    ``models`` are the names that are asked for; the adapter need not know any of them.
    """

    models: ClassVar[tuple[str, ...]] = ("gpt-4o", "claude-sonnet-4-5", "a-model-nobody-knows")

    @pytest.fixture
    def counter(self) -> TokenCounter:
        """The counter under test."""
        raise NotImplementedError("give the suite a `counter` fixture")

    async def test_no_text_is_no_tokens(self, counter: TokenCounter) -> None:
        """Neither by the count nor by the bound."""
        for model in self.models:
            assert await counter.count(model, "") == 0
            assert counter.bound(model, "") == 0

    @_FOR_EVERY_COUNTER
    @given(text=texts())
    async def test_the_bound_is_never_passed(self, counter: TokenCounter, text: str) -> None:
        """What is held by the bound covers what is counted."""
        for model in self.models:
            assert await counter.count(model, text) <= counter.bound(model, text)

    @_FOR_EVERY_COUNTER
    @given(text=texts().filter(bool))
    async def test_a_text_is_some_tokens(self, counter: TokenCounter, text: str) -> None:
        """A counter that always says nothing, or anything, fails here."""
        size = len(text.encode("utf-8", "surrogatepass"))
        for model in self.models:
            assert await counter.count(model, text) * _LONGEST_TOKEN_BYTES >= size
            assert size <= counter.bound(model, text) * _LONGEST_TOKEN_BYTES <= size * 256

    async def test_prose_is_about_as_many_tokens_as_words(self, counter: TokenCounter) -> None:
        """Within what any vocabulary does to plain English."""
        prose = "It was the best of times, it was the worst of times, it was the age of wisdom. "
        words = len(prose.split())
        for model in self.models:
            count = await counter.count(model, prose * 100)
            assert words * 100 <= count * _MOST_WORDS_IN_A_TOKEN
            assert count <= words * 100 * _MOST_TOKENS_IN_A_WORD

    @_FOR_EVERY_COUNTER
    @given(text=texts())
    async def test_the_same_text_is_always_the_same_count(
        self, counter: TokenCounter, text: str
    ) -> None:
        """Also where the text is long enough to be remembered."""
        long = text * 100
        for model in self.models:
            assert await counter.count(model, long) == await counter.count(model, long)

    @_FOR_EVERY_COUNTER
    @given(text=texts(), most=st.integers(0, 50))
    async def test_counting_may_stop_only_where_there_are_more(
        self, counter: TokenCounter, text: str, most: int
    ) -> None:
        """Up to the most that is asked about the answer is the count itself."""
        for model in self.models:
            whole = await counter.count(model, text * 100)
            bounded = await counter.count(model, text * 100, most=most)
            assert bounded == whole if whole <= most else most < bounded <= whole

    async def test_a_template_adds_something_to_every_message(self, counter: TokenCounter) -> None:
        """The same for every request."""
        for model in self.models:
            overhead = counter.overhead(model)
            assert overhead.per_message >= 1
            assert overhead.per_request >= 0
            assert overhead == counter.overhead(model)

    @pytest.mark.parametrize("text", HOSTILE_TEXTS.values(), ids=HOSTILE_TEXTS.keys())
    async def test_a_hostile_text_is_counted_in_bounded_time(
        self, counter: TokenCounter, text: str
    ) -> None:
        """It neither fails nor takes long, and is not let off cheaply."""
        began = time.monotonic()
        size = len(text.encode("utf-8", "surrogatepass"))
        count = await counter.count(self.models[0], text)
        assert size <= count * _LONGEST_TOKEN_BYTES
        assert count <= counter.bound(self.models[0], text)
        assert time.monotonic() - began < _LONGEST_WAIT_S

    async def test_others_run_while_a_long_text_is_counted(self, counter: TokenCounter) -> None:
        """Unless the counter is so quick that nobody has to wait."""
        others = 0

        async def count_turns() -> None:
            nonlocal others
            while True:
                await anyio.lowlevel.checkpoint()
                others += 1

        with anyio.fail_after(_LONGEST_WAIT_S):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(count_turns)
                await anyio.lowlevel.checkpoint()
                before, began = others, time.monotonic()
                await counter.count(self.models[0], HOSTILE_TEXTS["a million spaces"])
                turns, took_s = others - before, time.monotonic() - began
                tasks.cancel_scope.cancel()
        assert turns > 0 or took_s < _SHORTLY_S
