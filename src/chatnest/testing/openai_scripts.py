"""What OpenAI's Chat Completions says on the wire, as scripts for the mock upstream."""

import json
from collections.abc import Mapping, Sequence

from chatnest.testing.upstream import EVENT_STREAM, End, Head, Pause, Step, Write

HELLO = ("Hello", ",", " world", "!")
DONE = Write(b"data: [DONE]\n\n")

Usage = Mapping[str, object] | None


def completion(
    tokens: Sequence[str] = HELLO,
    *,
    first_delay_us: int = 0,
    delay_us: int = 0,
    finish_reason: str | None = "stop",
    usage: Usage = None,
    done: bool = True,
) -> tuple[Step, ...]:
    """A whole answer, one write for each token. *usage* None: it is not reported."""
    steps: list[Step] = [Head(), chunk({"role": "assistant", "content": ""})]
    for position, token in enumerate(tokens):
        waiting_us = delay_us if position else first_delay_us
        if waiting_us:
            steps.append(Pause(waiting_us))
        steps.append(text(token))
    if finish_reason is not None:
        steps.append(chunk({}, finish_reason=finish_reason))
    if usage is not None:
        steps.append(event({"choices": [], "usage": usage}))
    if done:
        steps.append(DONE)
    return (*steps, End())


def text(token: str) -> Write:
    """A chunk with one token of text."""
    return chunk({"content": token}, tokens=1)


def reasoning(token: str) -> Write:
    """A chunk with one token of what the model thinks aloud."""
    return chunk({"reasoning_content": token}, tokens=1)


def declined(token: str) -> Write:
    """A chunk with one token of the model's own words on why it does not answer."""
    return chunk({"refusal": token}, tokens=1)


def tool_call(name: str, arguments: str = "", *, index: int = 0, id: str = "call_1") -> Write:
    """A chunk that begins a tool call."""
    function = {"name": name, "arguments": arguments}
    call = {"index": index, "id": id, "type": "function", "function": function}
    return chunk({"tool_calls": [call]}, tokens=1)


def more_arguments(arguments: str, *, index: int = 0) -> Write:
    """A chunk that goes on with the arguments of a tool call."""
    call = {"index": index, "function": {"arguments": arguments}}
    return chunk({"tool_calls": [call]}, tokens=1)


def answer(*chunks: Write, finish_reason: str = "stop", usage: Usage = None) -> tuple[Step, ...]:
    """A whole answer of *chunks*. *usage* None: it is not reported."""
    finish = chunk({}, finish_reason=finish_reason)
    reported = () if usage is None else (event({"choices": [], "usage": usage}),)
    return (Head(), *chunks, finish, *reported, DONE, End())


def chunk(
    delta: Mapping[str, object], *, finish_reason: str | None = None, tokens: int = 0
) -> Write:
    """A chunk of the answer's only choice."""
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    return event({"choices": [choice], "usage": None}, tokens=tokens)


def event(fields: Mapping[str, object], *, tokens: int = 0) -> Write:
    """A chunk with *fields* beside the identity that all chunks of an answer share."""
    identity = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    payload = json.dumps({**identity, **fields}, ensure_ascii=False)
    return Write(f"data: {payload}\n\n".encode(), tokens)


def usage_of(input_tokens: int, output_tokens: int) -> dict[str, object]:
    """A usage object without details."""
    return {
        "prompt_tokens": input_tokens,
        "completion_tokens": output_tokens,
        "total_tokens": input_tokens + output_tokens,
    }


def error_object(
    code: str | int | None = None, error_type: str | None = None, message: str = "It failed."
) -> dict[str, object]:
    """The object that both error responses and errors inside a stream carry."""
    error = {"message": message, "type": error_type, "param": None, "code": code}
    return {"error": error}


def refusal(
    status: int, error: Mapping[str, object] | None = None, **headers: str
) -> tuple[Step, ...]:
    """An error response; a header's underscores become hyphens."""
    named = ((name.replace("_", "-"), value) for name, value in headers.items())
    body = json.dumps(error_object() if error is None else error).encode()
    return (Head(status, (("content-type", "application/json"), *named), body),)


def in_pieces(data: bytes, size: int, delay_us: int) -> tuple[Step, ...]:
    """A stream of *data*, written *size* bytes at a time with *delay_us* between two writes."""
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    writes = [step for piece in pieces for step in (Write(piece), Pause(delay_us))]
    return (Head(headers=(("content-type", EVENT_STREAM),)), *writes, End())
