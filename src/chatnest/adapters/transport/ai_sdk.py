"""The AI SDK's UI message stream, version 1: ``POST /api/ui/chat`` for ``useChat``, v5 to v7.

The client throws the whole stream away for an unknown ``type``, for a null in an optional field
and for a delta without its start, so only what all three versions have is sent.

A refusal keeps its status, 429 among them: DefaultChatTransport never sends a request again by
itself. (The AI SDK's *providers* do, whatever ``x-should-retry`` says, but they ask another way.)
Its body is a plain sentence, because ``useChat`` makes the body, as it is, its error's message.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from chatnest.adapters.transport.ai_sdk_body import decode_ui_chat
from chatnest.adapters.transport.ai_sdk_input import input_json
from chatnest.adapters.transport.answer_parts import OpenCall, PartFrames, PartsEncoder
from chatnest.adapters.transport.data_frames import DATA, data_frame, json_bytes
from chatnest.adapters.transport.limit_headers import limit_headers
from chatnest.adapters.transport.problems import (
    Problem,
    error_problem,
    refusal_problem,
    retry_headers,
)
from chatnest.adapters.transport.sse import FRAME_END, STREAM_HEADERS
from chatnest.adapters.transport.usage_report import call_usage_report, decimal_usd
from chatnest.adapters.transport.wire import Asked, Headers, WireResponse
from chatnest.domain.admission import Admitted, Refusal
from chatnest.domain.errors import PublicError
from chatnest.domain.events import Finished, FinishReason, Started, UsageReported

_VERSION: Final = ("x-vercel-ai-ui-message-stream", "v1")
_TEXT_HEADERS: Final[Headers] = (("content-type", "text/plain; charset=utf-8"),)

_START_STEP: Final = data_frame({"type": "start-step"})
_FINISH_STEP: Final = data_frame({"type": "finish-step"})
_DONE: Final = DATA + b"[DONE]" + FRAME_END
_DELTA_END: Final = b"}" + FRAME_END

_FINISH_REASONS: Final[Mapping[FinishReason, str]] = MappingProxyType(
    {
        FinishReason.STOP: "stop",
        FinishReason.LENGTH: "length",
        FinishReason.TOOL_CALLS: "tool-calls",
        FinishReason.CONTENT_FILTER: "content-filter",
        FinishReason.CANCELLED: "other",
        FinishReason.ERROR: "error",
    }
)
_BAD_INPUT: Final = "The model's input for the tool is not complete, valid JSON."


class Usage(msgspec.Struct, frozen=True, rename="camel"):
    """``usage`` in a message's metadata, in the names of the AI SDK's ``LanguageModelUsage``."""

    input_tokens: int
    output_tokens: int
    total_tokens: int
    reasoning_tokens: int
    cached_input_tokens: int


class MessageMetadata(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """What is written into the metadata of the answer's message; the client merges it.

    ``usage`` and ``cost_usd`` are those of the last call, where a message is the work of several.
    """

    model: str | None = None
    profile: str | None = None
    usage: Usage | None = None
    cost_usd: str | None = None
    estimated: bool = False
    stop_sequence: str | None = None


class AiSdkEncoder(PartsEncoder):
    """Writes one answer as one step of a message.

    ``continued_id`` is the message of the client's that the step belongs to; None begins a new one.
    """

    def __init__(self, continued_id: str | None = None) -> None:
        super().__init__()
        self._message_id = continued_id
        self._opened = 0

    def _begin(self, started: Started) -> bytes:
        chunk = {
            "type": "start",
            "messageId": self._message_id or started.request_id,
            "messageMetadata": MessageMetadata(started.model, started.profile),
        }
        return data_frame(chunk) + _START_STEP

    def _open_text(self) -> PartFrames:
        return self._open_part("text")

    def _open_thought(self, *, redacted: bool) -> PartFrames:
        return self._open_part("reasoning")

    def _open_part(self, kind: str) -> PartFrames:
        part = b'"id":"%d"' % self._opened
        self._opened += 1
        head = DATA + b'{"type":"' + kind.encode()
        return PartFrames(
            start=head + b'-start",' + part + _DELTA_END,
            before=head + b'-delta",' + part + b',"delta":',
            after=_DELTA_END,
            end=head + b'-end",' + part + _DELTA_END,
        )

    def _end_sealed(self, thought: PartFrames, signature: str, *, redacted: bool) -> bytes:
        seal = {"signature": signature, "redacted": True} if redacted else {"signature": signature}
        metadata = b',"providerMetadata":' + json_bytes({"chatnest": seal})
        return thought.end.removesuffix(_DELTA_END) + metadata + _DELTA_END

    def _open_call(self, call_id: str, name: str) -> PartFrames:
        call = {"type": "tool-input-start", "toolCallId": call_id, "toolName": name}
        return PartFrames(
            start=data_frame(call),
            before=DATA
            + b'{"type":"tool-input-delta","toolCallId":'
            + json_bytes(call_id)
            + b',"inputTextDelta":',
            after=_DELTA_END,
            end=b"",
        )

    def _end_call(self, call: OpenCall) -> bytes:
        """The call to be run, or why it cannot be."""
        names = {"toolCallId": call.id, "toolName": call.name}
        value = input_json(call.arguments)
        if value is None:
            error = {"input": call.arguments, "errorText": _BAD_INPUT}
            return data_frame({"type": "tool-input-error", **names, **error})
        head = data_frame({"type": "tool-input-available", **names}).removesuffix(_DELTA_END)
        return head + b',"input":' + value + _DELTA_END

    def _report(self, usage: UsageReported) -> bytes:
        report = call_usage_report(usage)
        return data_frame({"type": "data-chatnest-usage", "data": report, "transient": True})

    def _finish(self, finished: Finished) -> bytes:
        chunk: dict[str, object] = {
            "type": "finish",
            "finishReason": _FINISH_REASONS[finished.finish_reason],
        }
        if self._usage is not None or finished.stop_sequence is not None:
            chunk["messageMetadata"] = _metadata(self._usage, finished.stop_sequence)
        return _FINISH_STEP + data_frame(chunk) + _DONE

    def _fail(self, error: PublicError) -> bytes:
        """The client reads nothing after the error, so the usage goes before it."""
        frames = b""
        if self._usage is not None:
            frames = data_frame(
                {"type": "message-metadata", "messageMetadata": _metadata(self._usage, None)}
            )
        frames += data_frame({"type": "error", "errorText": error.message})
        return frames + data_frame({"type": "finish", "finishReason": "error"}) + _DONE


class AiSdkDialect:
    """The wire of ``useChat``; stateless, so that one serves every request."""

    @property
    def name(self) -> str:
        """``ai-sdk``."""
        return "ai-sdk"

    def decode(self, body: bytes) -> Asked:
        """The request in *body*; every answer is a stream.

        Raises:
            InvalidRequestError: *body* is no request.
        """
        chat = decode_ui_chat(body)
        return Asked(chat.request, AiSdkEncoder(chat.continued_id))

    def stream_headers(self, started: Started, admitted: Admitted, now: int) -> Headers:
        """Those of the AI SDK's own server, and what the admission left of each limit."""
        return (*STREAM_HEADERS, _VERSION, *self.answer_headers(started, admitted, now))

    def answer_headers(self, started: Started, admitted: Admitted, now: int) -> Headers:
        """What the admission left of each limit."""
        return limit_headers(admitted.rates, admitted.balances, now)

    def refusal(self, refusal: Refusal, now: int) -> WireResponse:
        """A sentence for the person who asked; what is exact is in the headers."""
        limits = limit_headers(refusal.rates, refusal.balances, now)
        return _response(refusal_problem(refusal), limits)

    def error(self, error: Exception | PublicError) -> WireResponse:
        """A sentence, and after it what may be known of *error*."""
        return _response(error_problem(error), ())


def _metadata(usage: UsageReported | None, stop_sequence: str | None) -> MessageMetadata:
    if usage is None:
        return MessageMetadata(stop_sequence=stop_sequence)
    tokens, cost = usage.usage, usage.cost_nano_usd
    return MessageMetadata(
        usage=Usage(
            tokens.input_tokens,
            tokens.output_tokens,
            tokens.total_tokens,
            tokens.reasoning_tokens,
            tokens.cached_input_tokens,
        ),
        cost_usd=None if cost is None else decimal_usd(cost),
        estimated=usage.estimated,
        stop_sequence=stop_sequence,
    )


def _response(problem: Problem, limits: Headers) -> WireResponse:
    known = " ".join(filter(None, (problem.field, problem.reason)))
    join = " " if problem.text.endswith(".") else ": "
    sentence = f"{problem.text}{join}{known}" if known else problem.text
    headers = _TEXT_HEADERS + retry_headers(problem) + limits
    return WireResponse(problem.status, headers, sentence.encode("utf-8", "replace"))
