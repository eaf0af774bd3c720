"""What a conversation is on Anthropic's wire."""

from typing import Any

import pytest

from chatnest.adapters.providers.anthropic_request import request_body
from chatnest.domain.messages import (
    ImagePart,
    Message,
    Part,
    ReasoningPart,
    Role,
    TextPart,
    ToolCall,
)
from tests.adapters.providers.anthropic_calls import HI, PIXEL, body_of, call_of, reason_against

HI_TURN = {"role": "user", "content": [{"type": "text", "text": "Hi"}]}
PIXEL_BLOCK = {
    "type": "image",
    "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="},
}


def turns_of(*messages: Message) -> Any:
    return body_of(messages=messages)["messages"]


def content_of(*parts: Part, role: Role = Role.USER) -> Any:
    """The last turn, of a message of *parts* after something that the user said."""
    last = Message.of_parts(role, parts)
    return turns_of(*HI, Message(Role.ASSISTANT, "Yes?"), *HI, last)[-1]["content"]


def text(words: str) -> dict[str, str]:
    return {"type": "text", "text": words}


def test_system_messages_stand_apart_in_their_order() -> None:
    parts = (TextPart("Be kind."), TextPart(" "), TextPart("Be fair."))
    body = body_of(
        messages=(
            Message(Role.SYSTEM, "Be brief."),
            *HI,
            Message(Role.SYSTEM, ""),
            Message.of_parts(Role.SYSTEM, parts),
        )
    )
    assert body["system"] == [text("Be brief."), text("Be kind."), text("Be fair.")]
    assert body["messages"] == [HI_TURN]


def test_messages_of_one_speaker_in_a_row_are_one_turn() -> None:
    assert turns_of(
        Message(Role.USER, "a"),
        Message.of_parts(Role.USER, (TextPart("b"), PIXEL)),
        Message(Role.ASSISTANT, "c"),
        Message(Role.ASSISTANT, "d"),
        Message(Role.SYSTEM, "between"),
        Message(Role.ASSISTANT, "e"),
        Message(Role.USER, "f"),
    ) == [
        {"role": "user", "content": [text("a"), text("b"), PIXEL_BLOCK]},
        {"role": "assistant", "content": [text("c"), text("d"), text("e")]},
        {"role": "user", "content": [text("f")]},
    ]


def test_a_conversation_with_tools_keeps_its_calls_and_results() -> None:
    wishes = (ToolCall("t1", "weather", '{"city": "Paris"}'), ToolCall("t2", "time", " "))
    assert turns_of(
        *HI,
        Message(Role.ASSISTANT, "Let me see.", tool_calls=wishes),
        Message(Role.TOOL, "Sunny", tool_call_id="t1"),
        Message(Role.USER, "And?"),
        Message(Role.TOOL, "", tool_call_id="t2", is_error=True),
    )[1:] == [
        {
            "role": "assistant",
            "content": [
                text("Let me see."),
                {"type": "tool_use", "id": "t1", "name": "weather", "input": {"city": "Paris"}},
                {"type": "tool_use", "id": "t2", "name": "time", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "t1", "content": [text("Sunny")]},
                {"type": "tool_result", "tool_use_id": "t2", "is_error": True},
                text("And?"),
            ],
        },
    ]


def test_a_tool_may_answer_with_a_picture() -> None:
    result = Message.of_parts(Role.TOOL, (TextPart("Here:"), PIXEL), tool_call_id="t")
    wish = Message(Role.ASSISTANT, "", tool_calls=(ToolCall("t", "draw", "{}"),))
    assert turns_of(*HI, wish, result)[-1]["content"] == [
        {"type": "tool_result", "tool_use_id": "t", "content": [text("Here:"), PIXEL_BLOCK]}
    ]


def test_arguments_are_embedded_as_the_model_wrote_them() -> None:
    written = '{"big": 123456789012345678901, "float": 1.50, "twice": 1, "twice": 2}'
    wish = Message(Role.ASSISTANT, "", tool_calls=(ToolCall("t", "f", written),))
    assert written.encode() in request_body(call_of(messages=(*HI, wish)))


@pytest.mark.parametrize("arguments", ["{", "[]", "1", "null", '"{}"', '{"a":}', "{}{}", "no"])
def test_arguments_that_are_no_json_object_are_refused(arguments: str) -> None:
    wish = Message(Role.ASSISTANT, "", tool_calls=(ToolCall("t", "f", arguments),))
    reason = reason_against(messages=(*HI, wish))
    assert reason == "the arguments of a tool call are no JSON object"


