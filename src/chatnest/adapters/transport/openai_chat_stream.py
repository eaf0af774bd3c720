"""Answers on the wire of Chat Completions: chunk by chunk, or in one piece."""

from typing import Final, Literal, assert_never

import msgspec

from chatnest.adapters.transport.data_frames import COMMENT_PING, data_frame, json_bytes
from chatnest.adapters.transport.openai_problems import JSON_HEADERS, error_body, error_response
from chatnest.adapters.transport.openai_usage import (
    CompletionUsage,
    SpendReport,
    completion_usage,
    spend_report,
)
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

_DONE: Final = b"data: [DONE]\n\n"
# The wire has no word for an answer that was cut off for another reason than its length.
_FINISH_REASONS: Final = {
    FinishReason.STOP: "stop",
    FinishReason.LENGTH: "length",
    FinishReason.TOOL_CALLS: "tool_calls",
    FinishReason.CONTENT_FILTER: "content_filter",
    FinishReason.CANCELLED: "length",
    FinishReason.ERROR: "length",
}


class _Function(msgspec.Struct, omit_defaults=True):
    name: str | None = None
    arguments: str | msgspec.UnsetType = msgspec.UNSET


class _ToolCall(msgspec.Struct, omit_defaults=True, kw_only=True):
    index: int | msgspec.UnsetType = msgspec.UNSET
    id: str | None = None
    type: str | None = None
    function: _Function


class _Message(msgspec.Struct, kw_only=True):
    role: Literal["assistant"] = "assistant"
    content: str | None
    refusal: str | None
    reasoning_content: str | msgspec.UnsetType = msgspec.UNSET
    tool_calls: list[_ToolCall] | msgspec.UnsetType = msgspec.UNSET


class _Choice(msgspec.Struct):
    index: int
    message: _Message
    logprobs: None
    finish_reason: str


