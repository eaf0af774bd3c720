"""The dialect of Anthropic's clients: ``POST /v1/messages``, streamed or whole."""

from collections.abc import Iterable

from chatnest.adapters.transport.anthropic_limits import anthropic_limit_headers
from chatnest.adapters.transport.anthropic_problems import error_response
from chatnest.adapters.transport.anthropic_request import decode_messages
from chatnest.adapters.transport.anthropic_stream import AnthropicEncoder
from chatnest.adapters.transport.anthropic_whole import AnthropicReply
from chatnest.adapters.transport.limit_headers import limit_headers
from chatnest.adapters.transport.problems import error_problem, refusal_problem
from chatnest.adapters.transport.sse import STREAM_HEADERS
from chatnest.adapters.transport.wire import Asked, Headers, WireResponse
from chatnest.domain.admission import Admitted, RateStatus, Refusal
from chatnest.domain.budget import Balance
from chatnest.domain.errors import PublicError
from chatnest.domain.events import Started


class AnthropicDialect:
    """The wire of Anthropic's clients; stateless, so that one serves every request."""

    @property
    def name(self) -> str:
        """``anthropic``."""
        return "anthropic"

    def decode(self, body: bytes) -> Asked:
        """The request in *body*; its answer is a stream where ``stream`` is true.

        Raises:
            InvalidRequestError: *body* is no request.
        """
        request, streams = decode_messages(body)
        return Asked(request, AnthropicEncoder() if streams else AnthropicReply())

    def stream_headers(self, started: Started, admitted: Admitted, now: int) -> Headers:
        """Those of an event stream, and those of any answer."""
        return STREAM_HEADERS + self.answer_headers(started, admitted, now)

    def answer_headers(self, started: Started, admitted: Admitted, now: int) -> Headers:
        """The request's id, and what the admission left of each limit."""
        limits = _limits(admitted.rates, admitted.balances, now)
        return (("request-id", started.request_id), *limits)

    def refusal(self, refusal: Refusal, now: int) -> WireResponse:
        """An error that says which limit refused, and when the request can succeed."""
        limits = _limits(refusal.rates, refusal.balances, now)
        return error_response(refusal_problem(refusal), limits)

    def error(self, error: Exception | PublicError) -> WireResponse:
        """An error that says what may be known of *error*."""
        return error_response(error_problem(error))


def _limits(rates: Iterable[RateStatus], balances: Iterable[Balance], now: int) -> Headers:
    return limit_headers(rates, balances, now) + anthropic_limit_headers(rates, balances, now)
