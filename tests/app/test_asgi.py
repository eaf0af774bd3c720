import logging
from pathlib import Path

import pytest
from litestar import Litestar

from chatnest.app.asgi import app, create_app
from chatnest.app.config import ChatNestConfig, HttpConfig
from chatnest.domain.errors import ConfigurationError
from tests.support.client import Exchange
from tests.support.running import running


def paths_of(application: Litestar) -> set[str]:
    return {route.path for route in application.routes}


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_application_has_the_routes_and_describes_itself() -> None:
    application = create_app(ChatNestConfig(provider="scripted"))
    assert {"/api/chat", "/api/usage", "/health/live", "/health/ready"} <= paths_of(application)
    assert application.openapi_schema.info.title == "ChatNest"


def test_it_is_configured_as_it_is_told() -> None:
    config = ChatNestConfig(http=HttpConfig(path="/ai", mount_health=False))
    paths = paths_of(create_app(config))
    assert "/ai/chat" in paths
    assert not {"/api/chat", "/health/live"} & paths


def test_without_being_told_it_reads_the_file_and_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path("chatnest.toml").write_text("[http]\npath = '/file'\nhealth_path = '/up'")
    assert {"/file/chat", "/up/live"} <= paths_of(app())
    monkeypatch.setenv("CHATNEST_HTTP__PATH", "/variable")
    assert {"/variable/chat", "/up/live"} <= paths_of(app())


@pytest.mark.parametrize(
    ("method", "path", "status", "code", "allowed"),
    [
        ("POST", "/api/chat/x", 404, "not_found", None),
        ("GET", "/.env", 404, "not_found", None),
        ("GET", "/api/chat", 405, "method_not_allowed", {"POST", "OPTIONS"}),
    ],
)
async def test_what_is_not_routed_is_told_in_json_and_not_logged(
    method: str,
    path: str,
    status: int,
    code: str,
    allowed: set[str] | None,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with running(create_app(ChatNestConfig(provider="scripted"))) as port:
        monkeypatch.setattr(logging.getLogger("litestar"), "propagate", True)
        async with await Exchange.open(port, path, method=method) as exchange:
            assert await exchange.head() == status
            told = await exchange.json()

    assert (told["code"], told["retryable"]) == (code, False)
    assert told["error"]
    shown = exchange.headers.get("allow")
    assert allowed == (None if shown is None else set(shown.split(", ")))
    assert [record for record in caplog.records if record.name == "litestar"] == []


def test_a_configuration_that_cannot_work_makes_no_application() -> None:
    with pytest.raises(ConfigurationError, match="Set workers to 1"):
        create_app(ChatNestConfig(workers=2))
