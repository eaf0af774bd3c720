"""Bodies of ``POST /api/ui/chat``: what they mean, and what is said of those that mean nothing."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatnest.adapters.transport.ai_sdk import AiSdkDialect
from chatnest.adapters.transport.ai_sdk_body import decode_ui_chat
from chatnest.domain.errors import InvalidRequestError
from chatnest.domain.messages import ImagePart, Message, ReasoningPart, Role, TextPart, ToolCall
from chatnest.domain.requests import ChatRequest
from chatnest.domain.tools import Tool

HI = {"type": "text", "text": "Hi"}
USER = {"id": "1", "role": "user", "parts": [HI]}
STEP = {"type": "step-start"}
QUESTION = Message(Role.USER, "Hi")
PIXEL = "data:image/png;base64,iVBORw0KGgo="


def body(*messages: object, **fields: object) -> bytes:
    chat = {"id": "chat", "messages": messages or [USER], "trigger": "submit-message", **fields}
    return json.dumps(chat).encode()


def asked(*parts: object) -> bytes:
    return body({"id": "1", "role": "user", "parts": parts})


def turn(*parts: object) -> bytes:
    """A question, an assistant's turn of *parts*, and another question."""
    return body(USER, {"id": "2", "role": "assistant", "parts": parts}, USER)


def tool(state: str, kind: str = "tool-add", **fields: object) -> dict[str, object]:
    return {"type": kind, "toolCallId": "c", "state": state, **fields}


def said(raw: bytes) -> tuple[Message, ...]:
    """The messages between two questions."""
    first, *between, last = decode_ui_chat(raw).request.messages
    assert (first, last) == (QUESTION, QUESTION)
    return tuple(between)


def flaw(raw: bytes) -> tuple[str | None, str]:
    with pytest.raises(InvalidRequestError) as caught:
        decode_ui_chat(raw)
    return caught.value.field, caught.value.reason


def test_a_conversation_keeps_its_roles_texts_and_order() -> None:
    system = {"id": "0", "role": "system", "parts": [HI, {"type": "text", "text": "!"}]}
    answer = {"id": "2", "role": "assistant", "metadata": {"a": 1}, "parts": [STEP, HI]}
    chat = decode_ui_chat(body(system, USER, answer, USER))
    assert chat.request == ChatRequest(
        messages=(
            Message(Role.SYSTEM, "Hi!"),
            QUESTION,
            Message(Role.ASSISTANT, "Hi"),
            QUESTION,
        )
    )
    assert chat.continued_id is None


def test_the_transports_own_keys_are_understood() -> None:
    tools = {
        "add": {"description": "Adds.", "inputSchema": {"type": "object"}},
        "now": {"parameters": {"a": 1}},
        "bare": {},
    }
    chat = decode_ui_chat(
        body(profile="expanded", model="fast", system="Be kind.", tools=tools, messageId="5", x=[1])
    )
    assert chat.request == ChatRequest(
        messages=(QUESTION,),
        profile="expanded",
        model="fast",
        system_prompt="Be kind.",
        tools=(
            Tool("add", "Adds.", '{"type": "object"}'),
            Tool("now", "", '{"a": 1}'),
            Tool("bare"),
        ),
    )


def test_null_and_empty_are_the_same_as_nothing() -> None:
    nothing = body(profile=None, model=None, system="", tools=None, trigger=None)
    assert decode_ui_chat(nothing) == decode_ui_chat(body())


@pytest.mark.parametrize("media_type", ["image/png", "image", "image/*"])
@pytest.mark.parametrize("url", [PIXEL, "https://x.test/a.png?b=1"])
def test_a_picture_is_sent_on(media_type: str, url: str) -> None:
    picture = {"type": "file", "mediaType": media_type, "filename": "a.png", "url": url}
    (message,) = decode_ui_chat(asked(picture, HI)).request.messages
    assert message.parts == (ImagePart(url), TextPart("Hi"))


@pytest.mark.parametrize(
    "part",
    [
        {"type": "data-weather", "id": "1", "data": {"text": 1}},
        {"type": "source-url", "sourceId": "1", "url": "https://x.test"},
        {"type": "source-document", "sourceId": "1", "mediaType": "text/plain", "title": "x"},
        {"type": "custom", "kind": "a.b"},
        {"type": "reasoning-file", "url": "https://x.test", "mediaType": "image/png"},
        {"type": "file", "url": "anything", "mediaType": "video/mp4"},
        {"type": "reasoning", "text": "", "state": "streaming"},
        tool("input-streaming"),
    ],
)
def test_what_is_not_for_the_model_is_left_out(part: dict[str, object]) -> None:
    assert said(turn(part, HI)) == (Message(Role.ASSISTANT, "Hi"),)
    assert said(turn(STEP, part)) == ()


