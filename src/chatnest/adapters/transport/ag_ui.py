"""AG-UI 1.0 as events over HTTP: ``POST /agui`` for ``HttpAgent``.

An answer is one assistant message with all of its texts and calls, and before it a reasoning
message for each thought. The client sends them back in that order, and calls of one message with
their results behind them are what every provider wants to see.

There is no ``[DONE]``, which would make the client reject the run, and no null anywhere.

Errors before the stream are those of ChatNest's own wire: the client's error has the status in
``status`` and the JSON in ``payload``. It never sends a request again by itself.
"""

from typing import Final

import msgspec

from chatnest.adapters.transport.ag_ui_body import decode_run
from chatnest.adapters.transport.answer_parts import OpenCall, PartFrames, PartsEncoder
from chatnest.adapters.transport.chatnest import ChatNestDialect
from chatnest.adapters.transport.data_frames import DATA, data_frame, json_bytes
from chatnest.adapters.transport.sse import FRAME_END
from chatnest.adapters.transport.usage_report import call_usage_report
from chatnest.adapters.transport.wire import Asked, Headers, WireResponse
from chatnest.domain.admission import Admitted, Refusal
from chatnest.domain.errors import PublicError
from chatnest.domain.events import Finished, FinishReason, Started, UsageReported

PROTOCOL_VERSION: Final = "1.0"
USAGE_EVENT: Final = "chatnest.usage"
"""The name of the custom event that says what is left of each limit."""

_DELTA_END: Final = b"}" + FRAME_END
_PROVIDER_FAILED: Final = PublicError("provider_error", "The model ended its answer with an error.")


class TokenUsageBody(msgspec.Struct, frozen=True, rename="camel"):
    """AG-UI's accounting is ChatNest's: the parts are inside their totals."""

    model: str
    input_tokens: int
    output_tokens: int
    total_tokens: int
    reasoning_tokens: int
    cached_input_tokens: int
    cache_write_input_tokens: int


