"""What the mock upstream writes: OpenAI's Chat Completions and Anthropic's Messages, ready-made."""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, NamedTuple

from bench.scripts import TOKENS

PROMPT_TOKENS: Final = 20
OPENAI: Final = "/v1/chat/completions"
ANTHROPIC: Final = "/v1/messages"
HEAD: Final = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
    b"cache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n"
)
END: Final = b"0\r\n\r\n"


class Parts(NamedTuple):
    """A response: what is before its tokens, a round of them, and what is after them.

    Each event is a chunk of its own, as servers write them.
    """

    opening: bytes
    round: tuple[bytes, ...]
    ending: bytes

    def tokens(self, first: int, end: int) -> bytes:
        """The tokens from number *first* to the one before *end*."""
        return b"".join([self.round[number % len(self.round)] for number in range(first, end)])


@lru_cache(maxsize=256)
def parts(path: str, tokens: int) -> Parts:
    """A response with so many tokens, in the dialect of *path*."""
    return _anthropic(tokens) if path.startswith(ANTHROPIC) else _openai(tokens)


@lru_cache(maxsize=256)
def whole(path: str, tokens: int) -> bytes:
    """The same in one piece."""
    made = parts(path, tokens)
    return made.opening + made.tokens(0, tokens) + made.ending


def _openai(tokens: int) -> Parts:
    usage = {
        "prompt_tokens": PROMPT_TOKENS,
        "completion_tokens": tokens,
        "total_tokens": PROMPT_TOKENS + tokens,
    }
    opening = HEAD + _openai_chunk(_choices({"role": "assistant", "content": ""}))
    finish = _openai_chunk(_choices({}, "stop"))
    reported = _openai_chunk({"choices": [], "usage": usage})
    ending = finish + reported + _chunk(b"data: [DONE]\n\n") + END
    said = tuple(_openai_chunk(_choices({"content": text})) for text in TOKENS)
    return Parts(opening, said, ending)


def _choices(delta: Mapping[str, str], finish_reason: str | None = None) -> dict[str, object]:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    return {"choices": [choice], "usage": None}


def _openai_chunk(fields: Mapping[str, object]) -> bytes:
    identity = {
        "id": "chatcmpl-CgQ3vV0Zb1mYt7k",
        "object": "chat.completion.chunk",
        "created": 1_764_115_200,
        "model": "gpt-4o-mini-2024-07-18",
        "service_tier": "default",
        "system_fingerprint": "fp_51db84afab",
    }
    return _chunk(b"data: %b\n\n" % _json({**identity, **fields}))


def _anthropic(tokens: int) -> Parts:
    message: dict[str, object] = {
        "id": "msg_01XFDUDYJgAACzvnptvVoYEL",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": PROMPT_TOKENS, "output_tokens": 1},
    }
    block = {"type": "text", "text": ""}
    opening = (
        HEAD
        + _anthropic_event("message_start", {"message": message})
        + _anthropic_event("content_block_start", {"index": 0, "content_block": block})
    )
    stop = {"stop_reason": "end_turn", "stop_sequence": None}
    ending = (
        _anthropic_event("content_block_stop", {"index": 0})
        + _anthropic_event("message_delta", {"delta": stop, "usage": {"output_tokens": tokens}})
        + _anthropic_event("message_stop", {})
        + END
    )
    said = tuple(_anthropic_delta(text) for text in TOKENS)
    return Parts(opening, said, ending)


def _anthropic_delta(text: str) -> bytes:
    delta = {"type": "text_delta", "text": text}
    return _anthropic_event("content_block_delta", {"index": 0, "delta": delta})


def _anthropic_event(name: str, fields: Mapping[str, object]) -> bytes:
    data = _json({"type": name, **fields})
    return _chunk(b"event: %b\ndata: %b\n\n" % (name.encode(), data))


def _json(fields: Mapping[str, object]) -> bytes:
    return json.dumps(fields, separators=(",", ":")).encode()


def _chunk(event: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(event), event)