def test_a_thought_is_given_back_with_its_seal() -> None:
    seals = [
        {"chatnest": {"signature": "s"}},
        {"chatnest": {"signature": "d", "redacted": True}},
        {"anthropic": {"signature": "x"}},
        None,
    ]
    thoughts = [
        {"type": "reasoning", "text": "Hm", "providerMetadata": seal, "state": "done"}
        for seal in seals
    ]
    (message,) = said(turn(*thoughts, HI))
    assert message.parts == (
        ReasoningPart("Hm", "s"),
        ReasoningPart("Hm", "d", redacted=True),
        ReasoningPart("Hm"),
        ReasoningPart("Hm"),
        TextPart("Hi"),
    )


def test_each_step_is_a_message_with_the_results_of_its_calls_behind_it() -> None:
    raw = turn(
        STEP,
        HI,
        tool("output-available", input={"a": 1}, output={"sum": 1}),
        tool("output-error", "dynamic-tool", toolName="b", input={}, errorText="No."),
        STEP,
        {"type": "text", "text": "Done."},
    )
    assert said(raw) == (
        Message(
            Role.ASSISTANT,
            "Hi",
            tool_calls=(ToolCall("c", "add", '{"a": 1}'), ToolCall("c", "b", "{}")),
        ),
        Message(Role.TOOL, '{"sum": 1}', tool_call_id="c"),
        Message(Role.TOOL, "No.", tool_call_id="c", is_error=True),
        Message(Role.ASSISTANT, "Done."),
    )


@pytest.mark.parametrize(
    ("part", "arguments", "result"),
    [
        (tool("input-available", input={}), "{}", None),
        (tool("approval-requested", input={}, approval={"id": "1"}), "{}", None),
        (tool("approval-responded", input={}, approval={"approved": True}), "{}", None),
        (tool("approval-responded", input=1, approval={"approved": False}), "1", "Tool call"),
        (tool("output-denied", input=None, approval={"reason": "Too dear"}), "{}", "Too dear"),
        (tool("output-denied"), "{}", "Tool call execution denied."),
        (tool("output-error", input='{"a":', errorText="Bad."), '{"a":', "Bad."),
        (tool("output-error", rawInput='{"a":', errorText="Bad."), '{"a":', "Bad."),
        (tool("output-available", input={}, output="plain"), "{}", "plain"),
        (tool("output-available", input={}, output=None), "{}", "null"),
    ],
)
def test_a_tool_part_is_a_call_and_what_came_of_it(
    part: dict[str, object], arguments: str, result: str | None
) -> None:
    call, *results = said(turn(part))
    assert call.tool_calls == (ToolCall("c", "add", arguments),)
    assert len(results) == (result is not None)
    assert all(message.content.startswith(result or "") for message in results)


def test_what_people_said_between_two_steps_stands_between_them() -> None:
    steering = {"type": "steering-message", "id": "s", "parts": [HI]}
    assert said(turn(STEP, HI, steering, STEP, HI)) == (
        Message(Role.ASSISTANT, "Hi"),
        QUESTION,
        Message(Role.ASSISTANT, "Hi"),
    )


def test_an_answer_to_the_results_of_tools_continues_the_last_message() -> None:
    done = {"id": "2", "role": "assistant", "parts": [tool("output-available", output=1)]}
    assert decode_ui_chat(body(USER, done)).continued_id == "2"
    assert decode_ui_chat(body(USER, done, USER)).continued_id is None
    again = body(USER, done, trigger="regenerate-message", messageId="2")
    assert decode_ui_chat(again).continued_id is None


def test_a_nul_of_the_models_own_does_not_end_the_conversation() -> None:
    assert said(turn({"type": "text", "text": "a\0"})) == (Message(Role.ASSISTANT, "a\0"),)


TYPE = "messages[0].parts[0].type"


