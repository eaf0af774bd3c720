"""A store that is down refuses what would be spent, says when to come again, and names why."""

import json
import logging
from pathlib import Path

import pytest

from chatnest.app.asgi import create_app
from chatnest.app.config import ChatNestConfig
from chatnest.domain.errors import ConfigurationError
from tests.support.client import Exchange
from tests.support.running import running
from tests.support.services import free_port

BODY = json.dumps({"messages": [{"role": "user", "content": "one"}]}).encode()


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/api/chat", BODY),
        ("GET", "/api/usage", b""),
        ("GET", "/health/ready", b""),
    ],
)
async def test_a_store_that_nobody_reaches_is_503_with_a_time_to_come_again(
    method: str, path: str, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    store = f"redis://:s3cret@127.0.0.1:{free_port()}/0"
    config = ChatNestConfig(provider="scripted", store=store)
    caplog.set_level(logging.WARNING, "chatnest")
    async with (
        running(create_app(config)) as port,
        await Exchange.open(port, path, method=method, body=body) as exchange,
    ):
        assert await exchange.head() == 503
        told = await exchange.json()

    assert (told["code"], told["retryable"]) == ("store_unavailable", True)
    assert int(exchange.headers["retry-after"]) >= 1
    (record,) = (record for record in caplog.records if record.name == "chatnest.requests")
    assert record.getMessage().startswith("a request was refused: ")
    assert "cannot be reached" in record.getMessage()
    assert "s3cret" not in caplog.text


async def test_a_process_whose_store_is_down_is_alive_all_the_same() -> None:
    store = f"redis://127.0.0.1:{free_port()}/0"
    async with (
        running(create_app(ChatNestConfig(provider="scripted", store=store))) as port,
        await Exchange.open(port, "/health/live", method="GET") as exchange,
    ):
        assert await exchange.head() == 200


async def test_an_application_does_not_start_on_a_ledger_that_it_cannot_work_with(
    tmp_path: Path,
) -> None:
    (tmp_path / "notes.db").write_text("no ledger, but a letter to a friend" * 100)
    app = create_app(
        ChatNestConfig(provider="scripted", store=f"sqlite:///{tmp_path / 'notes.db'}")
    )
    with pytest.raises(ExceptionGroup) as refused:
        async with app.lifespan():
            raise AssertionError("it has started")

    assert refused.group_contains(ConfigurationError, match=r"notes\.db is no SQLite database")
