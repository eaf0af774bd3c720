"""What a server of the example's wire says, as scripts for the mock upstream."""

import json
from typing import Any

from chatnest.testing.upstream import End, Exchange, Head, Pause, Script, Write

WORDS = tuple(f" word{number}" for number in range(8))
DELAY_US = 2_000
LINES = Head(headers=(("content-type", "application/x-ndjson"),))


def line(content: str = "", *, thinking: str = "", done: str = "", **fields: Any) -> Write:
    """One line of an answer; *done* is the reason of the last one."""
    message = {"role": "assistant", "content": content}
    if thinking:
        message["thinking"] = thinking
    said: dict[str, Any] = {"model": "m", "message": message, "done": bool(done), **fields}
    if done:
        said["done_reason"] = done
    return Write(json.dumps(said).encode() + b"\n", tokens=1 if content else 0)


def refused(status: int, *headers: tuple[str, str]) -> Script:
    """An error response."""
    return (Head(status, headers, b'{"error": "no"}'),)


def within_the_cap(exchange: Exchange) -> Script:
    """An answer of eight words, or of as many as were asked for."""
    cap = exchange.json["options"]["num_predict"]
    words = WORDS[:cap]
    said = [step for word in words for step in (Pause(DELAY_US), line(word))]
    reason = "length" if len(words) == cap else "stop"
    return (LINES, *said, line(done=reason, prompt_eval_count=9, eval_count=len(words)), End())
