"""An answer as Anthropic's events: a message of blocks, each of which starts, grows and stops."""

from typing import Final, assert_never

import msgspec

from chatnest.adapters.transport.anthropic_problems import error_body
from chatnest.adapters.transport.data_frames import json_bytes
from chatnest.adapters.transport.problems import error_problem
from chatnest.adapters.transport.sse import FRAME_END, frame_start
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

PING: Final = b'event: ping\ndata: {"type": "ping"}\n\n'
_STOPPED: Final = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
_ERROR: Final = frame_start("error")

STOP_REASONS: Final = {
    FinishReason.STOP: "end_turn",
    FinishReason.LENGTH: "max_tokens",
    FinishReason.TOOL_CALLS: "tool_use",
    FinishReason.CONTENT_FILTER: "refusal",
    # The wire has no words for an answer that others ended: it is cut off, as by its limit.
    FinishReason.CANCELLED: "max_tokens",
    FinishReason.ERROR: "max_tokens",
}


class OutputDetails(msgspec.Struct, frozen=True):
    """How much of the output nobody sees, or only in summary."""

    thinking_tokens: int


class UsageBody(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What the answer used; the three kinds of input are apart, and their sum is all of it."""

    input_tokens: int
    cache_creation_input_tokens: int
    cache_read_input_tokens: int
    output_tokens: int
    output_tokens_details: OutputDetails | None = None


class StopBody(msgspec.Struct, frozen=True):
    """Why the answer ended; ``stop_reason`` None where it did not come to its end."""

    stop_reason: str | None = None
    stop_sequence: str | None = None


class MessageDelta(msgspec.Struct, frozen=True, tag_field="type", tag="message_delta"):
    """The data of ``message_delta``."""

    delta: StopBody
    usage: UsageBody


class StartedMessage(msgspec.Struct, frozen=True, tag_field="type", tag="message", kw_only=True):
    """A message that is empty as yet.

    What it uses is not known before it ends: ``message_delta`` says it, and clients take that.
    """

    id: str
    role: str = "assistant"
    model: str
    content: tuple[()] = ()
    stop_reason: None = None
    stop_sequence: None = None
    usage: UsageBody


class MessageStart(msgspec.Struct, frozen=True, tag_field="type", tag="message_start"):
    """The data of ``message_start``."""

    message: StartedMessage


def message_id(started: Started) -> str:
    """The id of an answer: that of its request, as the journal has it, behind ``msg_``."""
    return f"msg_{started.request_id}"


def usage_body(usage: TokenUsage) -> UsageBody:
    """*usage* in the wire's own buckets."""
    cached, written = usage.cached_input_tokens, usage.cache_write_tokens
    thought = usage.reasoning_tokens
    return UsageBody(
        input_tokens=usage.input_tokens - cached - written,
        cache_creation_input_tokens=written,
        cache_read_input_tokens=cached,
        output_tokens=usage.output_tokens,
        output_tokens_details=OutputDetails(thought) if thought else None,
    )


def stop_reason(finished: Finished) -> str:
    """Why the answer ended, in the wire's words."""
    by_sequence = finished.finish_reason is FinishReason.STOP and finished.stop_sequence is not None
    return "stop_sequence" if by_sequence else STOP_REASONS[finished.finish_reason]


class AnthropicEncoder:
    """Writes one answer for Anthropic's SDKs.

    One block is open at a time. Providers write one tool call after another, and a block is
    stopped where the next begins; should a piece come for a call whose block is closed, it goes
    there all the same, by its index, and the SDKs add it.
    """

    def __init__(self) -> None:
        self._request_id: str | None = None
        self._usage: TokenUsage = NO_USAGE
        self._next_block = 0
        self._call_blocks: dict[int, int] = {}
        self._open: type | int | None = None
        # What stands before the next piece of the open block.
        self._piece_start = b""

    @property
    def ping(self) -> bytes:
        """``event: ping``, which may stand anywhere."""
        return PING

    def encode(self, batch: EventBatch) -> bytes:
        """The frames of *batch*, joined; never fails for what is in a text."""
        frames: list[bytes] = []
        for event in batch:
            if type(event) is TextDelta and self._open is TextDelta:
                frames.append(self._piece_start + json_bytes(event.text) + b"}}\n\n")
            else:
                self._write(event, frames)
        return b"".join(frames)

    def _write(self, event: ChatEvent, frames: list[bytes]) -> None:
        match event:
            case Started():
                frames.append(self._started(event))
            case TextDelta(text=text) | RefusalDelta(text=text):
                self._write_text(text, frames)
            case ReasoningDelta():
                self._write_thought(event, frames)
            case ToolCallDelta():
                self._write_call(event, frames)
            case UsageReported(usage=usage):
                self._usage = usage
            case Finished():
                self._close(frames)
                self._write_ending(StopBody(stop_reason(event), event.stop_sequence), frames)
                frames.append(_STOPPED)
            case Failed(error=error):
                # The client reads nothing after the error, so the usage goes before it.
                if self._usage is not NO_USAGE:
                    self._write_ending(StopBody(), frames)
                body = error_body(error_problem(error), self._request_id)
                frames += (_ERROR, json_bytes(body), FRAME_END)
            case _:
                assert_never(event)

    def _started(self, started: Started) -> bytes:
        self._request_id = started.request_id
        message = StartedMessage(
            id=message_id(started), model=started.model, usage=usage_body(NO_USAGE)
        )
        return frame_start("message_start") + json_bytes(MessageStart(message)) + FRAME_END

    def _write_ending(self, stop: StopBody, frames: list[bytes]) -> None:
        ending = MessageDelta(stop, usage_body(self._usage))
        frames += (frame_start("message_delta"), json_bytes(ending), FRAME_END)

    def _write_text(self, text: str, frames: list[bytes]) -> None:
        if self._open is not TextDelta:
            self._start(TextDelta, b'{"type":"text","text":""}', frames)
            self._piece_start = _piece(self._block, b'"text_delta","text":')
        frames += (self._piece_start, json_bytes(text), b"}}\n\n")

    def _write_thought(self, event: ReasoningDelta, frames: list[bytes]) -> None:
        if event.redacted:
            sealed = (
                b'{"type":"redacted_thinking","data":' + json_bytes(event.signature or "") + b"}"
            )
            self._start(ReasoningDelta, sealed, frames)
            self._close(frames)
            return
        if self._open is not ReasoningDelta:
            self._start(ReasoningDelta, b'{"type":"thinking","thinking":"","signature":""}', frames)
            self._piece_start = _piece(self._block, b'"thinking_delta","thinking":')
        if event.text:
            frames += (self._piece_start, json_bytes(event.text), b"}}\n\n")
        if event.signature is not None:
            seal_start = _piece(self._block, b'"signature_delta","signature":')
            frames += (seal_start, json_bytes(event.signature), b"}}\n\n")
            self._close(frames)

    def _write_call(self, event: ToolCallDelta, frames: list[bytes]) -> None:
        if event.index not in self._call_blocks:
            identity = (
                b'"id":' + json_bytes(event.id or "") + b',"name":' + json_bytes(event.name or "")
            )
            self._start(event.index, b'{"type":"tool_use",' + identity + b',"input":{}}', frames)
            self._call_blocks[event.index] = self._block
            self._piece_start = _piece(self._block, _JSON_PIECE)
        if event.arguments:
            is_open = self._open == event.index
            late = self._call_blocks[event.index]
            start = self._piece_start if is_open else _piece(late, _JSON_PIECE)
            frames += (start, json_bytes(event.arguments), b"}}\n\n")

    @property
    def _block(self) -> int:
        """The index of the block that was started last."""
        return self._next_block - 1

    def _start(self, kind: type | int, block: bytes, frames: list[bytes]) -> None:
        self._close(frames)
        self._open = kind
        index = b"%d" % self._next_block
        self._next_block += 1
        frames += (_BLOCK_START, index, b',"content_block":', block, b"}\n\n")

    def _close(self, frames: list[bytes]) -> None:
        if self._open is not None:
            frames += (_BLOCK_STOP, b"%d" % self._block, b"}\n\n")
            self._open = None


_BLOCK_START: Final = frame_start("content_block_start") + b'{"type":"content_block_start","index":'
_BLOCK_STOP: Final = frame_start("content_block_stop") + b'{"type":"content_block_stop","index":'
_DELTA: Final = frame_start("content_block_delta") + b'{"type":"content_block_delta","index":'
_JSON_PIECE: Final = b'"input_json_delta","partial_json":'


def _piece(block: int, kind: bytes) -> bytes:
    """What stands before a piece of *block*; behind it stand two braces and the frame's end."""
    return _DELTA + b'%d,"delta":{"type":' % block + kind
