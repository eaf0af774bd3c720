"""What people and models say to each other, independent of any provider's wire."""

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """Who speaks. ``developer`` messages of the OpenAI wire are ``system`` here."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A model's wish to run one of the caller's tools.

    ``arguments`` is the JSON text as the model wrote it: it may be incomplete or invalid JSON.
    """

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Message:
    """One immutable message of a conversation.

    ``tool_calls`` is for assistant messages, ``tool_call_id`` names the call that a tool message
    answers. A ``pinned`` message is never trimmed away.
    """

    role: Role
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    pinned: bool = False

    @property
    def text(self) -> str:
        """Everything in the message that a model reads, as one text to count.

        The parts stand on lines of their own: run together they could be fewer tokens than apart.
        """
        parts = [self.content]
        if self.tool_call_id is not None:
            parts.append(self.tool_call_id)
        for call in self.tool_calls:
            parts += (call.id, call.name, call.arguments)
        return "\n".join(parts)
