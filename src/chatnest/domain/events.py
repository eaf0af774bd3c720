"""What happens in an answer, in order, whatever the provider and the client's dialect.

Legal orders (anything else is a defect of the sender):

    Started  (TextDelta | RefusalDelta | ReasoningDelta | ToolCallDelta)*
        UsageReported?  (Finished | Failed)

A provider sends the same without ``Started`` and ``Failed``: the call's owner knows when it
began, and a provider fails by raising :class:`~chatnest.domain.errors.ProviderError`.

Events travel in batches, one batch for each network read, so that tokens which arrived together
are written together. One delta is made for every token: those classes are not frozen, because a
frozen dataclass costs two to three times as much to make. Treat them as values all the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from chatnest.domain.budget import Balance
from chatnest.domain.errors import PublicError
from chatnest.domain.usage import TokenUsage
from chatnest.domain.values import value


class FinishReason(StrEnum):
    """Why an answer ended."""

    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    CONTENT_FILTER = "content_filter"
    CANCELLED = "cancelled"
    ERROR = "error"


@value
class Started:
    """The call was admitted and is on its way to the provider.

    ``created_at`` is in microseconds since the Unix epoch.
    """

    request_id: str
    model: str
    profile: str
    created_at: int


@dataclass(slots=True)
class TextDelta:
    """A piece of the answer, never empty."""

    text: str


@dataclass(slots=True)
class RefusalDelta:
    """A piece of the model's own words on why it does not answer, never empty."""

    text: str


@dataclass(slots=True)
class ReasoningDelta:
    """A piece of what the model thinks aloud, never empty.

    ``signature`` ends a thought: the provider's own seal, which it wants back with the text. A
    ``redacted`` thought comes as its seal alone.
    """

    text: str = ""
    signature: str | None = None
    redacted: bool = False


@dataclass(slots=True)
class ToolCallDelta:
    """A piece of a tool call; ``id`` and ``name`` come with the first piece of each index."""

    index: int
    id: str | None = None
    name: str | None = None
    arguments: str = ""


@value
class UsageReported:
    """What the call used.

    A provider fills ``usage`` alone. The service adds the cost (None: no price is known), whether
    the figures are an estimate, and what is left of each budget.
    """

    usage: TokenUsage
    finish_reason: FinishReason | None = None
    cost_nano_usd: int | None = None
    estimated: bool = False
    balances: tuple[Balance, ...] = ()


@value
class Finished:
    """The answer is complete, or as complete as its limits allowed.

    ``stop_sequence`` is the one of the request's that ended it, where the provider says so.
    """

    finish_reason: FinishReason
    stop_sequence: str | None = None


@value
class Failed:
    """The answer ended early; what was sent before it stands."""

    error: PublicError


Delta = TextDelta | RefusalDelta | ReasoningDelta | ToolCallDelta
ProviderEvent = Delta | UsageReported | Finished
ChatEvent = Started | ProviderEvent | Failed
EventBatch = Sequence[ChatEvent]
ProviderBatch = Sequence[ProviderEvent]


class Phase(StrEnum):
    """How far an answer has come: the state of the table of legal orders."""

    NEW = "new"
    STREAMING = "streaming"
    REPORTED = "reported"
    ENDED = "ended"


_TRANSITIONS: dict[tuple[Phase, type], Phase] = {
    (Phase.NEW, Started): Phase.STREAMING,
    (Phase.STREAMING, TextDelta): Phase.STREAMING,
    (Phase.STREAMING, RefusalDelta): Phase.STREAMING,
    (Phase.STREAMING, ReasoningDelta): Phase.STREAMING,
    (Phase.STREAMING, ToolCallDelta): Phase.STREAMING,
    (Phase.STREAMING, UsageReported): Phase.REPORTED,
    (Phase.STREAMING, Finished): Phase.ENDED,
    (Phase.STREAMING, Failed): Phase.ENDED,
    (Phase.REPORTED, Finished): Phase.ENDED,
    (Phase.REPORTED, Failed): Phase.ENDED,
}


def next_phase(phase: Phase, event: ChatEvent) -> Phase | None:
    """The phase after *event*, or None where the table does not allow it."""
    return _TRANSITIONS.get((phase, type(event)))
