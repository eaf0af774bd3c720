"""Tool calls come out whole and apart, however a server labels the pieces."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatnest.adapters.providers.openai_stream import AnswerDecoder
from chatnest.domain.events import Finished, FinishReason, ToolCallDelta

IDENTITY = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}


def pieces(*calls: dict[str, Any], finish_reason: str | None = None, **identity: Any) -> bytes:
    choice = {"index": 0, "delta": {"tool_calls": calls}, "finish_reason": finish_reason}
    return json.dumps({**IDENTITY, **identity, "choices": [choice]}).encode()


def piece(name: str | None = None, arguments: Any = None, **label: Any) -> dict[str, Any]:
    return {**label, "function": {"name": name, "arguments": arguments}}


def deltas_of(*payloads: bytes) -> list[ToolCallDelta]:
    decoder = AnswerDecoder()
    events = decoder.decode(payloads)
    assert decoder.failure is None
    return [event for event in events if isinstance(event, ToolCallDelta)]


def calls_of(*payloads: bytes) -> list[tuple[str | None, str | None, str]]:
    """The calls as a client puts them together: by index, from the first id and name on."""
    calls: dict[int, tuple[str | None, str | None, str]] = {}
    for delta in deltas_of(*payloads):
        identifier, name, arguments = calls.get(delta.index, (None, None, ""))
        assert identifier is None or delta.id is None, "an id comes once"
        assert name is None or delta.name is None, "a name comes once"
        calls[delta.index] = (
            *(identifier or delta.id, name or delta.name),
            arguments + delta.arguments,
        )
    assert list(calls) == list(range(len(calls)))
    return list(calls.values())


TWO = [("a", "f", "{}"), ("b", "g", "[1]")]


@pytest.mark.parametrize(
    "payloads",
    [
        [
            pieces(piece("f", "", index=0, id="a")),
            pieces(piece(None, "{}", index=0)),
            pieces(piece("g", "", index=1, id="b")),
            pieces(piece(None, "[1]", index=1)),
        ],
        [pieces(piece("f", "{}", index=0, id="a"), piece("g", "[1]", index=1, id="b"))],
        [pieces(piece("f", "{}", index=4, id="a"), piece("g", "[1]", index=2, id="b"))],
        [
            pieces(piece("f", "", index=0, id="a"), piece("g", "[", index=1, id="b")),
            pieces(piece("", "1]", index=1), piece("", "{}", index=0)),
        ],
        [pieces(piece("f", "{}", index=0, id="a")), pieces(piece("g", "[1]", index=0, id="b"))],
        [pieces(piece("f", "{}", id="a"), piece("g", "[1]", id="b"))],
        [
            pieces(piece("f", "{", id="a")),
            pieces(piece(None, "}", id="")),
            pieces(piece("g", "[1]", id="b")),
        ],
        [
            pieces(piece("f", "{", id="a"), piece("g", "[", id="b")),
            pieces(piece(None, "}", id="a"), piece(None, "1]", id="b")),
        ],
        [
            pieces(piece("f", "{", index=0, id="a")),
            pieces(piece("f", "}", index=0, id="a")),
            pieces(piece("g", "[1]", index=1, id="b")),
        ],
        [
            pieces(piece("f", "{", index=0, id="a")),
            pieces(piece(None, "}", index=0, id="x")),
            pieces(piece("g", "[1]", index=1, id="b")),
        ],
        [
            pieces(piece(None, None, index=0, id="a")),
            pieces(piece("f", {}, index=0)),
            pieces(piece("g", "[1]", index=1, id="b")),
        ],
    ],
    ids=[
        *("OpenAI", "Mistral", "odd indexes", "interleaved", "Gemini, one index", "Gemini, none"),
        *("no index, in pieces", "by id", "name again", "new id each", "object, late name"),
    ],
)
def test_every_way_of_sending_two_calls_is_two_calls(payloads: list[bytes]) -> None:
    assert calls_of(*payloads) == TWO


@pytest.mark.parametrize("label", [{}, {"index": 0}, {"index": 0, "id": None}, {"id": ""}])
def test_a_call_without_an_id_is_given_one_that_it_keeps(label: dict[str, Any]) -> None:
    payloads = (pieces(piece("f", "{", **label)), pieces(piece(None, "}", **label)))
    ((identifier, name, arguments),) = calls_of(*payloads)
    assert (name, arguments) == ("f", "{}")
    assert calls_of(*payloads)[0][0] == identifier
    assert identifier is not None
    assert len(identifier) == 9
    assert identifier.isalnum()


def test_ids_that_are_made_up_differ_within_an_answer_and_between_answers() -> None:
    both = piece("f", "{}"), piece("f", "{}")
    first, second = (calls_of(pieces(*both, id=name)) for name in ("chatcmpl-1", "chatcmpl-2"))
    assert len({identifier for identifier, *_ in first + second}) == 4


def test_the_older_function_call_is_a_tool_call() -> None:
    wire = [
        {"function_call": {"name": "f", "arguments": ""}},
        {"function_call": {"arguments": "{}"}, "content": None},
    ]
    payloads = [json.dumps({**IDENTITY, "choices": [{"delta": delta}]}).encode() for delta in wire]
    ((identifier, name, arguments),) = calls_of(*payloads)
    assert identifier
    assert (name, arguments) == ("f", "{}")


@pytest.mark.parametrize(
    ("word", "finish_reason"),
    [
        ("stop", FinishReason.TOOL_CALLS),
        (None, FinishReason.TOOL_CALLS),
        ("tool_calls", FinishReason.TOOL_CALLS),
        ("length", FinishReason.LENGTH),
        ("content_filter", FinishReason.CONTENT_FILTER),
    ],
)
def test_an_answer_that_stopped_with_calls_stopped_for_them(
    word: str | None, finish_reason: FinishReason
) -> None:
    call = pieces(piece("f", "{}", index=0, id="a"), finish_reason=word)
    assert AnswerDecoder().decode([call, b"[DONE]"])[-1] == Finished(finish_reason)


ids = st.sampled_from(["a", "b", "", None])
labels = st.fixed_dictionaries({}, optional={"index": st.integers(0, 2) | st.none(), "id": ids})
any_piece = st.builds(
    lambda label, name, arguments: piece(name, arguments, **label),
    labels,
    st.sampled_from(["f", "g", "", None]),
    st.sampled_from(["{", "}", "", None, {}]),
)


@given(st.lists(st.lists(any_piece, max_size=3), max_size=4))
def test_no_labels_lose_a_piece_or_break_the_rules(chunks: list[list[dict[str, Any]]]) -> None:
    """Ids and names come once, places are in order, and no argument is lost or added."""
    calls = calls_of(*(pieces(*chunk) for chunk in chunks))
    sent = [one["function"]["arguments"] for chunk in chunks for one in chunk]
    wire = "".join("{}" if one == {} else one or "" for one in sent)
    assert sorted("".join(arguments for *_, arguments in calls)) == sorted(wire)
    assert all(identifier for identifier, *_ in calls)
