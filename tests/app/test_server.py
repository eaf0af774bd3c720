import errno
import gc
import logging
import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from chatnest.app import server
from chatnest.app.config import ChatNestConfig, TimeLimitsConfig
from chatnest.app.server import (
    CannotListenError,
    configure_logging,
    listen,
    serve,
    url_of,
    uvicorn_settings,
    worker_app,
)
from chatnest.app.settings_sources import RESOLVED_VARIABLE, to_resolved


async def nothing(scope: Any, receive: Any, send: Any) -> None: ...


class TestListening:
    def test_clients_are_queued_before_the_application_is_up(self) -> None:
        with listen("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
            pass

    def test_a_port_that_is_taken_is_named_with_a_way_out(self) -> None:
        with listen("127.0.0.1", 0) as taken:
            port = taken.getsockname()[1]
            with pytest.raises(CannotListenError, match=rf"port {port} .* is taken.*--port"):
                listen("127.0.0.1", port)

    @pytest.mark.parametrize("host", ["192.0.2.1", "no such host"])
    def test_an_address_of_another_machine_is_refused(self, host: str) -> None:
        with pytest.raises(CannotListenError, match=f"cannot listen at {host}, port 8000: "):
            listen(host, 8000)

    def test_a_port_that_needs_privileges_says_so(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*arguments: object, **options: object) -> None:
            raise OSError(errno.EACCES, "no")

        monkeypatch.setattr(socket, "getaddrinfo", refuse)
        with pytest.raises(CannotListenError, match="Choose one above 1023"):
            listen("127.0.0.1", 80)

    @pytest.mark.parametrize(
        ("host", "url"),
        [
            ("127.0.0.1", "http://127.0.0.1:{}"),
            ("0.0.0.0", "http://localhost:{}"),
            ("::1", "http://[::1]:{}"),
            ("::", "http://localhost:{}"),
        ],
    )
    def test_the_url_is_one_that_a_client_here_can_use(self, host: str, url: str) -> None:
        with listen(host, 0) as listener:
            assert url_of(listener) == url.format(listener.getsockname()[1])


class TestUvicorn:
    def test_no_header_is_trusted_unless_proxies_are_named(self) -> None:
        assert uvicorn_settings(ChatNestConfig(), nothing).proxy_headers is False

    def test_only_the_named_proxies_are_trusted(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")
        config = ChatNestConfig(trusted_proxies=("10.0.0.0/8",))
        settings = uvicorn_settings(config, nothing)
        assert settings.proxy_headers is True
        assert settings.forwarded_allow_ips == ["10.0.0.0/8"]

    def test_the_server_waits_longer_than_the_drain(self) -> None:
        config = ChatNestConfig(time_limits=TimeLimitsConfig(drain_s=20.5))
        wait_s = uvicorn_settings(config, nothing).timeout_graceful_shutdown
        assert wait_s is not None
        assert wait_s > 30

    def test_it_neither_names_itself_nor_logs_every_request(self) -> None:
        settings = uvicorn_settings(ChatNestConfig(), nothing)
        assert (settings.server_header, settings.access_log) == (False, False)
        assert uvicorn_settings(ChatNestConfig(access_log=True), nothing).access_log is True

    def test_the_url_is_announced_once_the_application_has_started(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        happened: list[str] = []
        running: list[Any] = []

        async def application(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            happened.append("started")
            await send({"type": "lifespan.startup.complete"})
            await receive()
            happened.append("stopped")
            await send({"type": "lifespan.shutdown.complete"})

        def announce(url: str) -> None:
            happened.append(url.partition(":")[0])
            happened.append("frozen" if gc.get_freeze_count() else "collected")
            running[0].should_exit = True

        class Server(server._Server):
            def __init__(self, *arguments: Any) -> None:
                super().__init__(*arguments)
                running.append(self)

        monkeypatch.setattr(server, "_Server", Server)
        monkeypatch.setattr(server, "create_app", lambda config: application)
        serve(ChatNestConfig(port=0), announce)
        assert happened == ["started", "http", "frozen", "stopped"]

    def test_an_application_that_does_not_start_is_not_announced(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def application(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            await send({"type": "lifespan.startup.failed", "message": "no"})

        monkeypatch.setattr(server, "create_app", lambda config: application)
        announced: list[str] = []
        with pytest.raises(SystemExit) as ended:
            serve(ChatNestConfig(port=0), announced.append)
        assert ended.value.code != 0
        assert announced == []


@pytest.fixture(autouse=True)
def _collecting_as_before() -> Iterator[None]:
    """Collect again what a server in this process has left out, and as often as before."""
    gc.unfreeze()
    often = gc.get_threshold()
    yield
    gc.set_threshold(*often)
    gc.unfreeze()


class TestWorkers:
    @pytest.fixture(autouse=True)
    def _environment_as_before(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv(RESOLVED_VARIABLE, raising=False)

    def test_workers_are_given_the_configuration_through_the_environment(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(RESOLVED_VARIABLE, "")
        started: list[tuple[Any, dict[str, str]]] = []

        class Supervisor:
            def __init__(self, config: Any, sockets: list[socket.socket]) -> None:
                self.config = config

            def run(self) -> None:
                started.append((self.config, dict(os.environ)))

        monkeypatch.setattr(server, "Multiprocess", Supervisor)
        config = ChatNestConfig(port=0, workers=3, model="m")
        serve(config, lambda url: None)
        ((settings, environ),) = started
        assert (settings.app, settings.factory, settings.workers) == (
            "chatnest.app.server:worker_app",
            True,
            3,
        )
        assert environ[RESOLVED_VARIABLE] == to_resolved(config)

    def test_a_worker_runs_what_its_server_was_configured_with(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        config = ChatNestConfig(model="m")
        created: list[ChatNestConfig] = []
        monkeypatch.setattr(server, "create_app", created.append)
        monkeypatch.setenv(RESOLVED_VARIABLE, to_resolved(config))
        monkeypatch.setenv("CHATNEST_MODEL", "changed since")
        worker_app()
        assert created == [config]
        assert gc.get_freeze_count() > 0
        assert gc.get_threshold()[0] == 20_000


class TestLogging:
    @pytest.fixture(autouse=True)
    def _levels_as_in_a_new_process(self) -> Iterator[None]:
        names = (None, "chatnest", "uvicorn.access")
        before = [logging.getLogger(name).level for name in names]
        logging.getLogger().setLevel(logging.WARNING)
        yield
        for name, level in zip(names, before, strict=True):
            logging.getLogger(name).setLevel(level)

    def test_chatnest_is_as_talkative_as_configured_and_others_only_warn(self) -> None:
        configure_logging(ChatNestConfig(log_level="debug"))
        assert logging.getLogger("chatnest.calls").isEnabledFor(logging.DEBUG)
        configure_logging(ChatNestConfig(log_level="error"))
        assert not logging.getLogger("chatnest.calls").isEnabledFor(logging.WARNING)
        assert not logging.getLogger("httpx").isEnabledFor(logging.INFO)
