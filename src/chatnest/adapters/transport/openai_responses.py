"""The dialect of OpenAI's Responses: ``POST /v1/responses``, without anything that is stored."""

from chatnest.adapters.transport.openai_limits import openai_limit_headers
from chatnest.adapters.transport.openai_problems import error_response, refusal_response
from chatnest.adapters.transport.openai_responses_items import repeated_fields
from chatnest.adapters.transport.openai_responses_request import (
    decode_response_request,
    own_field,
)
from chatnest.adapters.transport.openai_responses_stream import ResponseEncoder, ResponseReply
from chatnest.adapters.transport.sse import STREAM_HEADERS
from chatnest.adapters.transport.wire import Asked, Headers, WireResponse
from chatnest.domain.admission import Admitted, Refusal
from chatnest.domain.errors import InvalidRequestError, PublicError
from chatnest.domain.events import Started


class OpenAIResponsesDialect:
    """The newer wire of OpenAI's SDKs; stateless, so that one serves every request."""

    @property
    def name(self) -> str:
        """``openai-responses``."""
        return "openai-responses"

    def decode(self, body: bytes) -> Asked:
        """The request in *body*; its answer is a stream only if it says so.

        Raises:
            InvalidRequestError: *body* is no request, or asks for what cannot be given.
        """
        request, asked = decode_response_request(body)
        make = ResponseEncoder if asked.stream else ResponseReply
        return Asked(request, make(repeated_fields(asked), with_seals=bool(asked.include)))

    def stream_headers(self, started: Started, admitted: Admitted, now: int) -> Headers:
        """Those of every stream, the request's id, and what the admission left of each limit."""
        return STREAM_HEADERS + self.answer_headers(started, admitted, now)

    def answer_headers(self, started: Started, admitted: Admitted, now: int) -> Headers:
        """The request's id, which the SDKs tell, and what the admission left of each limit."""
        limits = openai_limit_headers(admitted.rates, admitted.balances, now)
        return (("x-request-id", started.request_id), *limits)

    def refusal(self, refusal: Refusal, now: int) -> WireResponse:
        """OpenAI's error object, with the limit that refused and when it can succeed."""
        return refusal_response(refusal, now)

    def error(self, error: Exception | PublicError) -> WireResponse:
        """OpenAI's error object for what may be known of *error*."""
        if isinstance(error, InvalidRequestError):
            error = InvalidRequestError(error.reason, field=own_field(error.field))
        return error_response(error)
