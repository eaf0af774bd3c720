"""The AI SDK itself, in each version that is promised, reads what is sent, and is understood."""

import base64
import json
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from chatnest.adapters.transport.ai_sdk import AiSdkDialect, AiSdkEncoder
from chatnest.domain.events import ChatEvent, Failed, UsageReported
from chatnest.domain.messages import Message, Part, ReasoningPart, Role, TextPart
from chatnest.testing.event_strategies import event_sequences
from tests.adapters.transport.answer_model import Answer, Call, Text, Thought, answer, whole
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


def recording(drawn: Drawn, version: str) -> dict[str, object]:
    events, piece_size = drawn
    stream = base64.b64encode(AiSdkEncoder().encode(events)).decode()
    return {"version": version, "stream": stream, "pieceSize": piece_size}


@pytest.mark.parametrize("version", ["v5", "v6", "v7"])
def test_the_client_sees_every_answer_whole_and_sends_it_back(
    node_clients: NodeClients, version: str
) -> None:
    drawn = drawn_answers()
    outcomes = node_clients.read("ai_sdk_reader.mjs", [recording(one, version) for one in drawn])
    assert len(outcomes) == len(drawn)
    for (events, _), outcome in zip(drawn, outcomes, strict=True):
        expected = answer(events)
        check_errors(expected, outcome)
        assert seen_parts(outcome["message"]) == told_parts(expected)
        check_usage(expected.usage, outcome)
        if expected.has_half_pairs:
            continue  # No body may hold them.
        asked = AiSdkDialect().decode(outcome["body"].encode()).request
        first, *turn, again = asked.messages
        assert (first, again) == (QUESTION, QUESTION)
        check_turn(expected, turn)


def check_errors(expected: Answer, outcome: dict[str, Any]) -> None:
    failed = isinstance(expected.ending, Failed)
    message = expected.ending.error.message if isinstance(expected.ending, Failed) else None
    assert outcome["errors"] == ([message] if failed else [])
    assert outcome["chunks"][-1]["type"] == "finish"


def seen_parts(message: dict[str, Any]) -> list[tuple[object, ...]]:
    # The last state that was shown: a step in which nothing was said is not shown.
    steps, parts = message["parts"][:1], message["parts"][1:]
    assert steps in ([], [{"type": "step-start"}])
    seen: list[tuple[object, ...]] = []
    for part in parts:
        if part["type"].startswith("tool-"):
            seen.append((part["type"], part["toolCallId"]))
        else:
            assert part["state"] == "done"
            seen.append((part["type"], whole(part["text"]), part.get("providerMetadata")))
    return seen


def told_parts(expected: Answer) -> list[tuple[object, ...]]:
    told: list[tuple[object, ...]] = []
    for part in expected.parts:
        match part:
            case Text(text=text):
                told.append(("text", whole(text), None))
            case Call(id=id, name=name):
                told.append((f"tool-{name}", id))
            case Thought(text=text, seal=None):
                told.append(("reasoning", whole(text), None))
            case Thought(text=text, seal=seal, redacted=redacted):
                flags = {"redacted": True} if redacted else {}
                told.append(("reasoning", whole(text), {"chatnest": {"signature": seal, **flags}}))
    return told


def check_usage(usage: UsageReported | None, outcome: dict[str, Any]) -> None:
    reports = [chunk for chunk in outcome["chunks"] if chunk["type"] == "data-chatnest-usage"]
    metadata = outcome["message"]["metadata"]
    if usage is None:
        assert (reports, metadata.get("usage")) == ([], None)
    else:
        assert [report["data"]["estimated"] for report in reports] == [usage.estimated]
        assert metadata["usage"]["inputTokens"] == usage.usage.input_tokens


def check_turn(expected: Answer, turn: list[Message]) -> None:
    """What the client sends back is the same answer: to be read, sealed thoughts and calls too."""
    parts: list[Part] = []
    for part in expected.parts:
        if isinstance(part, Text):
            parts.append(TextPart(whole(part.text)))
        elif isinstance(part, Thought) and (part.text or part.seal):
            parts.append(ReasoningPart(whole(part.text), part.seal, part.redacted))
    calls = [] if expected.failed else expected.calls
    if not parts and not calls:
        assert turn == []
        return
    said, *results = turn
    model = Message.of_parts(Role.ASSISTANT, parts)
    assert (said.role, said.content, said.parts) == (Role.ASSISTANT, model.content, model.parts)
    assert [(call.id, call.name) for call in said.tool_calls] == [
        (call.id, call.name) for call in calls
    ]
    wrong = [call.id for call in calls if not is_json(call.arguments)]
    assert [result.tool_call_id for result in results] == wrong
    assert all(result.is_error for result in results)


def is_json(text: str) -> bool:
    try:
        json.loads(text.strip(" \t\r\n") or "{}")
    except ValueError:
        return False
    return True
