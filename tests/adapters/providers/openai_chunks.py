"""Payloads of OpenAI's streams, and what they are decoded to."""

import json
from typing import Any

from chatnest.adapters.providers.openai_stream import AnswerDecoder
from chatnest.domain.events import Finished, FinishReason, ProviderEvent

DONE = b"[DONE]"
STOP = Finished(FinishReason.STOP)


def payload(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


def delta(finish_reason: str | None = None, **fields: Any) -> bytes:
    return payload(
        choices=[{"index": 0, "delta": fields, "finish_reason": finish_reason}], usage=None
    )


def usage(**fields: Any) -> bytes:
    return payload(choices=[], usage=fields)


def decode(*payloads: bytes) -> list[ProviderEvent]:
    """The events of an answer that goes well, each payload in a read of its own."""
    decoder = AnswerDecoder()
    events = [event for one in payloads for event in decoder.decode([one])]
    events += decoder.close()
    assert decoder.failure is None
    return events
