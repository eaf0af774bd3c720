"""The standalone server: its socket, its logging, and uvicorn around the application."""

import errno
import logging
import math
import os
import socket
from collections.abc import Callable

import uvicorn
from litestar import Litestar
from uvicorn.supervisors import Multiprocess

from chatnest.app.asgi import create_app
from chatnest.app.config import ChatNestConfig
from chatnest.app.garbage import collect_less
from chatnest.app.http_protocol import BoundedProtocol
from chatnest.app.settings_sources import RESOLVED_VARIABLE, from_resolved, to_resolved
from chatnest.domain.errors import ChatNestError

_BACKLOG = 2048
# On top of drain_s: for the last events, the settlements and the store. Uvicorn cancels whatever
# is left without waiting for it, so its own limit must never be the first to be reached.
_FAREWELL_S = 15


class CannotListenError(ChatNestError):
    """The server's address cannot be had; the message says what to do."""


def serve(config: ChatNestConfig, announce: Callable[[str], None]) -> None:
    """Run until the process is told to stop. *announce* is given the URL once chats are taken.

    Raises:
        CannotListenError: the address is taken, or is none of this machine's.
        ConfigurationError: the configuration cannot work.
    """
    with listen(config.host, config.port) as listener:
        url = url_of(listener)
        if config.workers > 1:
            _serve_with_workers(config, listener, lambda: announce(url))
            return
        settings = uvicorn_settings(config, create_app(config))
        try:
            _Server(settings, lambda: announce(url)).run(sockets=[listener])
        except KeyboardInterrupt:
            # Uvicorn raises the signal again when everything is closed; that was the way to stop.
            return


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens: clients that come before the application is up wait in its queue.

    Raises:
        CannotListenError: see :func:`serve`.
    """
    listener: socket.socket | None = None
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        if listener is not None:
            listener.close()
        raise CannotListenError(_why_not(error, host, port)) from error
    return listener


def url_of(listener: socket.socket) -> str:
    """Where a client on this machine reaches *listener*."""
    host, port = listener.getsockname()[:2]
    if host in ("0.0.0.0", "::"):
        host = "localhost"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def uvicorn_settings(
    config: ChatNestConfig, app: object, *, factory: bool = False
) -> uvicorn.Config:
    """How uvicorn runs *app*; it uses uvloop where that is installed."""
    return uvicorn.Config(
        app,  # type: ignore[arg-type]  # an application, or the name of its factory
        factory=factory,
        http=BoundedProtocol,
        interface="asgi3",
        lifespan="on",
        ws="none",
        workers=config.workers,
        log_config=None,
        access_log=config.access_log,
        server_header=False,
        # Without this uvicorn would believe X-Forwarded-For from 127.0.0.1.
        proxy_headers=bool(config.trusted_proxies),
        forwarded_allow_ips=list(config.trusted_proxies),
        timeout_graceful_shutdown=math.ceil(config.time_limits.drain_s) + _FAREWELL_S,
        backlog=_BACKLOG,
    )


def configure_logging(config: ChatNestConfig) -> None:
    """Send log lines to standard error: ChatNest's own from ``log_level`` on, others' warnings."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("chatnest").setLevel(config.log_level.upper())
    logging.getLogger("uvicorn.access").setLevel(logging.INFO)


def worker_app() -> Litestar:
    """The application of one of several server processes, as their server configured it."""
    config = from_resolved(os.environ[RESOLVED_VARIABLE])
    configure_logging(config)
    app = create_app(config)
    collect_less()
    return app


class _Server(uvicorn.Server):
    """Uvicorn's server, which says when it is ready."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)  # ends the process where the application does not start
        collect_less()
        self._on_ready()


def _serve_with_workers(
    config: ChatNestConfig, listener: socket.socket, on_ready: Callable[[], None]
) -> None:
    # A process's environment is its user's alone to read, unlike its arguments.
    listener.set_inheritable(True)
    os.environ[RESOLVED_VARIABLE] = to_resolved(config)
    settings = uvicorn_settings(config, "chatnest.app.server:worker_app", factory=True)
    on_ready()
    Multiprocess(settings, sockets=[listener]).run()


def _why_not(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"port {port} at {host} is taken. Stop what runs there, or choose another with --port."
        )
    if error.errno == errno.EACCES:
        return f"port {port} is not for this user. Choose one above 1023 with --port."
    return f"cannot listen at {host}, port {port}: {error.strerror or error}. Change --host."
