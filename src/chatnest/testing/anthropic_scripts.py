"""What Anthropic's Messages says on the wire, as scripts for the mock upstream."""

import json
from collections.abc import Mapping, Sequence

from chatnest.testing.openai_scripts import HELLO as HELLO
from chatnest.testing.openai_scripts import in_pieces as in_pieces
from chatnest.testing.upstream import End, Head, Pause, Step, Write


def completion(
    tokens: Sequence[str] = HELLO,
    *,
    first_delay_us: int = 0,
    delay_us: int = 0,
    finish_reason: str | None = "end_turn",
    usage: Mapping[str, object] | None = None,
    done: bool = True,
) -> tuple[Step, ...]:
    """A whole answer, one write for each token. *usage* None: it is not reported."""
    steps: list[Step] = [Head(), start(usage), block({"type": "text", "text": ""})]
    for position, token in enumerate(tokens):
        waiting_us = delay_us if position else first_delay_us
        if waiting_us:
            steps.append(Pause(waiting_us))
        steps.append(text(token))
    if finish_reason is not None:
        steps += (block_end(), chunk({}, finish_reason=finish_reason, usage=usage))
    if done:
        steps.append(DONE)
    return (*steps, End())


def start(usage: Mapping[str, object] | None = None) -> Write:
    """The beginning of an answer. Of *usage* the output is still to come."""
    message: dict[str, object] = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }
    if usage is not None:
        message["usage"] = {**usage, "output_tokens": 1, "output_tokens_details": None}
    return event({"type": "message_start", "message": message})


def block(content_block: Mapping[str, object], index: int = 0) -> Write:
    """The beginning of a content block."""
    return event({"type": "content_block_start", "index": index, "content_block": content_block})


def block_end(index: int = 0) -> Write:
    """The end of a content block."""
    return event({"type": "content_block_stop", "index": index})


def text(token: str) -> Write:
    """A piece of the first block, with one token of text."""
    return chunk({"type": "text_delta", "text": token}, tokens=1)


def chunk(
    delta: Mapping[str, object],
    *,
    finish_reason: str | None = None,
    tokens: int = 0,
    index: int = 0,
    usage: Mapping[str, object] | None = None,
) -> Write:
    """A piece of a block; with a *finish_reason* the last piece of the message."""
    if finish_reason is None:
        fields = {"type": "content_block_delta", "index": index, "delta": delta}
        return event(fields, tokens=tokens)
    stopped = {"stop_reason": finish_reason, "stop_sequence": None, **delta}
    reported = {} if usage is None else {"usage": usage}
    return event({"type": "message_delta", "delta": stopped, **reported}, tokens=tokens)


def event(fields: Mapping[str, object], *, tokens: int = 0) -> Write:
    """An event of *fields*, whose name is their type."""
    payload = json.dumps(fields, ensure_ascii=False)
    return Write(f"event: {fields['type']}\ndata: {payload}\n\n".encode(), tokens)


def usage_of(input_tokens: int, output_tokens: int) -> dict[str, object]:
    """A usage object without details."""
    return {"input_tokens": input_tokens, "output_tokens": output_tokens}


def error_object(
    code: str | None = None, error_type: str | None = "api_error", message: str = "It failed."
) -> dict[str, object]:
    """The object that both error responses and errors inside a stream carry."""
    error: dict[str, object] = {"type": error_type, "message": message}
    if code is not None:
        error["details"] = {"error_code": code}
    return {"type": "error", "error": error, "request_id": "req_1"}


def refusal(
    status: int, error: Mapping[str, object] | None = None, **headers: str
) -> tuple[Step, ...]:
    """An error response; a header's underscores become hyphens."""
    named = ((name.replace("_", "-"), value) for name, value in headers.items())
    body = json.dumps(error_object() if error is None else error).encode()
    return (Head(status, (("content-type", "application/json"), *named), body),)


DONE = event({"type": "message_stop"})
