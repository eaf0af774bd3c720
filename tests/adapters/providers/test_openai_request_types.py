"""The bodies that we send are such as the official SDK's own types describe."""

import json
from functools import cache
from typing import Any, get_type_hints

import pytest
from openai.types import chat
from pydantic import TypeAdapter, ValidationError

from chatnest.adapters.providers.openai_request import request_body
from chatnest.domain.messages import ImagePart, Message, Role, TextPart, ToolCall
from chatnest.domain.ports import ProviderCall
from chatnest.domain.tools import Tool, ToolChoice, ToolMode

MESSAGE_TYPES: dict[str, type] = {
    "system": chat.ChatCompletionSystemMessageParam,
    "user": chat.ChatCompletionUserMessageParam,
    "assistant": chat.ChatCompletionAssistantMessageParam,
    "tool": chat.ChatCompletionToolMessageParam,
}
# Validated one by one: the SDK's types say Iterable, which is only looked into when it is used.
ITEM_TYPES: dict[str, Any] = {
    "content": chat.ChatCompletionContentPartParam,
    "tool_calls": chat.ChatCompletionMessageToolCallUnionParam,
    "tools": chat.ChatCompletionToolUnionParam,
}
PARAMS = chat.completion_create_params.CompletionCreateParamsStreaming

WISH = ToolCall("call_1", "f", '{"city":"Paris"}')
TALK = (
    Message(Role.SYSTEM, "Be brief."),
    Message(Role.USER, "Weather?"),
    Message(Role.ASSISTANT, "", tool_calls=(WISH, WISH)),
    Message(Role.TOOL, "Sunny", tool_call_id="call_1"),
    Message(Role.TOOL, "No such city.", tool_call_id="call_1", is_error=True),
    Message(Role.ASSISTANT, "It is sunny.", tool_calls=(WISH,)),
)
PICTURES = Message.of_parts(
    Role.USER,
    [TextPart("See"), ImagePart("https://example.test/a.png"), ImagePart("data:,", "low")],
)
TOOLS = (Tool("f", "Does it.", '{"type":"object"}', strict=True), Tool("g"))
CALLS = {
    "plain": ProviderCall("r", "gpt-4o", TALK[:2], 7),
    "everything": ProviderCall(
        *("r", "gpt-4o", TALK, 7, 0.5, ("a", "b"), {"seed": 7}),
        *(TOOLS, ToolChoice(ToolMode.REQUIRED, "f", parallel=False), 0.9, "u"),
    ),
    "reasoning": ProviderCall("r", "gpt-6-sol", TALK, 7, 0.5, tools=TOOLS, top_p=0.9),
    "pictures": ProviderCall("r", "gpt-6-sol", (PICTURES,), 7),
    "no tools": ProviderCall(
        "r", "o3", TALK, 7, tools=TOOLS, tool_choice=ToolChoice(ToolMode.NONE)
    ),
    "parallel": ProviderCall(
        "r", "o3", TALK, 7, tools=TOOLS, tool_choice=ToolChoice(parallel=True)
    ),
}


@cache
def adapter(of: Any) -> TypeAdapter[Any]:
    return TypeAdapter(of)


def check(body: dict[str, Any]) -> None:
    """Fail where the SDK's types do not know a field of *body*, or want it otherwise."""
    check_fields(body, PARAMS)
    for message in body["messages"]:
        check_fields(message, MESSAGE_TYPES[message["role"]])


def check_fields(fields: dict[str, Any], of: type) -> None:
    hints = get_type_hints(of)
    assert fields.keys() <= hints.keys()
    # Without annotations of what is required, as the items of a list are checked apart.
    adapter(of).validate_python({**fields, "messages": []} if of is PARAMS else fields)
    for name in ITEM_TYPES.keys() & fields.keys():
        if not isinstance(fields[name], str):
            for item in fields[name]:
                adapter(ITEM_TYPES[name]).validate_python(item)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_body_is_what_the_sdk_would_send(call: ProviderCall) -> None:
    check(json.loads(request_body(call)))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("max_tokens",), "seven"),
        (("messages", 0, "content"), 7),
        (("messages", 2, "tool_calls", 0, "function"), {"name": "f"}),
        (("messages", 3, "tool_call_id"), None),
        (("messages", 3, "is_error"), True),
        (("tools", 0, "function"), {}),
        (("tool_choice",), "any"),
        (("top_k",), 5),
    ],
)
def test_the_sdks_types_tell_a_wrong_body(path: tuple[str | int, ...], value: object) -> None:
    body = json.loads(request_body(CALLS["everything"]))
    where: Any = body
    for step in path[:-1]:
        where = where[step]
    where[path[-1]] = value
    with pytest.raises((ValidationError, AssertionError)):
        check(body)
