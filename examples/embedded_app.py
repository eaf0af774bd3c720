"""ChatNest inside an existing Litestar application, for the people whom that application knows.

    uvicorn examples.embedded_app:app
    curl -N localhost:8000/ai/chat -H 'x-user: ada' -H 'content-type: application/json' \
        -d '{"messages":[{"role":"user","content":"Hello!"}]}'
    curl localhost:8000/me/tokens-left -H 'x-user: ada'

An SDK of OpenAI's has the base URL ``http://localhost:8000/ai/v1``, one of Anthropic's
``http://localhost:8000/ai``, and AG-UI's HttpAgent ``http://localhost:8000/ai/agent``.
"""

from decimal import Decimal
from typing import Any

from litestar import Litestar, Request, Router, get
from litestar.connection import ASGIConnection
from litestar.di import NamedDependency
from litestar.exceptions import NotAuthorizedException, PermissionDeniedException
from litestar.handlers import BaseRouteHandler
from litestar.middleware import AbstractAuthenticationMiddleware, AuthenticationResult

from chatnest import (
    BudgetConfig,
    ChatNestConfig,
    ChatNestPlugin,
    ChatService,
    HttpConfig,
    Principal,
    Unit,
)

AnyConnection = ASGIConnection[Any, Any, Any, Any]
TEAMS = {"ada": "team:engines", "grace": "team:compilers", "charles": "team:engines"}
WITHOUT_A_SEAT = {"charles"}


class HeaderAuthentication(AbstractAuthenticationMiddleware):
    """Stands for the login that the application has already."""

    async def authenticate_request(self, connection: AnyConnection) -> AuthenticationResult:
        name = connection.headers.get("x-user", "")
        if name not in TEAMS:
            raise NotAuthorizedException("Say who you are in the header x-user.")
        return AuthenticationResult(user=name, auth=None)


def has_a_seat(connection: AnyConnection, handler: BaseRouteHandler) -> None:
    """A guard of the application's own: not everybody whom it knows may chat."""
    if connection.user in WITHOUT_A_SEAT:
        raise PermissionDeniedException("Ask your team for a seat.")


def payer(connection: AnyConnection) -> Principal:
    """Each user has an account of its own, and its team pays with it."""
    return Principal(f"user:{connection.user}", scopes=(TEAMS[connection.user],))


@get("/me/tokens-left")
async def tokens_left(
    request: Request[str, None, Any], chat_service: NamedDependency[ChatService]
) -> dict[str, int | None]:
    """A route of the application's own, on the service that the plugin provides."""
    view = await chat_service.usage(payer(request))
    return {
        balance.rule.scope: balance.remaining
        for balance in view.balances
        if balance.rule.unit is Unit.TOKENS
    }


def create_app(config: ChatNestConfig) -> Litestar:
    """The application, with ChatNest's routes in a router of its own."""
    chatnest = ChatNestPlugin(config, resolve_principal=payer)
    assistant = Router("/ai", route_handlers=chatnest.routers(), guards=[has_a_seat])
    return Litestar(
        route_handlers=[tokens_left, assistant],
        middleware=[HeaderAuthentication],
        plugins=[chatnest],
    )


CONFIG = ChatNestConfig(
    provider="scripted",
    http=HttpConfig(mount=False, mount_health=False, path="/", ag_ui_path="/agent"),
    budgets=(
        BudgetConfig(scope="team:engines", unit="tokens", period="day", limit=Decimal(50_000)),
    ),
)

app = create_app(CONFIG)
