"""What one chat request goes through, whatever its dialect: who, what, whether, and the stream."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from litestar import Request, Response
from litestar.response.base import ASGIResponse

from chatnest.adapters.transport.chatnest import ChatNestDialect
from chatnest.adapters.transport.wire import Asked, Dialect, WholeReply, WireResponse
from chatnest.app.auth import PrincipalResolver, UnauthorizedError, identify
from chatnest.app.bodies import read_body
from chatnest.app.config import ChatNestConfig
from chatnest.app.idempotency import keyed
from chatnest.app.streaming import EventStreamResponse, StreamRegistry, WholeResponse
from chatnest.domain.admission import Refusal
from chatnest.domain.answer import Answer
from chatnest.domain.chat import ChatService
from chatnest.domain.errors import (
    ChatNestError,
    ConfigurationError,
    PublicError,
    StoreUnavailableError,
)
from chatnest.domain.ports import Clock
from chatnest.domain.windows import US_PER_S

_logger = logging.getLogger("chatnest.requests")

AnyRequest = Request[Any, Any, Any]


@dataclass(frozen=True, slots=True)
class Serving:
    """What the routes of one application work with."""

    config: ChatNestConfig
    service: ChatService
    registry: StreamRegistry
    clock: Clock
    resolve_principal: PrincipalResolver
    started_at: int


CurrentServing = Callable[[], Serving]
"""Gives what the running application works with: it is built anew at each start."""


async def serve_chat(serving: Serving, dialect: Dialect, request: AnyRequest) -> ASGIResponse:
    """Answer *request* in *dialect*: with a stream, or with what kept it from becoming one."""
    try:
        return await _open_stream(serving, dialect, request)
    except Exception as error:
        return failure_response(dialect, error)


def failure_response(dialect: Dialect, error: Exception) -> ASGIResponse:
    """The response to *error* in *dialect*."""
    return plain_response(failure(dialect, error))


def failure(dialect: Dialect, error: Exception) -> WireResponse:
    """What *dialect* says to *error*; of one that is a defect nothing is told.

    What the operator has to mend is logged, because the client is not told what it is.
    """
    match error:
        case UnauthorizedError():
            told = dialect.error(PublicError("unauthenticated", str(error)))
            return replace(told, headers=(*told.headers, ("www-authenticate", error.challenge)))
        case StoreUnavailableError():
            # The message is written for operators: it names no credentials and no prompts.
            _logger.warning("a request was refused: %s", error)
        case ConfigurationError():
            _logger.error("a request failed: %s", error)
        case ChatNestError():
            pass
        case _:
            _logger.error("a request failed with %s", type(error).__name__)
    return dialect.error(error)


def handle_failure(request: AnyRequest, error: Exception) -> Response[bytes]:
    """Litestar's exception handler for what no route of ours has caught, in our own dialect."""
    return handled(failure(ChatNestDialect(), error))


def handled(told: WireResponse, headers: Mapping[str, str] | None = None) -> Response[bytes]:
    """*told*, with more *headers*, as Litestar wants it from an exception handler."""
    return Response(
        told.body, status_code=told.status, headers={**dict(told.headers), **(headers or {})}
    )


def plain_response(response: WireResponse) -> ASGIResponse:
    """*response* as Litestar sends it."""
    return ASGIResponse(body=response.body, status_code=response.status, headers=response.headers)


async def _open_stream(serving: Serving, dialect: Dialect, request: AnyRequest) -> ASGIResponse:
    config, clock = serving.config, serving.clock
    principal = await identify(serving.resolve_principal, request)
    body = await read_body(request, config.max_body_bytes, clock)
    asked = dialect.decode(body)
    serving.registry.check_open()
    outcome = await serving.service.open(principal, keyed(asked.request, request))
    if isinstance(outcome, Refusal):
        return plain_response(dialect.refusal(outcome, clock.now()))
    try:
        return _answer(serving, dialect, asked, outcome)
    except BaseException:
        await outcome.aclose()
        raise


def _answer(serving: Serving, dialect: Dialect, asked: Asked, answer: Answer) -> ASGIResponse:
    """*answer* as its client wants to have it: as a stream, or in one piece."""
    limits = serving.config.time_limits
    now, encoder = serving.clock.now(), asked.encoder
    if encoder is None:
        return WholeResponse(
            answer,
            cast(WholeReply, asked.reply),
            serving.registry,
            serving.clock,
            headers=dialect.answer_headers(answer.started, answer.admitted, now),
            write_stall_us=answer.time_limits.write_stall_us,
        )
    return EventStreamResponse(
        answer,
        encoder,
        serving.registry,
        serving.clock,
        headers=dialect.stream_headers(answer.started, answer.admitted, now),
        heartbeat_us=round(limits.heartbeat_s * US_PER_S),
        write_stall_us=answer.time_limits.write_stall_us,
    )