class ChatCompletion(msgspec.Struct, kw_only=True):
    """The whole answer."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[_Choice]
    usage: CompletionUsage | msgspec.UnsetType = msgspec.UNSET
    chatnest: SpendReport | msgspec.UnsetType = msgspec.UNSET


class ChatCompletionEncoder:
    """Writes the chunks of one answer; only with *include_usage* do they tell what it used.

    All chunks of an answer are alike but for their delta, so what stands around a delta is written
    once, when the answer starts.
    """

    def __init__(self, include_usage: bool) -> None:
        self._include_usage = include_usage
        self._usage: UsageReported | None = None
        self._head = b""
        self._content = b""
        self._end = b""

    @property
    def ping(self) -> bytes:
        """A comment: every other frame would be a chunk."""
        return COMMENT_PING

    def encode(self, batch: EventBatch) -> bytes:
        """The frames of *batch*, joined; never fails for what is in a text."""
        frames: list[bytes] = []
        for event in batch:
            if type(event) is TextDelta:
                frames += (self._content, json_bytes(event.text), self._end)
            else:
                frames.append(self._rare_frames(event))
        return b"".join(frames)

    def _rare_frames(self, event: ChatEvent) -> bytes:
        match event:
            case Started():
                return self._start(event)
            case TextDelta(text=text):
                return self._content + json_bytes(text) + self._end
            case RefusalDelta(text=text):
                return self._chunk(b'{"refusal":' + json_bytes(text) + b"}")
            case ReasoningDelta(text=""):
                return b""  # The wire has no place for a seal.
            case ReasoningDelta(text=text):
                return self._chunk(b'{"reasoning_content":' + json_bytes(text) + b"}")
            case ToolCallDelta():
                return self._chunk(b'{"tool_calls":[' + json_bytes(_piece(event)) + b"]}")
            case UsageReported():
                self._usage = event
                return b""
            case Finished(finish_reason=reason):
                return self._chunk(b"{}", _FINISH_REASONS[reason]) + self._usage_chunk() + _DONE
            case Failed(error=error):
                return self._usage_chunk() + data_frame(error_body(error_problem(error))) + _DONE
            case _:
                assert_never(event)

    def _start(self, started: Started) -> bytes:
        head = {
            "id": completion_id(started),
            "object": "chat.completion.chunk",
            "created": started.created_at // US_PER_S,
            "model": started.model,
        }
        self._head = b"data: " + json_bytes(head)[:-1]
        self._content = self._head + b',"choices":[{"index":0,"delta":{"content":'
        self._end = b"}" + self._tail(b"null")
        return self._chunk(b'{"role":"assistant","content":""}')

    def _chunk(self, delta: bytes, finish_reason: str | None = None) -> bytes:
        start = self._head + b',"choices":[{"index":0,"delta":'
        return start + delta + self._tail(json_bytes(finish_reason))

    def _tail(self, finish_reason: bytes) -> bytes:
        usage = b',"usage":null' if self._include_usage else b""
        return b',"logprobs":null,"finish_reason":' + finish_reason + b"}]" + usage + b"}\n\n"

    def _usage_chunk(self) -> bytes:
        if self._usage is None or not self._include_usage:
            return b""
        usage, spent = completion_usage(self._usage), spend_report(self._usage)
        told = b'"usage":' + json_bytes(usage) + b',"chatnest":' + json_bytes(spent)
        return self._head + b',"choices":[],' + told + b"}\n\n"


class ChatCompletionReply:
    """Collects one answer into a ``chat.completion``."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._refusals: list[str] = []
        self._thoughts: list[str] = []
        self._calls: dict[int, list[ToolCallDelta]] = {}
        self._started: Started | None = None
        self._usage: UsageReported | None = None
        self._finish_reason = FinishReason.ERROR
        self._error: PublicError | None = None

    def add(self, batch: EventBatch) -> None:
        """Take the next events, in their order."""
        for event in batch:
            self._take(event)

    def response(self) -> WireResponse:
        """The completion; of an answer that failed, the error alone."""
        if self._error is not None:
            return error_response(self._error)
        return WireResponse(200, JSON_HEADERS, json_bytes(self._completion()))

    def _take(self, event: ChatEvent) -> None:
        match event:
            case Started():
                self._started = event
            case TextDelta(text=text):
                self._texts.append(text)
            case RefusalDelta(text=text):
                self._refusals.append(text)
            case ReasoningDelta(text=text):
                self._thoughts.append(text)
            case ToolCallDelta(index=index):
                self._calls.setdefault(index, []).append(event)
            case UsageReported():
                self._usage = event
            case Finished(finish_reason=reason):
                self._finish_reason = reason
            case Failed(error=error):
                self._error = error
            case _:
                assert_never(event)

    def _completion(self) -> ChatCompletion:
        if self._started is None:
            raise ValueError("an answer that never started has no response")
        choice = _Choice(0, self._message(), None, _FINISH_REASONS[self._finish_reason])
        usage = self._usage
        return ChatCompletion(
            id=completion_id(self._started),
            created=self._started.created_at // US_PER_S,
            model=self._started.model,
            choices=[choice],
            usage=msgspec.UNSET if usage is None else completion_usage(usage),
            chatnest=msgspec.UNSET if usage is None else spend_report(usage),
        )

    def _message(self) -> _Message:
        content = "".join(self._texts)
        has_other = bool(self._calls or self._refusals)
        return _Message(
            content=None if has_other and not content else content,
            refusal="".join(self._refusals) or None,
            reasoning_content="".join(self._thoughts) or msgspec.UNSET,
            tool_calls=[_whole_call(self._calls[i]) for i in sorted(self._calls)] or msgspec.UNSET,
        )


def completion_id(started: Started) -> str:
    """The public id of an answer: its request's, with OpenAI's prefix."""
    return f"chatcmpl-{started.request_id}"


def _piece(event: ToolCallDelta) -> _ToolCall:
    return _ToolCall(
        index=event.index,
        id=event.id,
        type=None if event.id is None else "function",
        function=_Function(event.name, event.arguments),
    )


def _whole_call(pieces: list[ToolCallDelta]) -> _ToolCall:
    arguments = "".join([piece.arguments for piece in pieces])
    function = _Function(pieces[0].name, arguments)
    return _ToolCall(id=pieces[0].id, type="function", function=function)
