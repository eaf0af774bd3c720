"""The dialect of ChatNest's own clients: ``POST /api/chat``, as the original npm package has it.

Everything beyond the original is in places that its client ignores: the events ``usage``,
``reasoning`` and ``tool_call``, the fields beside ``message`` and ``error``, and headers.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, assert_never

import msgspec

from chatnest.adapters.transport.chatnest_body import decode_chat
from chatnest.adapters.transport.limit_headers import limit_headers
from chatnest.adapters.transport.problems import (
    Problem,
    RefusedLimit,
    error_problem,
    refusal_problem,
    retry_headers,
)
from chatnest.adapters.transport.sse import (
    FRAME_END,
    STREAM_HEADERS,
    empty_frame,
    frame_start,
    to_escaped_json,
    to_json,
)
from chatnest.adapters.transport.usage_report import CallUsageReport, call_usage_report
from chatnest.adapters.transport.wire import Asked, Headers, WireResponse
from chatnest.domain.admission import Admitted, Refusal
from chatnest.domain.errors import PublicError
from chatnest.domain.events import (
    ChatEvent,
    EventBatch,
    Failed,
    Finished,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextDelta,
    ToolCallDelta,
    UsageReported,
)

_START: Final = empty_frame("start")
_TOKEN: Final = frame_start("token")
_REASONING: Final = frame_start("reasoning")
_TOOL_CALL: Final = frame_start("tool_call")
_USAGE: Final = frame_start("usage")
_DONE: Final = empty_frame("done")
_ERROR: Final = frame_start("error")
_PING: Final = empty_frame("ping")

_JSON_HEADERS: Final[Headers] = (("content-type", "application/json"),)


class ErrorEvent(msgspec.Struct, frozen=True):
    """The data of ``error``: ``message`` is for people, ``code`` for programs."""

    message: str
    code: str
    retryable: bool


class ToolCallEvent(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The data of ``tool_call``: a piece of the call at ``index``; ``arguments`` are joined."""

    index: int
    id: str | None = None
    name: str | None = None
    arguments: str


EVENT_DATA: Final[Mapping[str, type | None]] = MappingProxyType(
    {
        "start": None,
        "token": str,
        "reasoning": str,
        "tool_call": ToolCallEvent,
        "ping": None,
        "usage": CallUsageReport,
        "done": None,
        "error": ErrorEvent,
    }
)
"""What the data of each event is, as JSON; None: it has none."""


class ErrorBody(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """The answer to a request that got no stream. ``error`` is the original's text."""

    error: str
    code: str
    field: str | None = None
    reason: str | None = None
    retryable: bool
    retry_after_seconds: int | None = None
    limit: RefusedLimit | None = None


class ChatNestEncoder:
    """Writes events for the npm client; it keeps nothing between batches."""

    @property
    def ping(self) -> bytes:
        """``event: ping``, without data."""
        return _PING

    def encode(self, batch: EventBatch) -> bytes:
        """The frames of *batch*, joined; never fails for what is in a text."""
        try:
            frames: list[bytes] = []
            for event in batch:
                if type(event) is TextDelta:
                    frames += (_TOKEN, to_json(event.text), FRAME_END)
                else:
                    frames.append(_rare_frame(event, to_json))
            return b"".join(frames)
        except UnicodeEncodeError:
            return b"".join([_rare_frame(event, to_escaped_json) for event in batch])


class ChatNestDialect:
    """The wire of ChatNest's own clients; stateless, so that one serves every request."""

    @property
    def name(self) -> str:
        """``chatnest``."""
        return "chatnest"

    def decode(self, body: bytes) -> Asked:
        """The request in *body*; every answer is a stream.

        Raises:
            InvalidRequestError: *body* is no request.
        """
        return Asked(decode_chat(body), ChatNestEncoder())

    def stream_headers(self, started: Started, admitted: Admitted, now: int) -> Headers:
        """Those of the original, and what the admission left of each limit."""
        return STREAM_HEADERS + self.answer_headers(started, admitted, now)

    def answer_headers(self, started: Started, admitted: Admitted, now: int) -> Headers:
        """What the admission left of each limit."""
        return limit_headers(admitted.rates, admitted.balances, now)

    def refusal(self, refusal: Refusal, now: int) -> WireResponse:
        """The original's JSON, and beside it which limit refused and when it can succeed."""
        limits = limit_headers(refusal.rates, refusal.balances, now)
        return _response(refusal_problem(refusal), limits)

    def error(self, error: Exception | PublicError) -> WireResponse:
        """The original's JSON, and beside it what may be known of *error*."""
        return _response(error_problem(error), ())


def _rare_frame(event: ChatEvent, encode: Callable[[object], bytes]) -> bytes:
    match event:
        case Started():
            # The request's id is not in it: the original's start has no data.
            return _START
        case TextDelta(text=text) | RefusalDelta(text=text):
            return _TOKEN + encode(text) + FRAME_END
        case ReasoningDelta(text=text):
            # A seal is the provider's alone, and this wire takes no thoughts back.
            return _REASONING + encode(text) + FRAME_END if text else b""
        case ToolCallDelta():
            return _TOOL_CALL + encode(_tool_call(event)) + FRAME_END
        case UsageReported():
            return _USAGE + encode(call_usage_report(event)) + FRAME_END
        case Finished():
            return _DONE
        case Failed(error=error):
            shown = ErrorEvent(error.message, error.code, error.retryable)
            return _ERROR + encode(shown) + FRAME_END
        case _:
            assert_never(event)


def _tool_call(event: ToolCallDelta) -> ToolCallEvent:
    return ToolCallEvent(index=event.index, id=event.id, name=event.name, arguments=event.arguments)


def _response(problem: Problem, limits: Headers) -> WireResponse:
    body = ErrorBody(
        error=problem.text,
        code=problem.code,
        field=problem.field,
        reason=problem.reason,
        retryable=problem.retryable,
        retry_after_seconds=problem.retry_after_s,
        limit=problem.limit,
    )
    headers = _JSON_HEADERS + retry_headers(problem) + limits
    return WireResponse(problem.status, headers, to_json(body))
