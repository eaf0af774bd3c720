"""What a wire dialect is: the one shape in which every transport meets the core.

A dialect turns a request's body into a :class:`~chatnest.domain.requests.ChatRequest`, and what
comes back (events, a refusal, an error) into bytes. It does no I/O and knows no web framework.
"""

from dataclasses import dataclass
from typing import Protocol, cast, runtime_checkable

from chatnest.domain.admission import Admitted, Refusal
from chatnest.domain.errors import PublicError
from chatnest.domain.events import EventBatch, Started
from chatnest.domain.requests import ChatRequest

Headers = tuple[tuple[str, str], ...]
"""Pairs of a lower-case name and a value, both ASCII."""


@dataclass(frozen=True, slots=True)
class WireResponse:
    """A whole response: for everything that is not a stream."""

    status: int
    headers: Headers
    body: bytes


@runtime_checkable
class Encoder(Protocol):
    """Encodes the events of one answer, in their order; made anew for each answer."""

    @property
    def ping(self) -> bytes:
        """A frame that keeps a silent connection open and that the client ignores."""

    def encode(self, batch: EventBatch) -> bytes:
        """The frames of *batch*, joined, so that one batch is one write."""


class WholeReply(Protocol):
    """Collects the events of one answer for a client that wants it in one piece."""

    def add(self, batch: EventBatch) -> None:
        """Take the next events, in their order."""

    def response(self) -> WireResponse:
        """The whole answer, or the error that it ended with, once its last event was added.

        Its headers are without those of :meth:`Dialect.answer_headers`.
        """


@dataclass(frozen=True, slots=True)
class Asked:
    """A decoded request: what is asked, and how its answer is to be written.

    ``reply`` is for this answer alone: an :class:`Encoder` where the client wants a stream.
    """

    request: ChatRequest
    reply: Encoder | WholeReply

    @property
    def encoder(self) -> Encoder | None:
        """The reply's encoder; None where the client wants the answer in one piece."""
        # Asking a protocol by isinstance would cost more than encoding twenty tokens.
        return cast(Encoder, self.reply) if hasattr(self.reply, "ping") else None


class Dialect(Protocol):
    """One client family's way to ask for an answer and to read it."""

    @property
    def name(self) -> str:
        """The name that the configuration uses."""

    def decode(self, body: bytes) -> Asked:
        """The request in *body*; who sent it, and what they may ask for, is judged elsewhere.

        Raises:
            InvalidRequestError: *body* is no request; names the field, the reason, what to do.
        """

    def stream_headers(self, started: Started, admitted: Admitted, now: int) -> Headers:
        """All headers of a stream that was *admitted* at the instant *now*."""

    def answer_headers(self, started: Started, admitted: Admitted, now: int) -> Headers:
        """What a whole answer's headers say beside those of its :class:`WholeReply`."""

    def refusal(self, refusal: Refusal, now: int) -> WireResponse:
        """The response to a request that was not admitted at the instant *now*."""

    def error(self, error: Exception | PublicError) -> WireResponse:
        """The response to a request that failed before its stream began.

        Takes any exception; of one that is not ChatNest's own nothing is told.
        """
