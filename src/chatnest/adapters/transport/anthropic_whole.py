"""An answer as one of Anthropic's messages, for a client that wants it in one piece.

It has the blocks that :class:`~chatnest.adapters.transport.anthropic_stream.AnthropicEncoder`
would have streamed.
"""

from dataclasses import dataclass, field
from typing import Final, TypeVar, assert_never

import msgspec

from chatnest.adapters.transport.anthropic_problems import JSON_HEADERS, error_response
from chatnest.adapters.transport.anthropic_stream import (
    UsageBody,
    message_id,
    stop_reason,
    usage_body,
)
from chatnest.adapters.transport.data_frames import json_bytes
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
from chatnest.domain.usage import NO_USAGE, TokenUsage

INVALID_JSON: Final = "INVALID_JSON"
"""Where the arguments of a call are no JSON object, the one field of its input: their text.

The wire's own advice for such arguments, because its ``input`` cannot be a text.
"""

_ARGUMENTS: Final = msgspec.json.Decoder(dict[str, object])


@dataclass(slots=True)
class _Text:
    pieces: list[str] = field(default_factory=list)

    def shown(self) -> dict[str, object]:
        return {"type": "text", "text": "".join(self.pieces)}


@dataclass(slots=True)
class _Thought:
    pieces: list[str] = field(default_factory=list)
    signature: str = ""
    redacted: bool = False

    def shown(self) -> dict[str, object]:
        if self.redacted:
            return {"type": "redacted_thinking", "data": self.signature}
        thinking = "".join(self.pieces)
        return {"type": "thinking", "thinking": thinking, "signature": self.signature}


@dataclass(slots=True)
class _Call:
    id: str
    name: str
    pieces: list[str] = field(default_factory=list)

    def shown(self) -> dict[str, object]:
        arguments = _arguments("".join(self.pieces))
        return {"type": "tool_use", "id": self.id, "name": self.name, "input": arguments}


_Block = _Text | _Thought | _Call
_B = TypeVar("_B", _Text, _Thought, _Call)


class WholeMessage(msgspec.Struct, frozen=True, tag_field="type", tag="message", kw_only=True):
    """The whole answer."""

    id: str
    role: str = "assistant"
    model: str
    content: list[dict[str, object]]
    stop_reason: str | None
    stop_sequence: str | None
    usage: UsageBody


class AnthropicReply:
    """Collects one answer for Anthropic's SDKs."""

    def __init__(self) -> None:
        self._started: Started | None = None
        self._usage: TokenUsage = NO_USAGE
        self._ending: Finished | PublicError = Finished(FinishReason.ERROR)
        self._blocks: list[_Block] = []
        self._calls: dict[int, _Call] = {}
        self._open: _Block | None = None

    def add(self, batch: EventBatch) -> None:
        """Take the next events, in their order."""
        for event in batch:
            self._take(event)

    def response(self) -> WireResponse:
        """The message, or the error that the answer ended with."""
        started, ending = self._started, self._ending
        request_id = None if started is None else started.request_id
        if isinstance(ending, PublicError):
            return error_response(error_problem(ending), request_id=request_id)
        message = WholeMessage(
            id="" if started is None else message_id(started),
            model="" if started is None else started.model,
            content=[block.shown() for block in self._blocks],
            stop_reason=stop_reason(ending),
            stop_sequence=ending.stop_sequence,
            usage=usage_body(self._usage),
        )
        return WireResponse(200, JSON_HEADERS, json_bytes(message))

    def _take(self, event: ChatEvent) -> None:
        match event:
            case Started():
                self._started = event
            case TextDelta(text=text) | RefusalDelta(text=text):
                self._text().pieces.append(text)
            case ReasoningDelta():
                self._take_thought(event)
            case ToolCallDelta():
                self._call(event).pieces.append(event.arguments)
            case UsageReported(usage=usage):
                self._usage = usage
            case Finished():
                self._ending = event
            case Failed(error=error):
                self._ending = error
            case _:
                assert_never(event)

    def _text(self) -> _Text:
        if isinstance(self._open, _Text):
            return self._open
        return self._begin(_Text())

    def _take_thought(self, event: ReasoningDelta) -> None:
        if event.redacted:
            self._begin(_Thought(signature=event.signature or "", redacted=True))
            self._open = None
            return
        thought = self._open if isinstance(self._open, _Thought) else self._begin(_Thought())
        thought.pieces.append(event.text)
        if event.signature is not None:
            thought.signature = event.signature
            self._open = None

    def _call(self, event: ToolCallDelta) -> _Call:
        known = self._calls.get(event.index)
        if known is None:
            known = self._begin(_Call(event.id or "", event.name or ""))
            self._calls[event.index] = known
        return known

    def _begin(self, block: _B) -> _B:
        self._blocks.append(block)
        self._open = block
        return block


def _arguments(text: str) -> dict[str, object]:
    if not text:
        return {}
    try:
        return _ARGUMENTS.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return {INVALID_JSON: text}
