from pathlib import Path

import pytest
from litestar import Litestar

from chatnest.app.asgi import app, create_app
from chatnest.app.config import ChatNestConfig, RoutesConfig
from chatnest.domain.errors import ConfigurationError


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
    config = ChatNestConfig(routes=RoutesConfig(path="/ai", mount_health=False))
    paths = paths_of(create_app(config))
    assert "/ai/chat" in paths
    assert not {"/api/chat", "/health/live"} & paths


def test_without_being_told_it_reads_the_file_and_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path("chatnest.toml").write_text("[routes]\npath = '/file'\nhealth_path = '/up'")
    assert {"/file/chat", "/up/live"} <= paths_of(app())
    monkeypatch.setenv("CHATNEST_ROUTES__PATH", "/variable")
    assert {"/variable/chat", "/up/live"} <= paths_of(app())


def test_a_configuration_that_cannot_work_makes_no_application() -> None:
    with pytest.raises(ConfigurationError, match="set workers to 1"):
        create_app(ChatNestConfig(workers=2))
