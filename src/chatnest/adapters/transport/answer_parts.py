"""An answer as a row of parts that a stream opens, fills and closes: texts, thoughts, tool calls.

The AI SDK and AG-UI both want it so, in frames of their own. When a part opens and closes is
decided here, once; a dialect says only what the frames are.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import assert_never

from chatnest.adapters.transport.data_frames import COMMENT_PING, json_bytes
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


@dataclass(frozen=True, slots=True)
class PartFrames:
    """What opens a part, what stands around each JSON text that fills it, and what closes it."""

    start: bytes
    before: bytes
    after: bytes
    end: bytes

    def delta(self, text: str) -> bytes:
        """The frame of one more piece."""
        return self.before + json_bytes(text) + self.after


@dataclass(frozen=True, slots=True)
class OpenCall:
    """A tool call whose ``pieces`` of arguments still come in."""

    id: str
    name: str
    frames: PartFrames
    pieces: list[str] = field(default_factory=list)

    @property
    def arguments(self) -> str:
        """What the model has written so far."""
        return "".join(self.pieces)


class PartsEncoder(ABC):
    """Encodes one answer; at most one text or thought is open at a time.

    Calls stay open to the end, because their pieces may alternate. In an answer that fails they
    are never closed: to both clients the end of a call means that it can be run.
    """

    def __init__(self) -> None:
        self._text: PartFrames | None = None
        self._thought: PartFrames | None = None
        self._calls: dict[int, OpenCall] = {}
        self._usage: UsageReported | None = None

    @property
    def ping(self) -> bytes:
        """A comment."""
        return COMMENT_PING

    def encode(self, batch: EventBatch) -> bytes:
        """The frames of *batch*, joined; never fails for what is in a text."""
        frames: list[bytes] = []
        for event in batch:
            if type(event) is TextDelta and self._text is not None:
                frames.append(self._text.delta(event.text))
            else:
                frames += self._rare_frames(event)
        return b"".join(frames)

    def _rare_frames(self, event: ChatEvent) -> list[bytes]:
        match event:
            case Started():
                return [self._begin(event)]
            case TextDelta(text=text) | RefusalDelta(text=text):
                return self._text_frames(text)
            case ReasoningDelta():
                return self._thought_frames(event)
            case ToolCallDelta():
                return self._call_frames(event)
            case UsageReported():
                self._usage = event
                return [self._report(event)]
            case Finished():
                ends = [self._end_call(call) for call in self._calls.values()]
                return [*self._close(), *ends, self._finish(event)]
            case Failed(error=error):
                return [*self._close(), self._fail(error)]
            case _:
                assert_never(event)

    def _text_frames(self, text: str) -> list[bytes]:
        frames = []
        if self._text is None:
            frames = self._close()
            self._text = self._open_text()
            frames.append(self._text.start)
        frames.append(self._text.delta(text))
        return frames

    def _thought_frames(self, thought: ReasoningDelta) -> list[bytes]:
        """A seal closes the thought that is open; a redacted one is a whole thought of its own."""
        frames = []
        if self._thought is None or thought.redacted:
            frames = self._close()
            self._thought = self._open_thought(redacted=thought.redacted)
            frames.append(self._thought.start)
        if thought.text:
            frames.append(self._thought.delta(thought.text))
        if thought.signature is not None:
            frames += self._close(thought.signature, redacted=thought.redacted)
        return frames

    def _call_frames(self, piece: ToolCallDelta) -> list[bytes]:
        frames = []
        call = self._calls.get(piece.index)
        if call is None:
            frames = self._close()
            call_id, name = piece.id or f"call-{piece.index}", piece.name or ""
            call = OpenCall(call_id, name, self._open_call(call_id, name))
            self._calls[piece.index] = call
            frames.append(call.frames.start)
        if piece.arguments:
            call.pieces.append(piece.arguments)
            frames.append(call.frames.delta(piece.arguments))
        return frames

    def _close(self, signature: str | None = None, *, redacted: bool = False) -> list[bytes]:
        """Close the text or thought that is open; *signature* is the thought's seal."""
        text, thought = self._text, self._thought
        self._text = self._thought = None
        if thought is not None and signature is not None:
            return [self._end_sealed(thought, signature, redacted=redacted)]
        return [part.end for part in (text, thought) if part is not None]

    @abstractmethod
    def _begin(self, started: Started) -> bytes: ...

    @abstractmethod
    def _open_text(self) -> PartFrames: ...

    @abstractmethod
    def _open_thought(self, *, redacted: bool) -> PartFrames: ...

    @abstractmethod
    def _end_sealed(self, thought: PartFrames, signature: str, *, redacted: bool) -> bytes: ...

    @abstractmethod
    def _open_call(self, call_id: str, name: str) -> PartFrames: ...

    @abstractmethod
    def _end_call(self, call: OpenCall) -> bytes: ...

    @abstractmethod
    def _report(self, usage: UsageReported) -> bytes: ...

    @abstractmethod
    def _finish(self, finished: Finished) -> bytes: ...

    @abstractmethod
    def _fail(self, error: PublicError) -> bytes: ...
