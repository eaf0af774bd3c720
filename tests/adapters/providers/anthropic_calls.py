"""Calls, and what Anthropic is sent for them."""

import json
from typing import Any

import pytest

from chatnest.adapters.providers.anthropic_request import request_body
from chatnest.domain.errors import Failure, FailureKind, ProviderError
from chatnest.domain.messages import ImagePart, Message, Role
from chatnest.domain.ports import ProviderCall

HI = (Message(Role.USER, "Hi"),)
PIXEL = ImagePart("data:image/png;base64,iVBORw0KGgo=")


def call_of(**fields: Any) -> ProviderCall:
    return ProviderCall(
        **{"request_id": "r", "model": "m", "messages": HI, "max_output_tokens": 7, **fields}
    )


def body_of(**fields: Any) -> dict[str, Any]:
    body = json.loads(request_body(call_of(**fields)))
    assert isinstance(body, dict)
    return body


def reason_against(**fields: Any) -> str:
    with pytest.raises(ProviderError) as raised:
        body_of(**fields)
    assert raised.value.failure == Failure(FailureKind.INVALID_REQUEST, billable=False)
    return str(raised.value)
