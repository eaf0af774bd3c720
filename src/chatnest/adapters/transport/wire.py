"""What a wire dialect is: the one shape in which every transport meets the core.

A dialect turns a request's body into a :class:`~chatnest.domain.requests.ChatRequest`, and what
comes back (events, a refusal, an error) into bytes. It does no I/O and knows no web framework.
"""

from dataclasses import dataclass
from typing import Protocol

from chatnest.domain.admission import Admitted, Refusal
from chatnest.domain.errors import PublicError
from chatnest.domain.events import EventBatch
from chatnest.domain.requests import ChatRequest

Headers = tuple[tuple[str, str], ...]
"""Pairs of a lower-case name and a value, both ASCII."""


@dataclass(frozen=True, slots=True)
class WireResponse:
    """A whole response: for everything that is not a stream."""

    status: int
    headers: Headers
    body: bytes


class Encoder(Protocol):
    """Encodes the events of one answer, in their order; made anew for each answer."""

    @property
    def ping(self) -> bytes:
        """A frame that keeps a silent connection open and that the client ignores."""

    def encode(self, batch: EventBatch) -> bytes:
        """The frames of *batch*, joined, so that one batch is one write."""


class Dialect(Protocol):
    """One client family's way to ask for an answer and to read it."""

    @property
    def name(self) -> str:
        """The name that the configuration uses."""

    def decode(self, body: bytes) -> ChatRequest:
        """The request in *body*; who sent it, and what they may ask for, is judged elsewhere.

        Raises:
            InvalidRequestError: *body* is no request; names the field, the reason, what to do.
        """

    def encoder(self) -> Encoder:
        """A new encoder for one answer."""

    def stream_headers(self, admitted: Admitted, now: int) -> Headers:
        """The headers of a stream that was *admitted* at the instant *now*."""

    def refusal(self, refusal: Refusal, now: int) -> WireResponse:
        """The response to a request that was not admitted at the instant *now*."""

    def error(self, error: Exception | PublicError) -> WireResponse:
        """The response to a request that failed before its stream began.

        Takes any exception; of one that is not ChatNest's own nothing is told.
        """