@pytest.mark.parametrize(
    ("raw", "field", "reason"),
    [
        (b"", None, "the body is empty"),
        (b"[]", None, 'must be a JSON object with "messages"'),
        (b'{"messages":[]}', "messages", "must be a list of 1 to"),
        (body({"parts": []}), "messages[0].role", "is missing"),
        (body({"role": "tool", "parts": []}), "messages[0].role", 'must be "user"'),
        (body({"role": "user", "content": "Hi"}), "messages[0].parts", "is missing"),
        (asked({"text": "Hi"}), TYPE, "is missing; it must be a text"),
        (asked({"type": "text"}), "messages[0].parts[0].text", "is missing; it must be a text"),
        (asked({"type": "text", "text": 1}), "messages[0].parts[0].text", "must be a text"),
        (asked({"type": "tool_use"}), TYPE, "must be a part's type"),
        (asked(tool("input-available")), TYPE, "must be a part's type"),
        (asked(HI, {"type": "text", "text": "a\0"}), "messages[0].parts", "NUL"),
        (asked({"type": "text", "text": " "}), "messages[0].parts", "is blank"),
        (asked({"type": "data-x", "data": 1}), "messages[0].parts", "is blank"),
        (asked({"type": "text", "text": "\ud800"}), "messages[0].parts[0].text", "surrogate"),
        (
            turn(tool("output-available", output=["\ud800"])),
            "messages[1].parts[0].output[0]",
            "surrogate",
        ),
        (body({"role": "system", "parts": [HI]}), "messages", '"user"'),
        (
            asked({"type": "file", "mediaType": "application/pdf", "url": PIXEL}),
            "messages[0].parts[0].mediaType",
            "must be that of a picture; no other file is taken",
        ),
        *[
            (
                asked({"type": "file", "mediaType": "image/png", "url": url}),
                "messages[0].parts[0].url",
                'must be an "https:" address of a picture',
            )
            for url in (
                "",
                "http://x.test/a.png",
                "https://x.test/a b",
                "file:///etc/passwd",
                "data:text/html;base64,AAAA",
                "data:image/png,raw",
                "data:image/png;base64,",
                "https://x.test/\0",
            )
        ],
        (turn(tool("sleeping")), "messages[1].parts[0].state", "must be a state of the AI SDK's"),
        (turn(tool("done")), "messages[1].parts[0].state", "must be the state of a tool call"),
        (turn(tool("output-error", "tool-")), "messages[1].parts[0].type", "must name a tool"),
        (
            turn(tool("output-error", "dynamic-tool")),
            "messages[1].parts[0].toolName",
            "must name a tool",
        ),
        (
            turn({"type": "tool-add", "state": "input-available"}),
            "messages[1].parts[0].toolCallId",
            "must be the id of the call",
        ),
        (body(profile=""), "profile", "must be a text of 1 to 100 characters"),
        (body(model="x" * 101), "model", "must be a text of 1 to 100 characters"),
        (body(model="a\0"), "model", "must be a text of 1 to 100 characters"),
        (body(system="a\0"), "system", "must be a text without NUL characters"),
        (body(tools=[]), "tools", "must be an object of tools"),
        (body(x=1)[:-1] + b',"x":2}', "x", "is given twice"),
        (body(x=float("nan")), "x", "not a number that JSON has"),
        (b'{"messages":' + b"[" * 100_000, "messages[0]", "must be an object with"),
    ],
)
def test_a_bad_body_is_told_which_field_and_why(raw: bytes, field: str | None, reason: str) -> None:
    told_field, told_reason = flaw(raw)
    assert told_field == field
    assert reason in told_reason


def outcome(raw: bytes) -> ChatRequest | InvalidRequestError:
    try:
        return AiSdkDialect().decode(raw).request
    except InvalidRequestError as error:
        return error


WHOLE = turn(
    STEP,
    {"type": "reasoning", "text": "Hm", "providerMetadata": {"chatnest": {"signature": "s"}}},
    {"type": "file", "mediaType": "image/png", "url": PIXEL},
    tool("output-available", input={"a": [1]}, output="é"),
    tool("output-error", "dynamic-tool", toolName="b", rawInput="{", errorText="No."),
)
VALUES: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, 0, -1, 1.5, "", "text", "a\0", "tool-x", "file", [], {}, [HI], {"type": "text"}]
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
    chat = json.loads(WHOLE)
    at = chat
    while True:
        keys = sorted(at) if isinstance(at, dict) else range(len(at))
        key = data.draw(st.sampled_from(list(keys)))
        if not at[key] or not isinstance(at[key], dict | list) or data.draw(st.booleans()):
            break
        at = at[key]
    at[key] = value
    found = outcome(json.dumps(chat).encode())
    if isinstance(found, InvalidRequestError):
        assert AiSdkDialect().error(found).status == 400
        assert found.reason != "is not valid" or found.field
