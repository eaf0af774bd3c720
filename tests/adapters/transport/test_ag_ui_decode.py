"""Bodies of ``POST /agui``: what they mean, and what is said of those that mean nothing."""

import json
from typing import Any

import pytest
from ag_ui.core import RunAgentInput
from hypothesis import given
from hypothesis import strategies as st

from chatnest.adapters.transport.ag_ui import AgUiDialect, AgUiEncoder
from chatnest.adapters.transport.ag_ui_body import decode_run
from chatnest.domain.errors import InvalidRequestError
from chatnest.domain.events import Finished, FinishReason
from chatnest.domain.messages import ImagePart, Message, ReasoningPart, Role, TextPart, ToolCall
from chatnest.domain.requests import ChatRequest
from chatnest.domain.tools import Tool

USER = {"id": "1", "role": "user", "content": "Hi"}
QUESTION = Message(Role.USER, "Hi")
CALL = {"id": "c", "type": "function", "function": {"name": "add", "arguments": '{"a":'}}
BASE64 = "iVBORw0KGgo="
PIXEL = f"data:image/png;base64,{BASE64}"


def body(*messages: object, **fields: object) -> bytes:
    run = {"threadId": "t", "runId": "r", "messages": messages or [USER], **fields}
    return json.dumps(run).encode()


def asked(*parts: object) -> bytes:
    return body({"id": "1", "role": "user", "content": parts})


def image(**source: object) -> dict[str, object]:
    return {"type": "image", "source": source}


def said(*messages: object) -> tuple[Message, ...]:
    """What *messages* are between two questions."""
    first, *between, last = decode_run(body(USER, *messages, USER)).request.messages
    assert (first, last) == (QUESTION, QUESTION)
    return tuple(between)


def flaw(raw: bytes) -> tuple[str | None, str]:
    with pytest.raises(InvalidRequestError) as caught:
        decode_run(raw)
    return caught.value.field, caught.value.reason


def test_a_conversation_keeps_its_roles_texts_and_order() -> None:
    messages = (
        {"id": "1", "role": "system", "content": "Be brief."},
        {"id": "2", "role": "developer", "content": "Be kind.", "name": "x"},
        {"id": "3", "role": "activity", "activityType": "PLAN", "content": {"a": [1]}},
        {"id": "4", "role": "assistant", "content": "Hello", "toolCalls": [CALL]},
        {"id": "5", "role": "tool", "toolCallId": "c", "content": "2"},
        {"id": "6", "role": "assistant"},
    )
    assert said(*messages) == (
        Message(Role.SYSTEM, "Be brief."),
        Message(Role.SYSTEM, "Be kind."),
        Message(Role.ASSISTANT, "Hello", tool_calls=(ToolCall("c", "add", '{"a":'),)),
        Message(Role.TOOL, "2", tool_call_id="c"),
        Message(Role.ASSISTANT, ""),
    )


def test_everything_else_of_a_run_is_understood() -> None:
    raw = body(
        protocolVersion="1.0",
        parentRunId="p",
        state={"a": 1},
        resume=[],
        tools=[
            {"name": "add", "description": "Adds.", "parameters": {"type": "object"}},
            {"name": "now", "description": "", "parameters": None},
        ],
        context=[{"description": "Page", "value": "Cart"}, {"description": "Time", "value": "9"}],
        forwardedProps={"profile": "expanded", "model": "fast", "more": 1},
    )
    RunAgentInput.model_validate_json(raw)
    run = decode_run(raw)
    assert (run.thread_id, run.run_id) == ("t", "r")
    assert run.request == ChatRequest(
        messages=(QUESTION,),
        profile="expanded",
        model="fast",
        system_prompt="Page:\nCart\n\nTime:\n9",
        tools=(Tool("add", "Adds.", '{"type": "object"}'), Tool("now")),
    )


@pytest.mark.parametrize("properties", [None, {}, [], "x", 1, {"profile": None, "model": None}])
def test_properties_may_be_any_json(properties: object) -> None:
    empty = body(forwardedProps=properties, tools=None, context=[], state=None)
    assert decode_run(empty) == decode_run(body())


