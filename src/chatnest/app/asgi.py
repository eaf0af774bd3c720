"""The standalone application, for ``chatnest serve`` and for any ASGI server.

Under a server of your own: ``uvicorn --factory chatnest.app.asgi:app``.
"""

from litestar import Litestar, Response
from litestar.exceptions import HTTPException
from litestar.logging import LoggingConfig
from litestar.openapi import OpenAPIConfig

from chatnest.adapters.transport.chatnest import ChatNestDialect
from chatnest.app.config import ChatNestConfig
from chatnest.app.plugin import ChatNestPlugin
from chatnest.app.serving import AnyRequest, handle_failure, handled
from chatnest.app.settings_sources import load
from chatnest.app.version import installed_version
from chatnest.domain.errors import PublicError

_ROUTING_ERRORS = {
    404: PublicError("not_found", "There is nothing at this path."),
    405: PublicError("method_not_allowed", "This path does not take this method."),
}


def create_app(config: ChatNestConfig | None = None) -> Litestar:
    """An application with nothing in it but ChatNest.

    *config* None reads ``chatnest.toml`` and the environment.

    Raises:
        ConfigurationError: the configuration cannot work.
    """
    return Litestar(
        plugins=[ChatNestPlugin(load() if config is None else config)],
        openapi_config=OpenAPIConfig(title="ChatNest", version=installed_version()),
        exception_handlers={
            **dict.fromkeys(_ROUTING_ERRORS, _handle_routing_error),
            500: handle_failure,
        },
        # Litestar's default would put its own handler on the root logger. What it logs of an
        # exception is a traceback, and that can hold what was said; ours names the exception.
        logging_config=LoggingConfig(configure_root_logger=False, log_exceptions="never"),
    )


def app() -> Litestar:
    """The application as the file and the environment configure it."""
    return create_app()


def _handle_routing_error(request: AnyRequest, error: HTTPException) -> Response[bytes]:
    return handled(ChatNestDialect().error(_ROUTING_ERRORS[error.status_code]), error.headers)
