"""Bodies of ``POST /v1/chat/completions``, and how the tests of them read one."""

import json
from typing import Any

import pytest

from chatnest.adapters.transport.openai_chat_request import decode_chat_completion
from chatnest.domain.errors import InvalidRequestError
from chatnest.domain.requests import ChatRequest

Json = dict[str, Any]
HELLO: Json = {"role": "user", "content": "Hello"}
LOOK_UP: Json = {"type": "function", "function": {"name": "look_up"}}
CALL: Json = {"id": "c1", "type": "function", "function": {"name": "look_up", "arguments": "{"}}
ASKED: Json = {"role": "assistant", "content": None, "tool_calls": [CALL]}
RESULT: Json = {"role": "tool", "tool_call_id": "c1", "content": "42"}
LARGEST = 2**53 - 1


def body(**fields: object) -> bytes:
    return json.dumps({"model": "fast", "messages": [HELLO], **fields}).encode()


def said(*messages: Json) -> bytes:
    return body(messages=[HELLO, *messages])


def decode(raw: bytes) -> ChatRequest:
    return decode_chat_completion(raw)[0]


def flaw(raw: bytes) -> tuple[str | None, str]:
    with pytest.raises(InvalidRequestError) as caught:
        decode(raw)
    return caught.value.field, caught.value.reason