class RunResult(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """``result`` of a run: why the answer ended, for which AG-UI has no field of its own."""

    finish_reason: FinishReason
    stop_sequence: str | None = None


class AgUiEncoder(PartsEncoder):
    """Writes one answer as the events of one run."""

    def __init__(self, thread_id: str, run_id: str) -> None:
        super().__init__()
        self._ids = {"threadId": thread_id, "runId": run_id}
        self._answer_id = ""
        self._model = ""
        self._thought_id = ""
        self._thoughts = 0

    def _begin(self, started: Started) -> bytes:
        self._answer_id = started.request_id
        self._model = started.model
        return data_frame({"type": "RUN_STARTED", **self._ids, "protocolVersion": PROTOCOL_VERSION})

    def _open_text(self) -> PartFrames:
        message = {"messageId": self._answer_id}
        return PartFrames(
            start=data_frame({"type": "TEXT_MESSAGE_START", **message, "role": "assistant"}),
            before=_until_delta({"type": "TEXT_MESSAGE_CONTENT", **message}),
            after=_DELTA_END,
            end=data_frame({"type": "TEXT_MESSAGE_END", **message}),
        )

    def _open_thought(self, *, redacted: bool) -> PartFrames:
        """A span with one message in it; in the message's metadata, whether it is redacted."""
        thought_id = self._thought_id = f"{self._answer_id}-thought-{self._thoughts}"
        self._thoughts += 1
        message = {"messageId": thought_id}
        start = {"type": "REASONING_MESSAGE_START", **message, "role": "reasoning"}
        seal = {"metadata": {"chatnest": {"redacted": True}}} if redacted else {}
        return PartFrames(
            start=data_frame({"type": "REASONING_START", **message})
            + data_frame({**start, **seal}),
            before=_until_delta({"type": "REASONING_MESSAGE_CONTENT", **message}),
            after=_DELTA_END,
            end=_end_thought(thought_id),
        )

    def _end_sealed(self, thought: PartFrames, signature: str, *, redacted: bool) -> bytes:
        seal = {"subtype": "message", "entityId": self._thought_id, "encryptedValue": signature}
        return _end_thought(
            self._thought_id, data_frame({"type": "REASONING_ENCRYPTED_VALUE", **seal})
        )

    def _open_call(self, call_id: str, name: str) -> PartFrames:
        call = {"toolCallId": call_id}
        names = {"toolCallName": name, "parentMessageId": self._answer_id}
        return PartFrames(
            start=data_frame({"type": "TOOL_CALL_START", **call, **names}),
            before=_until_delta({"type": "TOOL_CALL_ARGS", **call}),
            after=_DELTA_END,
            end=data_frame({"type": "TOOL_CALL_END", **call}),
        )

    def _end_call(self, call: OpenCall) -> bytes:
        return call.frames.end

    def _report(self, usage: UsageReported) -> bytes:
        return data_frame(
            {"type": "CUSTOM", "name": USAGE_EVENT, "value": call_usage_report(usage)}
        )

    def _finish(self, finished: Finished) -> bytes:
        if finished.finish_reason is FinishReason.ERROR:
            return self._fail(_PROVIDER_FAILED)
        outcome: dict[str, object] = {"outcome": {"type": "cancelled"}}
        if finished.finish_reason is not FinishReason.CANCELLED:
            result = RunResult(finished.finish_reason, finished.stop_sequence)
            outcome = {"result": result, "outcome": self._success()}
        return data_frame({"type": "RUN_FINISHED", **self._ids, **outcome, **self._used()})

    def _fail(self, error: PublicError) -> bytes:
        told = {"message": error.message, "code": error.code}
        return data_frame({"type": "RUN_ERROR", **told, **self._used()})

    def _success(self) -> dict[str, object]:
        pending = [call.id for call in self._calls.values()]
        return {"type": "success", **({"pendingToolCallIds": pending} if pending else {})}

    def _used(self) -> dict[str, object]:
        if self._usage is None:
            return {}
        usage = self._usage.usage
        entry = TokenUsageBody(
            model=self._model,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            total_tokens=usage.total_tokens,
            reasoning_tokens=usage.reasoning_tokens,
            cached_input_tokens=usage.cached_input_tokens,
            cache_write_input_tokens=usage.cache_write_tokens,
        )
        return {"usage": [entry]}


class AgUiDialect:
    """The wire of AG-UI's clients; stateless, so that one serves every request."""

    def __init__(self) -> None:
        self._json = ChatNestDialect()

    @property
    def name(self) -> str:
        """``ag-ui``."""
        return "ag-ui"

    def decode(self, body: bytes) -> Asked:
        """The request in *body*; every answer is a stream.

        Raises:
            InvalidRequestError: *body* is no request.
        """
        run = decode_run(body)
        return Asked(run.request, AgUiEncoder(run.thread_id, run.run_id))

    def stream_headers(self, started: Started, admitted: Admitted, now: int) -> Headers:
        """Those of ChatNest's own streams."""
        return self._json.stream_headers(started, admitted, now)

    def answer_headers(self, started: Started, admitted: Admitted, now: int) -> Headers:
        """What the admission left of each limit."""
        return self._json.answer_headers(started, admitted, now)

    def refusal(self, refusal: Refusal, now: int) -> WireResponse:
        """JSON: the sentence in ``error``, and beside it which limit refused."""
        return self._json.refusal(refusal, now)

    def error(self, error: Exception | PublicError) -> WireResponse:
        """JSON: the sentence in ``error``, and beside it what may be known of *error*."""
        return self._json.error(error)


def _until_delta(event: dict[str, str]) -> bytes:
    """The frame of *event* up to where its delta stands."""
    return DATA + json_bytes(event).removesuffix(b"}") + b',"delta":'


def _end_thought(thought_id: str, seal: bytes = b"") -> bytes:
    message = {"messageId": thought_id}
    end = data_frame({"type": "REASONING_MESSAGE_END", **message})
    return end + seal + data_frame({"type": "REASONING_END", **message})
