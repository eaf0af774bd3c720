"""Bodies of ``POST /v1/messages``, and how the tests of them read one."""

import json

import pytest

from chatnest.adapters.transport.anthropic_request import decode_messages
from chatnest.domain.errors import InvalidRequestError
from chatnest.domain.requests import ChatRequest

HELLO = {"role": "user", "content": "Hello"}
CALL = {"type": "tool_use", "id": "call-1", "name": "add", "input": {"a": 1.50, "b": [None]}}
RESULT = {"type": "tool_result", "tool_use_id": "call-1", "content": "3"}
CALLED = {"role": "assistant", "content": [CALL]}
ADD = {"name": "add", "input_schema": {"type": "object"}}
PIXEL = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
LARGEST = 2**53 - 1


def body(**fields: object) -> bytes:
    whole = {"model": "model-1", "max_tokens": 64, "messages": [HELLO], **fields}
    return json.dumps(whole).encode()


def said(*content: object, role: str = "user") -> bytes:
    return body(messages=[{"role": role, "content": list(content)}])


def after_call(*messages: object) -> bytes:
    return body(messages=[HELLO, CALLED, *messages])


def decode(raw: bytes) -> ChatRequest:
    return decode_messages(raw)[0]


def flaw(raw: bytes) -> tuple[str | None, str]:
    with pytest.raises(InvalidRequestError) as caught:
        decode(raw)
    return caught.value.field, caught.value.reason
