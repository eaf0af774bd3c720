"""Hypothesis strategies for answers: any legal sequence of events, for who writes a dialect.

Texts are short and often hold what breaks frames. Tool calls are few, so that their pieces mix.
"""

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from chatnest.domain.budget import Balance, BudgetRule, Unit
from chatnest.domain.errors import PublicError
from chatnest.domain.events import (
    ChatEvent,
    Delta,
    EventBatch,
    Failed,
    Finished,
    FinishReason,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextDelta,
    ToolCallDelta,
    UsageReported,
)
from chatnest.domain.retry import PUBLIC_ERRORS
from chatnest.domain.windows import Period, Window
from chatnest.testing.strategies import usages

# 22 November 2026, 18:00:00 UTC.
CREATED_AT = 1_795_370_400_000_000

HARD_PIECES = (
    *("\n", "\n\n", "\r", "\r\n", "\0", "\x1f", "\x7f", "\x85", "\u2028", "\u2029", "\ufeff"),
    *("é", '"', "\\", "\\ud800", "\U0001f600", " ", "data: ", "data: [DONE]\n\n", "[DONE]"),
    *("event: done\ndata: \n\n", ": ping\n\n", "</script>"),
)
"""What a model may say and a careless frame may break at."""

HALVES = ("\ud83d", "\ude00")
"""An emoji as a provider may cut it: halves of a surrogate pair."""


def answer_texts(*, halves: bool = False) -> SearchStrategy[str]:
    """Pieces of an answer, never empty; with *halves*, also of surrogate pairs."""
    pieces = st.sampled_from(HARD_PIECES + HALVES if halves else HARD_PIECES)
    return st.lists(pieces | st.text(min_size=1, max_size=4), min_size=1, max_size=4).map("".join)


def started_events() -> SearchStrategy[Started]:
    """The beginning of an answer."""
    return st.builds(
        Started,
        st.sampled_from(("request-1", "0b3e")),
        st.sampled_from(("model-1", "gpt-5", 'é"\u2028')),
        st.just("balanced"),
        st.integers(CREATED_AT, CREATED_AT + 2_000_000),
    )


def reasoning_deltas(texts: SearchStrategy[str]) -> SearchStrategy[ReasoningDelta]:
    """A thought's piece, its seal, both at once, or a redacted thought."""
    seals = st.sampled_from(("c2VhbA==", "EqQBCg"))
    return st.one_of(
        st.builds(ReasoningDelta, texts, st.none() | seals),
        st.builds(ReasoningDelta, st.just(""), seals, st.booleans()),
    )


@st.composite
def delta_sequences(
    draw: DrawFn, texts: SearchStrategy[str], *, max_size: int = 8, max_calls: int = 3
) -> list[Delta]:
    """Deltas of every kind; a tool call's first piece has its id and name, later ones neither.

    The indices of calls count up from nought, and pieces of several calls may alternate.
    """
    kinds = st.sampled_from(("text", "text", "refusal", "reasoning", "call", "arguments"))
    deltas: list[Delta] = []
    calls = 0
    for kind in draw(st.lists(kinds, max_size=max_size)):
        if kind == "text":
            deltas.append(TextDelta(draw(texts)))
        elif kind == "refusal":
            deltas.append(RefusalDelta(draw(texts)))
        elif kind == "reasoning":
            deltas.append(draw(reasoning_deltas(texts)))
        elif kind == "call" and calls < max_calls:
            name = draw(st.sampled_from(("look_up", "add")))
            deltas.append(ToolCallDelta(calls, f"call-{calls}", name, draw(st.just("") | texts)))
            calls += 1
        elif calls:
            index = draw(st.integers(0, calls - 1))
            deltas.append(ToolCallDelta(index, arguments=draw(texts)))
    return deltas


@st.composite
def balances(draw: DrawFn) -> Balance:
    """What one limit says, with a limit or without, resetting or not."""
    rule = BudgetRule(
        draw(st.sampled_from(("someone", "global"))),
        draw(st.sampled_from([Unit.TOKENS, Unit.NANO_USD, Unit.REQUESTS])),
        Window(draw(st.sampled_from([Period.DAY, Period.MONTH, Period.TOTAL]))),
        draw(st.none() | st.integers(1, 9)),
    )
    settled, held = draw(st.integers(0, 9)), draw(st.integers(0, 9))
    remaining = None if rule.limit is None else max(0, rule.limit - settled - held)
    return Balance(rule, settled, held, remaining, rule.window.span_at(CREATED_AT).end)


def usage_reports() -> SearchStrategy[UsageReported]:
    """What an answer used, its cost known or not."""
    return st.builds(
        UsageReported,
        usages(),
        st.none() | st.sampled_from(FinishReason),
        st.none() | st.sampled_from([0, 1, 1_234_500, 10**12]),
        st.booleans(),
        st.lists(balances(), max_size=2).map(tuple),
    )


def finishes() -> SearchStrategy[Finished]:
    """The end of an answer that did not fail; at times by a stop sequence."""
    by_sequence = st.just(Finished(FinishReason.STOP, "END"))
    return by_sequence | st.builds(Finished, st.sampled_from(FinishReason))


def failures() -> SearchStrategy[Failed]:
    """The end of an answer that broke off."""
    unknown = PublicError("never_heard_of", 'Odd: "\u2028é\n\n".')
    return st.builds(Failed, st.sampled_from([*PUBLIC_ERRORS.values(), unknown]))


@st.composite
def event_sequences(
    draw: DrawFn,
    *,
    halves: bool = False,
    endings: SearchStrategy[Finished | Failed] | None = None,
    max_size: int = 8,
) -> list[ChatEvent]:
    """One whole answer in the legal order of events, with at most *max_size* deltas."""
    deltas = draw(delta_sequences(answer_texts(halves=halves), max_size=max_size))
    usage = draw(st.lists(usage_reports(), max_size=1))
    ending = draw(finishes() | failures() if endings is None else endings)
    return [draw(started_events()), *deltas, *usage, ending]


@st.composite
def event_batches(draw: DrawFn, events: Sequence[ChatEvent]) -> list[EventBatch]:
    """*events* in order, in batches of any size; some may be empty."""
    cuts = sorted(draw(st.lists(st.integers(0, len(events)), max_size=4)))
    return [events[start:end] for start, end in pairwise([0, *cuts, len(events)])]
