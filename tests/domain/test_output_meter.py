"""An answer that goes on past its cap is noticed, and one that does not is hardly ever counted."""

from hypothesis import given
from hypothesis import strategies as st

from chatnest.adapters.tokenizers.bpe import BpeTokenCounter
from chatnest.domain.output_meter import OutputMeter
from chatnest.domain.prompt import PromptFitter
from tests.domain.chat_world import WordCounter


class Measured:
    """An answer as it grows, and the meter that watches it."""

    def __init__(self, cap: int, counter: WordCounter | None = None) -> None:
        self.counter = counter or WordCounter()
        self.text = ""
        self._meter = OutputMeter(PromptFitter(self.counter, "model-1", None), cap)

    async def grows_over(self, piece: str) -> bool:
        self.text += piece
        return self._meter.add(piece) and await self._meter.is_over(lambda: self.text)


async def test_an_answer_is_over_with_the_first_token_past_its_cap() -> None:
    answer = Measured(3)
    assert [await answer.grows_over(f"{word} ") for word in "abcd"] == [False] * 3 + [True]


async def test_a_short_answer_is_never_counted() -> None:
    answer = Measured(100)
    for _ in range(20):
        assert not await answer.grows_over("word ")
    assert answer.counter.counted == []


async def test_a_long_answer_is_counted_a_few_times_and_hardly_twice() -> None:
    answer = Measured(1_000)
    for _ in range(1_000):
        assert not await answer.grows_over("word ")
    counted = answer.counter.counted
    assert len(counted) < 60
    assert sum(map(len, counted)) < 2 * len(answer.text)


async def test_pieces_of_words_are_counted_together_before_an_answer_is_ended() -> None:
    answer = Measured(2)
    over = [await answer.grows_over(letter) for letter in "unbreakable words"]
    assert over == [False] * len(over)


async def test_spaces_at_the_end_are_no_token_past_the_cap() -> None:
    class Spaced(WordCounter):
        async def count(self, model: str, text: str, *, most: int | None = None) -> int:
            return await super().count(model, text, most=most) + text.endswith(" ")

    answer = Measured(3, Spaced())
    assert [await answer.grows_over("word ") for _ in range(4)] == [False] * 3 + [True]


async def test_an_estimate_that_may_be_high_ends_no_honest_answer() -> None:
    class Generous(WordCounter):
        def overestimate_percent(self, model: str) -> int:
            return 50

    answer = Measured(10, Generous())
    assert [await answer.grows_over("word ") for _ in range(16)] == [False] * 15 + [True]


@given(st.lists(st.sampled_from(["a", "bc ", " ", " de", "\n"]), max_size=40), st.integers(0, 12))
async def test_an_answer_is_ended_exactly_where_its_words_pass_the_cap(
    pieces: list[str], cap: int
) -> None:
    answer = Measured(cap)
    for piece in pieces:
        is_over = await answer.grows_over(piece)
        assert is_over == (len(answer.text.split()) > cap)
        if is_over:
            break


@given(st.integers(1, 300), st.lists(st.text(max_size=60), max_size=20))
def test_what_is_ample_passes_no_cap(cap: int, pieces: list[str]) -> None:
    # Its tokens are bounded by more than its bytes.
    meter = OutputMeter(PromptFitter(BpeTokenCounter(), "claude-haiku-4-5", None), cap)
    for piece in pieces:
        is_ample = len(piece) <= meter.ample
        assert not (meter.add(piece) and is_ample)


def test_what_is_ample_is_so_for_the_dearest_characters() -> None:
    class Dear(WordCounter):
        def bound(self, model: str, text: str) -> int:
            return 8 * len(text)

    for cap in (8, 100, 1_000):
        meter = OutputMeter(PromptFitter(Dear(), "model-1", None), cap)
        assert meter.ample == cap // 8
        assert not meter.add("x")
        assert meter.ample == (cap - 8) // 8
        assert not meter.add("x" * meter.ample)
        assert meter.add("x")
