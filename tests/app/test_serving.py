"""What becomes of an admitted chat whose stream cannot be begun."""

import json
from typing import Any, cast

import pytest
from litestar import Litestar

from chatnest import ChatNestConfig, ChatNestPlugin
from chatnest.adapters.clock import SystemClock
from chatnest.adapters.providers.scripted import ScriptedProvider
from chatnest.adapters.transport.chatnest import ChatNestDialect
from chatnest.adapters.transport.wire import Headers
from chatnest.app.serving import AnyRequest, failure, serve_chat
from chatnest.domain.admission import Admitted
from chatnest.domain.errors import (
    ConfigurationError,
    InvalidRequestError,
    StoreUnavailableError,
)
from chatnest.domain.events import Started

BODY = json.dumps({"messages": [{"role": "user", "content": "Hello!"}]}).encode()


class BrokenDialect(ChatNestDialect):
    """Cannot say what an admission left."""

    def stream_headers(self, started: Started, admitted: Admitted, now: int) -> Headers:
        raise ZeroDivisionError("a defect with Hello! in it")


def request() -> AnyRequest:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": BODY, "more_body": False}

    scope: Any = {
        "type": "http",
        "method": "POST",
        "client": ("127.0.0.1", 1),
        "headers": [(b"content-type", b"application/json")],
        "path": "/api/chat",
        "query_string": b"",
        "app": None,
        "state": {},
        "route_handler": None,
    }
    return AnyRequest(scope, receive=cast(Any, receive))


async def test_a_defect_after_the_admission_leaves_no_hold() -> None:
    provider = ScriptedProvider(SystemClock())
    plugin = ChatNestPlugin(ChatNestConfig(), provider=provider)
    async with Litestar(plugins=[plugin]).lifespan():
        serving = plugin.serving()
        response = await serve_chat(serving, BrokenDialect(), request())
        principal = serving.resolve_principal(request())
        view = await serving.service.usage(cast(Any, principal))

    assert response.status_code == 500
    assert b"Hello!" not in response.body
    assert provider.calls == []
    assert {(balance.settled, balance.held) for balance in view.balances} == {(0, 0)}


@pytest.mark.parametrize(
    ("error", "status", "logged"),
    [
        (StoreUnavailableError("db.example answers nothing"), 503, "db.example answers nothing"),
        (ConfigurationError("request.user has no id"), 500, "request.user has no id"),
        (ZeroDivisionError("Hello!"), 500, "ZeroDivisionError"),
    ],
)
def test_what_the_operator_must_mend_is_logged_and_not_told(
    error: Exception, status: int, logged: str, caplog: pytest.LogCaptureFixture
) -> None:
    told = failure(ChatNestDialect(), error)

    (record,) = caplog.records
    assert logged in record.getMessage()
    assert str(error).encode() not in told.body
    assert "Hello!" not in record.getMessage()
    assert told.status == status


def test_what_the_client_must_mend_is_told_and_not_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    told = failure(ChatNestDialect(), InvalidRequestError("is blank", field="messages"))

    assert (told.status, caplog.records) == (400, [])
