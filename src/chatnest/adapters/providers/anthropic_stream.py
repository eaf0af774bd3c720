"""The answer of Anthropic's Messages wire: a stream's payloads become events.

Pure mapping, without SDK and HTTP. The wire's blocks and their indexes end here.
"""

from collections.abc import Mapping

import msgspec

from chatnest.adapters.providers.anthropic_usage import ReportedUsage
from chatnest.adapters.providers.error_words import error_inside
from chatnest.adapters.providers.error_words import error_words as plain_words
from chatnest.adapters.providers.stream_decoder import StreamDecoder
from chatnest.domain.errors import Failure, FailureKind, ProviderError
from chatnest.domain.events import (
    Finished,
    FinishReason,
    ProviderEvent,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    UsageReported,
)


class _Delta(msgspec.Struct):
    type: str | None = None
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    partial_json: str | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None


class _Block(msgspec.Struct):
    type: str
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    id: str | None = None
    name: str | None = None
    input: msgspec.Raw = msgspec.Raw()


class _Message(msgspec.Struct):
    usage: msgspec.Raw = msgspec.Raw()


class _Event(msgspec.Struct):
    type: str = ""
    index: int = 0
    delta: _Delta | None = None
    content_block: _Block | None = None
    message: _Message | None = None
    # Read apart: figures that make no sense must not spoil an answer.
    usage: msgspec.Raw = msgspec.Raw()
    error: object = None


class _EventType(msgspec.Struct):
    type: str


_EVENTS = msgspec.json.Decoder(_Event)
_EVENT_TYPES = msgspec.json.Decoder(_EventType)

_KNOWN_TYPES = frozenset(
    {
        "content_block_delta",
        "content_block_start",
        "content_block_stop",
        "error",
        "message_delta",
        "message_start",
        "message_stop",
        "ping",
    }
)

# pause_turn ends an answer in which Anthropic runs tools of its own, which no call asks for.
_FINISH_REASONS: Mapping[str, FinishReason] = {
    "end_turn": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP,
    "pause_turn": FinishReason.STOP,
    "max_tokens": FinishReason.LENGTH,
    "model_context_window_exceeded": FinishReason.LENGTH,
    "tool_use": FinishReason.TOOL_CALLS,
    "refusal": FinishReason.CONTENT_FILTER,
}


class AnswerDecoder(StreamDecoder):
    """Turns the payloads of one stream into events in their legal order.

    The wire gives its usage in parts, the last beside the stop reason: both are held back until
    the stream says that it is done, or closes.
    """

    def __init__(self) -> None:
        super().__init__()
        self._finished: Finished | None = None
        self._usage = ReportedUsage()
        # Of each block that is a tool call: its number among the tool calls, and the input that
        # came with its start, which counts where no pieces of it follow.
        self._tool_calls: dict[int, int] = {}
        self._whole_inputs: dict[int, str] = {}

    def _take(self, payload: bytes, events: list[ProviderEvent]) -> None:
        event = _event(payload)
        match event.type:
            case "content_block_delta":
                if event.delta is not None:
                    self._take_delta(event.index, event.delta, events)
            case "content_block_start":
                if event.content_block is not None:
                    self._take_start(event.index, event.content_block, events)
            case "content_block_stop":
                self._take_whole_input(event.index, events)
            case "message_start":
                if event.message is not None:
                    self._usage.begin(event.message.usage)
            case "message_delta":
                self._take_end(event)
            case "message_stop":
                events += self._end()
            case _ if event.error or event.type == "error":
                raise error_inside(event.error, error_words)

    def _take_delta(self, index: int, delta: _Delta, events: list[ProviderEvent]) -> None:
        match delta.type:
            case "text_delta":
                if delta.text:
                    events.append(TextDelta(delta.text))
            case "thinking_delta":
                if delta.thinking:
                    events.append(ReasoningDelta(delta.thinking))
            case "signature_delta":
                if delta.signature:
                    events.append(ReasoningDelta(signature=delta.signature))
            case "input_json_delta":
                if delta.partial_json and index in self._tool_calls:
                    self._whole_inputs.pop(index, None)
                    number = self._tool_calls[index]
                    events.append(ToolCallDelta(number, arguments=delta.partial_json))

    def _take_start(self, index: int, block: _Block, events: list[ProviderEvent]) -> None:
        match block.type:
            case "text":
                if block.text:
                    events.append(TextDelta(block.text))
            case "thinking":
                if block.thinking or block.signature:
                    events.append(ReasoningDelta(block.thinking or "", block.signature or None))
            case "redacted_thinking":
                if block.data:
                    events.append(ReasoningDelta(signature=block.data, redacted=True))
            case "tool_use":
                number = len(self._tool_calls)
                self._tool_calls[index] = number
                self._whole_inputs[index] = _input_text(block.input)
                events.append(ToolCallDelta(number, block.id or None, block.name or None))

    def _take_whole_input(self, index: int, events: list[ProviderEvent]) -> None:
        arguments = self._whole_inputs.pop(index, None)
        if arguments is not None:
            events.append(ToolCallDelta(self._tool_calls[index], arguments=arguments))

    def _take_end(self, event: _Event) -> None:
        self._usage.update(event.usage)
        delta = event.delta
        if delta is not None and delta.stop_reason:
            finish_reason = _FINISH_REASONS.get(delta.stop_reason, FinishReason.STOP)
            self._finished = Finished(finish_reason, delta.stop_sequence)

    def _is_complete(self) -> bool:
        return self._finished is not None

    def _last_events(self) -> list[ProviderEvent]:
        events: list[ProviderEvent] = []
        for index in list(self._whole_inputs):
            self._take_whole_input(index, events)
        usage = self._usage.token_usage()
        if usage is not None:
            events.append(UsageReported(usage))
        events.append(self._finished or Finished(FinishReason.STOP))
        return events


def error_words(error: object) -> tuple[str | None, str | None]:
    """The words in an error object, the more specific first; sentences are left out.

    Anthropic says more than the type in the details of some errors.
    """
    details = error.get("details") if isinstance(error, Mapping) else None
    if isinstance(error, Mapping) and isinstance(details, Mapping):
        error = {"code": details.get("error_code"), "type": error.get("type")}
    return plain_words(error)


def _event(payload: bytes) -> _Event:
    try:
        return _EVENTS.decode(payload)
    except msgspec.ValidationError as error:
        # New types of events may come at any time, by Anthropic's versioning policy, and may use
        # the known fields in their own way.
        if _is_unknown(payload):
            return _Event()
        raise _malformed() from error
    except msgspec.DecodeError as error:
        raise _malformed() from error


def _is_unknown(payload: bytes) -> bool:
    try:
        return _EVENT_TYPES.decode(payload).type not in _KNOWN_TYPES
    except msgspec.DecodeError:
        return False


def _malformed() -> ProviderError:
    failure = Failure(FailureKind.MALFORMED)
    return ProviderError("an event of the stream cannot be read", failure)


def _input_text(raw: msgspec.Raw) -> str:
    try:
        text = bytes(raw).decode()
    except UnicodeDecodeError as error:
        raise _malformed() from error
    return "{}" if text in ("", "null") else text
