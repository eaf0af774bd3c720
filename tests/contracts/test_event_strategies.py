"""The strategy of answers draws what the table of legal orders allows, and every kind of it."""

import pytest
from hypothesis import Phase as HypothesisPhase
from hypothesis import find, given, settings
from hypothesis import strategies as st

from chatnest.domain.events import (
    ChatEvent,
    Failed,
    Finished,
    Phase,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
    UsageReported,
    next_phase,
)
from chatnest.testing.event_strategies import event_batches, event_sequences


def phases(events: list[ChatEvent]) -> list[Phase | None]:
    reached: list[Phase | None] = [Phase.NEW]
    for event in events:
        reached.append(None if reached[-1] is None else next_phase(reached[-1], event))
    return reached


@given(event_sequences(halves=True))
def test_every_answer_is_legal_and_ends(events: list[ChatEvent]) -> None:
    assert phases(events)[-1] is Phase.ENDED


@given(event_sequences())
def test_a_tool_call_begins_with_its_id_and_name(events: list[ChatEvent]) -> None:
    begun = 0
    for event in events:
        if isinstance(event, ToolCallDelta):
            is_first = event.index == begun
            assert (event.id is not None, event.name is not None) == (is_first, is_first)
            assert event.index <= begun
            begun += is_first


@given(event_sequences(), st.data())
def test_batches_are_the_events_in_their_order(
    events: list[ChatEvent], data: st.DataObject
) -> None:
    batches = data.draw(event_batches(events))
    assert [event for batch in batches for event in batch] == events


@pytest.mark.parametrize(
    "kind",
    [TextDelta, RefusalDelta, ReasoningDelta, ToolCallDelta, UsageReported, Finished, Failed],
)
def test_every_kind_of_event_is_drawn(kind: type[ChatEvent]) -> None:
    first = settings(phases=[HypothesisPhase.generate])
    found = find(
        event_sequences(), lambda events: kind in {type(event) for event in events}, settings=first
    )
    assert kind in map(type, found)