def test_thoughts_go_back_under_their_seal() -> None:
    parts = (
        ReasoningPart("hm", signature="s1"),
        ReasoningPart("", signature="s2"),
        ReasoningPart("", signature="s3", redacted=True),
        TextPart("So."),
    )
    assert content_of(*parts, role=Role.ASSISTANT) == [
        {"type": "thinking", "thinking": "hm", "signature": "s1"},
        {"type": "thinking", "thinking": "", "signature": "s2"},
        {"type": "redacted_thinking", "data": "s3"},
        text("So."),
    ]


@pytest.mark.parametrize(
    "foreign", [ReasoningPart("hm"), ReasoningPart("hm", ""), ReasoningPart("", redacted=True)]
)
def test_thoughts_without_a_seal_are_left_out(foreign: ReasoningPart) -> None:
    assert content_of(foreign, TextPart("So."), role=Role.ASSISTANT) == [text("So.")]


@pytest.mark.parametrize(
    ("url", "source"),
    [
        ("https://a.test/b.png?c=d,e", {"type": "url", "url": "https://a.test/b.png?c=d,e"}),
        ("HTTPS://a.test/", {"type": "url", "url": "HTTPS://a.test/"}),
        (
            "data:image/jpeg;base64,AA/+=",
            {"type": "base64", "media_type": "image/jpeg", "data": "AA/+="},
        ),
        (
            "DATA:Image/WebP;BASE64,AA==",
            {"type": "base64", "media_type": "image/webp", "data": "AA=="},
        ),
    ],
)
def test_a_picture_is_an_address_or_holds_its_data(url: str, source: dict[str, str]) -> None:
    assert content_of(ImagePart(url, "high"))[-1] == {"type": "image", "source": source}


@pytest.mark.parametrize(
    "url",
    [
        *("", "http://a.test/b.png", "ftp://a.test/b", "file:///etc/passwd", "b.png"),
        *("data:image/png;base64,", "data:image/png;base64", "data:image/png,abc"),
        *("data:image/svg+xml;base64,AA==", "data:text/plain;base64,AA==", "data:,x"),
    ],
)
def test_any_other_picture_is_refused(url: str) -> None:
    message = Message.of_parts(Role.USER, (ImagePart(url),))
    assert reason_against(messages=(message,)).startswith("a picture must be")


@pytest.mark.parametrize("role", [Role.SYSTEM, Role.ASSISTANT])
def test_only_the_user_and_tools_show_pictures(role: Role) -> None:
    reason = reason_against(messages=(*HI, Message.of_parts(role, (PIXEL,))))
    assert "may hold pictures" in reason


def test_blank_texts_are_never_sent() -> None:
    assert turns_of(
        Message(Role.USER, ""),
        Message.of_parts(Role.USER, (TextPart(" \n"), TextPart("a"), TextPart(""))),
        Message(Role.ASSISTANT, " "),
        Message.of_parts(Role.ASSISTANT, (ReasoningPart("foreign"), TextPart(""))),
        Message(Role.USER, "b"),
    ) == [{"role": "user", "content": [text("a"), text("b")]}]


@pytest.mark.parametrize(
    "messages",
    [
        (),
        (Message(Role.USER, " "),),
        (Message(Role.SYSTEM, "Be brief."),),
        (*HI, Message(Role.ASSISTANT, "Yes?"), Message(Role.USER, "\n")),
    ],
    ids=["none", "blank", "system alone", "blank at last"],
)
def test_a_conversation_that_asks_nothing_is_refused(messages: tuple[Message, ...]) -> None:
    assert reason_against(messages=messages) == "the last message says nothing"


@pytest.mark.parametrize(
    "messages",
    [
        (Message(Role.ASSISTANT, "Hello."), *HI),
        (Message(Role.SYSTEM, "Be brief."), Message(Role.ASSISTANT, "Hello."), *HI),
        (Message(Role.TOOL, "Sunny", tool_call_id="t"), *HI),
        (Message(Role.USER, ""), Message(Role.ASSISTANT, "Hello."), *HI),
    ],
    ids=["assistant", "after the system's", "tool", "after a blank one"],
)
def test_a_conversation_must_begin_with_the_user(messages: tuple[Message, ...]) -> None:
    assert "begin with a message of the user" in reason_against(messages=messages)
