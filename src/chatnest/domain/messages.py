"""What people and models say to each other, independent of any provider's wire."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Self

from chatnest.domain.values import value


class Role(StrEnum):
    """Who speaks. ``developer`` messages of the OpenAI wire are ``system`` here."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


@value
class ToolCall:
    """A model's wish to run one of the caller's tools.

    ``arguments`` is the JSON text as the model wrote it: it may be incomplete or invalid JSON.
    """

    id: str
    name: str
    arguments: str


@value
class TextPart:
    """A piece of text among other parts."""

    text: str


@value
class ImagePart:
    """A picture: ``url`` is an ``https:`` address, or a ``data:`` URL that holds it in base64.

    ``detail`` is how closely the model is to look (``low``, ``high``); None leaves it to the model.
    """

    url: str
    detail: str | None = None


@value
class ReasoningPart:
    """A thought of the model, to be given back to it as it came.

    ``signature`` is the provider's own seal on it, which only that provider can read. A
    ``redacted`` thought has no text, and its seal is all there is.
    """

    text: str = ""
    signature: str | None = None
    redacted: bool = False


Part = TextPart | ImagePart | ReasoningPart


@value
class Message:
    """One immutable message of a conversation.

    ``content`` is its text. Where it is more than one text, ``parts`` is all of it in its order,
    and ``content`` the texts among them; :meth:`of_parts` keeps the two together.

    ``tool_calls`` is for assistant messages, ``tool_call_id`` names the call that a tool message
    answers, and ``is_error`` says that the tool failed. A ``pinned`` message is never trimmed away.
    """

    role: Role
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    pinned: bool = False
    parts: tuple[Part, ...] = ()
    is_error: bool = False

    @classmethod
    def of_parts(
        cls,
        role: Role,
        parts: Sequence[Part],
        *,
        tool_calls: tuple[ToolCall, ...] = (),
        tool_call_id: str | None = None,
        is_error: bool = False,
    ) -> Self:
        """A message of *parts*; of one that is a single text, the text alone is kept."""
        texts = [part.text for part in parts if isinstance(part, TextPart)]
        is_plain = len(texts) == len(parts) <= 1
        kept = () if is_plain else tuple(parts)
        return cls(role, "\n".join(texts), tool_calls, tool_call_id, False, kept, is_error)

    @property
    def images(self) -> tuple[ImagePart, ...]:
        """The pictures among the parts."""
        if not self.parts:
            return ()
        return tuple([part for part in self.parts if isinstance(part, ImagePart)])

    @property
    def text(self) -> str:
        """Everything in the message that a model reads, as one text to count; pictures apart.

        The parts stand on lines of their own: run together they could be fewer tokens than apart.
        """
        if not (self.tool_calls or self.parts or self.tool_call_id is not None):
            return self.content
        texts = [self.content]
        texts += [part.text for part in self.parts if isinstance(part, ReasoningPart) and part.text]
        if self.tool_call_id is not None:
            texts.append(self.tool_call_id)
        for call in self.tool_calls:
            texts += (call.id, call.name, call.arguments)
        return "\n".join(texts)