def test_the_answers_events_carry_the_ids_of_the_run() -> None:
    reply = AgUiDialect().decode(body(threadId="T", runId="R")).reply
    assert isinstance(reply, AgUiEncoder)
    finished = reply.encode((Finished(FinishReason.STOP),))
    assert b'"threadId":"T","runId":"R"' in finished


@pytest.mark.parametrize(
    ("part", "url"),
    [
        (image(type="data", value=BASE64, mimeType="image/png"), PIXEL),
        (image(type="url", value="https://x.test/a.png", mimeType="image/png"), None),
        (image(type="url", value=PIXEL), PIXEL),
        ({"type": "binary", "mimeType": "image/png", "data": BASE64}, PIXEL),
        ({"type": "binary", "mimeType": "image/png", "url": "https://x.test/a.png"}, None),
    ],
)
def test_a_picture_is_sent_on(part: dict[str, object], url: str | None) -> None:
    (message,) = decode_run(asked(part, {"type": "text", "text": "Hi"})).request.messages
    assert message.parts == (ImagePart(url or "https://x.test/a.png"), TextPart("Hi"))


def test_a_thought_is_part_of_the_answer_that_follows_it() -> None:
    first = {"id": "1", "role": "reasoning", "content": "Hm", "encryptedValue": "s"}
    second = {
        "id": "2",
        "role": "reasoning",
        "content": "",
        "encryptedValue": "d",
        "metadata": {"chatnest": {"redacted": True}, "other": 1},
    }
    (message,) = said(first, second, {"id": "3", "role": "assistant", "content": "Hi"})
    assert message.parts == (
        ReasoningPart("Hm", "s"),
        ReasoningPart("", "d", redacted=True),
        TextPart("Hi"),
    )
    assert said(first) == ()


def test_what_a_tool_gave_may_be_parts_and_may_be_an_error() -> None:
    given = {
        "id": "1",
        "role": "tool",
        "toolCallId": "c",
        "content": [
            {"type": "text", "text": "a"},
            image(type="data", value=BASE64, mimeType="image/png"),
        ],
    }
    wrong = {"id": "2", "role": "tool", "toolCallId": "d", "content": "", "error": "No."}
    assert said(given, wrong) == (
        Message.of_parts(Role.TOOL, (TextPart("a"), ImagePart(PIXEL)), tool_call_id="c"),
        Message(Role.TOOL, "No.", tool_call_id="d", is_error=True),
    )


def test_a_run_may_end_with_the_results_of_tools() -> None:
    messages = (
        {"id": "1", "role": "assistant", "toolCalls": [CALL]},
        {"id": "2", "role": "tool", "toolCallId": "c", "content": "2"},
    )
    assert len(decode_run(body(*messages)).request.messages) == 2


PART = "messages[0].content[0]"


