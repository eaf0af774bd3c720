"""An oracle: what an answer is once it is whole, as a row of parts, whatever wire it takes.

Pieces of text run together until something else begins. A thought ends with its seal, or where
something else begins. A call stands where its first piece came.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from chatnest.domain.events import (
    ChatEvent,
    Failed,
    Finished,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextDelta,
    ToolCallDelta,
    UsageReported,
)


@dataclass
class Text:
    """What the model said."""

    text: str = ""


@dataclass
class Thought:
    """What it thought."""

    text: str = ""
    seal: str | None = None
    redacted: bool = False


@dataclass
class Call:
    """What it wants to be called."""

    id: str
    name: str
    arguments: str = ""


@dataclass
class Answer:
    """The parts in their order, and how the answer ended."""

    started: Started
    parts: list[Text | Thought | Call] = field(default_factory=list)
    usage: UsageReported | None = None
    ending: Finished | Failed | None = None

    @property
    def calls(self) -> list[Call]:
        return [part for part in self.parts if isinstance(part, Call)]

    @property
    def thoughts(self) -> list[Thought]:
        return [part for part in self.parts if isinstance(part, Thought)]

    @property
    def text(self) -> str:
        return "".join(part.text for part in self.parts if isinstance(part, Text))

    @property
    def has_half_pairs(self) -> bool:
        texts = [part.arguments if isinstance(part, Call) else part.text for part in self.parts]
        return any(re.search("[\ud800-\udfff]", whole(text)) for text in texts)

    @property
    def failed(self) -> bool:
        return isinstance(self.ending, Failed)


def answer(events: Sequence[ChatEvent]) -> Answer:
    """What *events* add up to."""
    started = events[0]
    assert isinstance(started, Started)
    whole = Answer(started)
    current: Text | Thought | None = None
    calls: dict[int, Call] = {}
    for event in events[1:]:
        match event:
            case TextDelta(text=text) | RefusalDelta(text=text):
                if not isinstance(current, Text):
                    current = Text()
                    whole.parts.append(current)
                current.text += text
            case ReasoningDelta():
                if not isinstance(current, Thought) or event.redacted:
                    current = Thought(redacted=event.redacted)
                    whole.parts.append(current)
                current.text += event.text
                if event.signature is not None:
                    current.seal, current = event.signature, None
            case ToolCallDelta(id=str(), name=str()):
                current = None
                calls[event.index] = Call(str(event.id), str(event.name), event.arguments)
                whole.parts.append(calls[event.index])
            case ToolCallDelta():
                calls[event.index].arguments += event.arguments
            case UsageReported():
                whole.usage = event
            case Finished() | Failed():
                whole.ending = event
            case Started():
                raise AssertionError("started twice")
    return whole


def whole(text: str) -> str:
    """*text* with the two halves of a surrogate pair joined, as JavaScript has them."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
