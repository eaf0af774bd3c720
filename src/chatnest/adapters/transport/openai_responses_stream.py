"""Answers on the wire of Responses: event by event, or in one piece."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, assert_never

from chatnest.adapters.transport.data_frames import COMMENT_PING, json_bytes
from chatnest.adapters.transport.openai_problems import JSON_HEADERS, error_body, error_response
from chatnest.adapters.transport.openai_responses_frames import Frames
from chatnest.adapters.transport.openai_responses_output import Output
from chatnest.adapters.transport.openai_usage import response_usage, spend_report
from chatnest.adapters.transport.problems import error_problem
from chatnest.adapters.transport.wire import WireResponse
from chatnest.domain.errors import PublicError
from chatnest.domain.events import (
    ChatEvent,
    EventBatch,
    Failed,
    Finished,
    FinishReason,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextDelta,
    ToolCallDelta,
    UsageReported,
)
from chatnest.domain.windows import US_PER_S

# The wire has no word for an answer that was cut off for another reason than its length.
_CUT_SHORT: Final[Mapping[FinishReason, str]] = MappingProxyType(
    {
        FinishReason.LENGTH: "max_output_tokens",
        FinishReason.CONTENT_FILTER: "content_filter",
        FinishReason.CANCELLED: "max_output_tokens",
        FinishReason.ERROR: "max_output_tokens",
    }
)
# By the type that the error has elsewhere; a response has codes of its own.
_ERROR_CODES: Final[Mapping[str, str]] = MappingProxyType(
    {"invalid_request_error": "invalid_prompt", "requests": "rate_limit_exceeded"}
)


class ResponseEncoder:
    """Writes the events of one response.

    *repeated* is what the response repeats of its request; only *with_seals* are thoughts given
    with what a client needs to return them.
    """

    def __init__(self, repeated: Mapping[str, object], with_seals: bool) -> None:
        self.response: Mapping[str, object] = {}
        """The whole response, once its last event was encoded."""
        self._repeated = repeated
        self._with_seals = with_seals
        self._frames = Frames()
        self._output = Output(self._frames, "", with_seals)
        self._usage: UsageReported | None = None

    @property
    def ping(self) -> bytes:
        """A comment: every other frame would be an event."""
        return COMMENT_PING

    def encode(self, batch: EventBatch) -> bytes:
        """The frames of *batch*, joined; never fails for what is in a text."""
        for event in batch:
            if type(event) is TextDelta:
                self._output.say("output_text", event.text)
            else:
                self._take(event)
        return self._frames.take()

    def _take(self, event: ChatEvent) -> None:
        match event:
            case TextDelta(text=text):
                self._output.say("output_text", text)
            case RefusalDelta(text=text):
                self._output.say("refusal", text)
            case ReasoningDelta():
                self._output.think(event)
            case ToolCallDelta():
                self._output.call(event)
            case Started():
                self._start(event)
            case UsageReported():
                self._usage = event
            case Finished(finish_reason=reason):
                self._finish(reason)
            case Failed(error=error):
                self._fail(error)
            case _:
                assert_never(event)

    def _start(self, started: Started) -> None:
        self._output = Output(self._frames, started.request_id, self._with_seals)
        self.response = {
            "id": f"resp_{started.request_id}",
            "object": "response",
            "created_at": started.created_at // US_PER_S,
            "model": started.model,
            **self._repeated,
            "status": "in_progress",
            "error": None,
            "incomplete_details": None,
            "output": (),
            "usage": None,
        }
        self._frames.event("response.created", response=self.response)
        self._frames.event("response.in_progress", response=self.response)

    def _finish(self, reason: FinishReason) -> None:
        why = _CUT_SHORT.get(reason)
        if why is None:
            self._end("completed")
        else:
            self._end("incomplete", incomplete_details={"reason": why})

    def _fail(self, error: PublicError) -> None:
        words = error_body(error_problem(error)).error
        code = _ERROR_CODES.get(words.type, words.type)
        self._end("failed", error={"code": code, "message": words.message})

    def _end(self, status: str, **why: object) -> None:
        self._output.close("completed" if status == "completed" else "incomplete")
        self.response = {**self.response, "status": status, **why, "output": self._output.items}
        if self._usage is not None:
            self.response["usage"] = response_usage(self._usage)
            self.response["chatnest"] = spend_report(self._usage)
        self._frames.event(f"response.{status}", response=self.response)


class ResponseReply:
    """Collects one answer into a ``response``: the one that its stream would have ended with."""

    def __init__(self, repeated: Mapping[str, object], with_seals: bool) -> None:
        self._encoder = ResponseEncoder(repeated, with_seals)
        self._error: PublicError | None = None

    def add(self, batch: EventBatch) -> None:
        """Take the next events, in their order."""
        self._encoder.encode(batch)
        for event in batch[-1:]:
            if isinstance(event, Failed):
                self._error = event.error

    def response(self) -> WireResponse:
        """The response; of an answer that failed, the error alone."""
        if self._error is not None:
            return error_response(self._error)
        return WireResponse(200, JSON_HEADERS, json_bytes(self._encoder.response))