@pytest.mark.parametrize(
    ("raw", "field", "reason"),
    [
        (b"", None, "the body is empty"),
        (b"{}", "threadId", "is missing; it must be a text of at most 1000 characters"),
        (body(threadId="x" * 1_001), "threadId", "must be a text of at most 1000 characters"),
        (body(runId=1), "runId", "must be a text"),
        (b'{"threadId":"t","runId":"r","messages":[]}', "messages", "must be a list of 1 to"),
        (body({"content": "Hi"}), "messages[0].role", "is missing"),
        (body({"role": "robot", "content": "Hi"}), "messages[0].role", "must be a role of AG-UI's"),
        (body({"role": "user"}), "messages[0].content", "is missing; it must be a text, or a list"),
        (body({"role": "user", "content": 1}), "messages[0].content", "must be a text, or a list"),
        (body({"role": "user", "content": "a\0"}), "messages[0].content", "NUL"),
        (body({"role": "user", "content": " "}), "messages[0].content", "is blank"),
        (asked(), "messages[0].content", "is blank"),
        (body({"role": "system", "content": "Hi"}), "messages", '"user"'),
        (body({"role": "tool", "content": "x"}), "messages[0].toolCallId", "is missing"),
        (asked({"type": "poem"}), f"{PART}.type", 'must be "text" or "image"'),
        (asked({"type": "text"}), f"{PART}.text", "is missing; it must be a text"),
        *[
            (asked({"type": kind, "source": {}}), f"{PART}.type", "neither a text nor a picture")
            for kind in ("audio", "video", "document")
        ],
        (asked({"type": "binary", "mimeType": "audio/x"}), f"{PART}.mimeType", "neither a text"),
        (asked({"type": "binary", "mimeType": "image/png", "id": "1"}), PART, "https:"),
        (asked(image(type="file", value="1")), f"{PART}.source", "only one provider has"),
        (asked(image(type="url", value="file:///x")), f"{PART}.source.value", "https:"),
        (asked(image(type="data", value="?", mimeType="image/x")), f"{PART}.source", "https:"),
        (asked(image(type="data", value="AA", mimeType="text/html")), f"{PART}.source", "https:"),
        (body(tools=[{"description": "x"}]), "tools[0].name", "is missing; it must be a text"),
        (body(tools=[{"name": ""}]), "tools[0].name", "must be a text that is not empty"),
        (body(tools={}), "tools", "must be a list of tools"),
        (body(context="x"), "context", "must be a list of objects"),
        (body(forwardedProps={"profile": ""}), "forwardedProps.profile", "must be a text of 1"),
        (body(forwardedProps={"model": ["x"]}), "forwardedProps.model", "must be a text of 1"),
        (body(forwardedProps={"model": "\0"}), "forwardedProps.model", "must be a text of 1"),
        (body(x=1)[:-1] + b',"x":2}', "x", "is given twice"),
    ],
)
def test_a_bad_body_is_told_which_field_and_why(raw: bytes, field: str | None, reason: str) -> None:
    told_field, told_reason = flaw(raw)
    assert told_field == field
    assert reason in told_reason


def outcome(raw: bytes) -> ChatRequest | InvalidRequestError:
    try:
        return AgUiDialect().decode(raw).request
    except InvalidRequestError as error:
        return error


WHOLE = body(
    {"id": "0", "role": "reasoning", "content": "Hm", "metadata": {"chatnest": {}}},
    {"id": "1", "role": "assistant", "content": "é", "toolCalls": [CALL]},
    {"id": "2", "role": "tool", "toolCallId": "c", "content": "2", "error": "No."},
    {"id": "3", "role": "user", "content": [image(type="url", value=PIXEL)]},
    tools=[{"name": "add", "description": "Adds.", "parameters": {"type": "object"}}],
    context=[{"description": "a", "value": "b"}],
    forwardedProps={"model": "x"},
)
VALUES: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, 0, -1, 1.5, "", "text", "a\0", "user", "image", [], {}, [USER], {"type": "text"}]
)


@given(st.binary(max_size=40))
def test_any_bytes_are_a_request_or_a_refusal(raw: bytes) -> None:
    assert isinstance(outcome(raw), ChatRequest | InvalidRequestError)


@given(st.integers(0, len(WHOLE)), st.binary(max_size=3), st.integers(0, 4))
def test_a_damaged_body_is_a_request_or_a_refusal(at: int, put: bytes, cut: int) -> None:
    assert isinstance(outcome(WHOLE), ChatRequest)
    damaged = WHOLE[:at] + put + WHOLE[at + cut :]
    assert isinstance(outcome(damaged), ChatRequest | InvalidRequestError)


@given(st.data(), VALUES)
def test_a_body_with_one_other_value_is_a_request_or_a_refusal(
    data: st.DataObject, value: object
) -> None:
    run = json.loads(WHOLE)
    at = run
    while True:
        keys = sorted(at) if isinstance(at, dict) else range(len(at))
        key = data.draw(st.sampled_from(list(keys)))
        if not at[key] or not isinstance(at[key], dict | list) or data.draw(st.booleans()):
            break
        at = at[key]
    at[key] = value
    found = outcome(json.dumps(run).encode())
    if isinstance(found, InvalidRequestError):
        assert AgUiDialect().error(found).status == 400
