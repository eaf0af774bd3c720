"""The standalone application, for ``chatnest serve`` and for any ASGI server.

Under a server of your own: ``uvicorn --factory chatnest.app.asgi:app``.
"""

from litestar import Litestar
from litestar.logging import LoggingConfig
from litestar.openapi import OpenAPIConfig

from chatnest.app.config import ChatNestConfig
from chatnest.app.config_checks import check
from chatnest.app.plugin import ChatNestPlugin
from chatnest.app.settings_sources import load
from chatnest.app.version import installed_version


def create_app(config: ChatNestConfig | None = None) -> Litestar:
    """An application with nothing in it but ChatNest.

    *config* None reads ``chatnest.toml`` and the environment.

    Raises:
        ConfigurationError: the configuration cannot work.
    """
    config = load() if config is None else check(config)
    return Litestar(
        plugins=[ChatNestPlugin(config)],
        openapi_config=OpenAPIConfig(title="ChatNest", version=installed_version()),
        # Litestar's default would put its own handler on the root logger.
        logging_config=LoggingConfig(configure_root_logger=False, log_exceptions="always"),
    )


def app() -> Litestar:
    """The application as the file and the environment configure it."""
    return create_app()
