"""ChatNest inside an existing Litestar application, for the people whom that application knows.

    uvicorn examples.embedded_app:app
    curl -N localhost:8000/ai/chat -H 'x-user: ada' -H 'content-type: application/json' \
        -d '{"messages":[{"role":"user","content":"Hello!"}]}'
    curl localhost:8000/me/tokens-left -H 'x-user: ada'
"""

from decimal import Decimal
from typing import Any

from litestar import Litestar, Request, get
from litestar.connection import ASGIConnection
from litestar.di import NamedDependency
from litestar.exceptions import NotAuthorizedException
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
TEAMS = {"ada": "team:engines", "grace": "team:compilers"}


class HeaderAuthentication(AbstractAuthenticationMiddleware):
    """Stands for the login that the application has already."""

    async def authenticate_request(self, connection: AnyConnection) -> AuthenticationResult:
        name = connection.headers.get("x-user", "")
        if name not in TEAMS:
            raise NotAuthorizedException("Say who you are in the header x-user.")
        return AuthenticationResult(user=name, auth=None)


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
    """The application, with ChatNest as one of its plugins."""
    return Litestar(
        route_handlers=[tokens_left],
        middleware=[HeaderAuthentication],
        plugins=[ChatNestPlugin(config, resolve_principal=payer)],
    )


CONFIG = ChatNestConfig(
    provider="scripted",
    http=HttpConfig(path="/ai", mount_health=False),
    budgets=(
        BudgetConfig(scope="team:engines", unit="tokens", period="day", limit=Decimal(50_000)),
    ),
)

app = create_app(CONFIG)
