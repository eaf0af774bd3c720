"""The HTTP routes: chat, the caller's own usage, and health."""

from typing import Annotated

from litestar import Response, Router, get, post
from litestar.exceptions import ValidationException
from litestar.handlers import HTTPRouteHandler
from litestar.params import Parameter
from litestar.response.base import ASGIResponse

from chatnest.adapters.transport.chatnest import ChatNestDialect
from chatnest.adapters.transport.sse import to_json
from chatnest.adapters.transport.usage_report import UsageReport, usage_report
from chatnest.app.auth import identify
from chatnest.app.config import HttpConfig
from chatnest.app.endpoints import Endpoint, endpoints
from chatnest.app.http_paths import paths_of
from chatnest.app.openapi import (
    KEY_NEEDED,
    READY_RESPONSES,
    USAGE_RESPONSES,
    HealthBody,
    answering_operation,
    chat_responses,
)
from chatnest.app.serving import (
    AnyRequest,
    CurrentServing,
    failure_response,
    handle_failure,
    serve_chat,
)
from chatnest.app.v1_routes import v1_handlers
from chatnest.domain.errors import ChatNestError, InvalidRequestError
from chatnest.domain.usage_view import MOST_HISTORY_DAYS

_JSON = {"content-type": "application/json", "cache-control": "no-store"}


def chat_routers(
    current: CurrentServing, http: HttpConfig, *, needs_key: bool = False
) -> list[Router]:
    """The routes of every dialect that is mounted, and ``GET PATH/usage``.

    *needs_key* is for their description alone.
    """
    handlers = [_chat_handler(current, endpoint) for endpoint in endpoints(http)]
    handlers += [_usage_handler(current, http), *v1_handlers(current, http)]
    security = KEY_NEEDED if needs_key else None
    return [Router("/", route_handlers=handlers, tags=["chat"], security=security)]


def _chat_handler(current: CurrentServing, endpoint: Endpoint) -> HTTPRouteHandler:
    # The body is bounded where it is read: Litestar's own bound could not answer in the dialect.
    @post(
        endpoint.path,
        status_code=200,
        request_max_body_size=None,
        operation_class=answering_operation(
            endpoint.body, endpoint.example, endpoint.event, endpoint.whole
        ),
        operation_id=endpoint.operation_id,
        summary=endpoint.summary,
        responses=chat_responses(endpoint.error, endpoint.statuses),
    )
    async def chat(request: AnyRequest) -> ASGIResponse:
        """Answer within the caller's limits."""
        return await serve_chat(current(), endpoint.dialect, request)

    return chat


def _usage_handler(current: CurrentServing, http: HttpConfig) -> HTTPRouteHandler:
    dialect = ChatNestDialect()

    @get(
        paths_of(http).usage,
        operation_id="usage",
        summary="Usage",
        responses=USAGE_RESPONSES,
        exception_handlers={ValidationException: _handle_bad_days},
    )
    async def usage(
        request: AnyRequest,
        profile: Annotated[
            str | None, Parameter(description="A profile to show; else the caller's default.")
        ] = None,
        days: Annotated[
            int,
            Parameter(
                ge=1,
                le=MOST_HISTORY_DAYS,
                description="How many days the history goes back, with today.",
            ),
        ] = 30,
    ) -> ASGIResponse:
        """What the caller has used, day by day, and what is left of each of its limits."""
        serving = current()
        try:
            principal = await identify(serving.resolve_principal, request)
            _refuse_repeated(request, "profile", "days")
            view = await serving.service.usage(principal, profile, days=days)
        except Exception as error:
            return failure_response(dialect, error)
        return _json(200, usage_report(view))

    return usage


def health_router(current: CurrentServing, http: HttpConfig) -> Router:
    """``GET PATH/live`` and ``GET PATH/ready``, for whoever watches the process."""

    @get("/live", operation_id="live", summary="Alive", sync_to_thread=False)
    def live() -> HealthBody:
        """The process runs and its event loop turns."""
        return HealthBody("ok")

    @get(
        "/ready",
        operation_id="ready",
        summary="Ready",
        responses=READY_RESPONSES,
    )
    async def ready() -> ASGIResponse:
        """New chats are taken: the ledger answers and no shutdown has begun."""
        serving = current()
        try:
            serving.registry.check_open()
            await serving.service.check_store()
        except ChatNestError as error:
            return failure_response(ChatNestDialect(), error)
        return _json(200, HealthBody("ok"))

    return Router(http.health_path, route_handlers=[live, ready], tags=["health"])


def _refuse_repeated(request: AnyRequest, *names: str) -> None:
    for name in names:
        if len(request.query_params.getall(name, ())) > 1:
            raise InvalidRequestError("is given twice; send it once", field=name)


def _handle_bad_days(request: AnyRequest, error: ValidationException) -> Response[bytes]:
    """Litestar checks the days alone: every other value is a text, which it takes as it is."""
    reason = f"must be a whole number from 1 to {MOST_HISTORY_DAYS}"
    return handle_failure(request, InvalidRequestError(reason, field="days"))


def _json(status: int, body: UsageReport | HealthBody) -> ASGIResponse:
    return ASGIResponse(body=to_json(body), status_code=status, headers=_JSON)
