"""The table of legal orders, against the same language written as a regular expression."""

import re
from itertools import product
from typing import get_args

import pytest

from chatnest.domain.errors import PublicError
from chatnest.domain.events import (
    ChatEvent,
    Failed,
    Finished,
    FinishReason,
    Phase,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextDelta,
    ToolCallDelta,
    UsageReported,
    next_phase,
)
from chatnest.domain.usage import NO_USAGE

EVENTS: dict[str, ChatEvent] = {
    "S": Started("r", "model", "balanced", 0),
    "T": TextDelta("text"),
    "R": ReasoningDelta("thought"),
    "N": RefusalDelta("no"),
    "C": ToolCallDelta(0, "call", "search"),
    "U": UsageReported(NO_USAGE),
    "F": Finished(FinishReason.STOP),
    "X": Failed(PublicError("provider_error", "The provider failed.")),
}
WHOLE = re.compile("S[TNRC]*U?[FX]")
BEGUN = re.compile("(S[TNRC]*U?[FX]?)?")


def phase_after(letters: tuple[str, ...]) -> Phase | None:
    phase: Phase | None = Phase.NEW
    for letter in letters:
        phase = None if phase is None else next_phase(phase, EVENTS[letter])
    return phase


def test_there_is_a_letter_for_every_event() -> None:
    assert {type(event) for event in EVENTS.values()} == set(get_args(ChatEvent))


@pytest.mark.parametrize("length", range(6))
def test_exactly_the_legal_orders_are_allowed(length: int) -> None:
    for letters in product(EVENTS, repeat=length):
        order, phase = "".join(letters), phase_after(letters)
        assert (phase is not None) == bool(BEGUN.fullmatch(order)), order
        assert (phase is Phase.ENDED) == bool(WHOLE.fullmatch(order)), order


@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS.keys())
def test_nothing_comes_after_the_end(event: ChatEvent) -> None:
    assert next_phase(Phase.ENDED, event) is None


@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS.keys())
def test_an_event_has_no_room_for_fields_that_it_does_not_name(event: ChatEvent) -> None:
    assert not hasattr(event, "__dict__")
