"""AG-UI's HttpAgent itself reads what is sent, without a warning, and is understood."""

import base64
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from chatnest.adapters.transport.ag_ui import AgUiDialect, AgUiEncoder
from chatnest.domain.events import ChatEvent, Failed, Finished, FinishReason
from chatnest.domain.messages import Message, Part, ReasoningPart, Role, TextPart, ToolCall
from chatnest.testing.event_strategies import event_sequences
from tests.adapters.transport.answer_model import Answer, Thought, answer, whole
from tests.support.node_clients import NodeClients

pytest_plugins = ["tests.support.node_fixtures"]
# The clients may have to be installed first, and nightly they read ten thousand answers.
pytestmark = pytest.mark.timeout(900)

Drawn = tuple[list[ChatEvent], int]
QUESTION = Message(Role.USER, "Hi")


def drawn_answers() -> list[Drawn]:
    """Answers, each with the size of the pieces in which it arrives."""
    drawn: list[Drawn] = []

    @settings(phases=[Phase.generate])
    @given(event_sequences(halves=True), st.integers(1, 200))
    def draw(events: list[ChatEvent], piece_size: int) -> None:
        drawn.append((events, piece_size))

    draw()
    return drawn


def recording(drawn: Drawn) -> dict[str, object]:
    events, piece_size = drawn
    stream = base64.b64encode(AgUiEncoder("thread", "run").encode(events)).decode()
    return {"stream": stream, "pieceSize": piece_size, "threadId": "thread", "runId": "run"}


def test_the_client_sees_every_answer_whole_and_sends_it_back(node_clients: NodeClients) -> None:
    drawn = drawn_answers()
    outcomes = node_clients.read("ag_ui_reader.mjs", map(recording, drawn))
    assert len(outcomes) == len(drawn)
    for (events, _), outcome in zip(drawn, outcomes, strict=True):
        expected = answer(events)
        assert (outcome["warnings"], outcome["errors"]) == ([], [])
        check_ending(expected, outcome)
        if expected.has_half_pairs:
            continue  # No body may hold them.
        asked = AgUiDialect().decode(outcome["body"].encode()).request
        first, *turn, again = asked.messages
        assert (first, again) == (QUESTION, QUESTION)
        assert turn == told_turn(expected)


def check_ending(expected: Answer, outcome: dict[str, Any]) -> None:
    match expected.ending:
        case Failed(error=error):
            assert (outcome["failure"]["message"], outcome["failure"]["code"]) == (
                error.message,
                error.code,
            )
        case Finished(finish_reason=FinishReason.ERROR):
            assert outcome["failure"]["code"] == "provider_error"
        case Finished(finish_reason=FinishReason.CANCELLED):
            assert outcome["finished"]["outcome"] == {"type": "cancelled"}
        case Finished(finish_reason=reason):
            assert outcome["result"]["finishReason"] == reason
            assert outcome["pendingToolCallIds"] == [call.id for call in expected.calls]
    assert len(outcome["custom"]) == bool(expected.usage)


def told_turn(expected: Answer) -> list[Message]:
    """One message with all that was said and called, and the thoughts that came before it."""
    thoughts: list[Part] = []
    begun = False
    for part in expected.parts:
        begun = begun or not isinstance(part, Thought)
        if isinstance(part, Thought) and not begun:
            thoughts.append(ReasoningPart(whole(part.text), part.seal, part.redacted))
    if not begun:
        return []
    texts: list[Part] = [TextPart(whole(expected.text))] if expected.text else []
    calls = [ToolCall(call.id, call.name, whole(call.arguments)) for call in expected.calls]
    said = Message.of_parts(Role.ASSISTANT, [*thoughts, *texts], tool_calls=tuple(calls))
    return [said]
