"""Events of Anthropic's streams as payloads, and what they are read as."""

import json
from typing import Any

from chatnest.adapters.providers.anthropic_stream import AnswerDecoder
from chatnest.domain.errors import Failure
from chatnest.domain.events import ProviderEvent


def payload(kind: str, **fields: Any) -> bytes:
    return json.dumps({"type": kind, **fields}).encode()


def start(**usage: Any) -> bytes:
    return payload("message_start", message={"id": "msg_1", "content": [], "usage": usage})


def block(kind: str, index: int = 0, **fields: Any) -> bytes:
    return payload("content_block_start", index=index, content_block={"type": kind, **fields})


def delta(kind: str, index: int = 0, **fields: Any) -> bytes:
    return payload("content_block_delta", index=index, delta={"type": kind, **fields})


def text(words: str) -> bytes:
    return delta("text_delta", text=words)


def block_end(index: int = 0) -> bytes:
    return payload("content_block_stop", index=index)


def end(stop_reason: str | None = "end_turn", **usage: Any) -> bytes:
    fields = {"stop_reason": stop_reason, "stop_sequence": None}
    return payload("message_delta", delta=fields, **({"usage": usage} if usage else {}))


DONE = payload("message_stop")


def decode(*payloads: bytes) -> list[ProviderEvent]:
    """The events of an answer that goes well, each payload in a read of its own."""
    decoder = AnswerDecoder()
    events = [event for one in payloads for event in decoder.decode([one])]
    events += decoder.close()
    assert decoder.failure is None
    return events


def failure_of(*payloads: bytes) -> Failure:
    decoder = AnswerDecoder()
    decoder.decode(payloads)
    if decoder.failure is None:
        decoder.close()
    assert decoder.failure is not None
    return decoder.failure.failure
