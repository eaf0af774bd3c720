"""OpenAI, and every server that speaks its Chat Completions."""

import os
from typing import TYPE_CHECKING

from chatnest.domain.capabilities import Capabilities
from chatnest.domain.errors import ConfigurationError
from chatnest.domain.ports import ProviderCall, ProviderStream

if TYPE_CHECKING:
    from chatnest.adapters.providers.openai_client import CompletionsClient


_CAPABILITIES = Capabilities(tools=True, images=True, wire="openai")

# What a server that asks for no key is sent: the SDK sends nothing at all without one.
_NO_KEY = "none"


class OpenAIProvider:
    """Streams answers from OpenAI, or from the compatible server at *base_url*.

    Without *api_key* and *base_url* the SDK's own environment variables count; a compatible server
    may need no key. *read_timeout_s*
    catches what the service's limits on the first token, silence and the whole call did not.
    Beyond *max_connections* a call waits for one, up to *connect_timeout_s*. Without *keep_alive*
    each call has a connection of its own. *trust_env* takes proxies from the environment.

    Raises:
        ConfigurationError: the SDK is not installed, or there is no usable key.
    """

    def __init__(
        self,
        *,
        name: str = "openai",
        api_key: str | None = None,
        base_url: str | None = None,
        connect_timeout_s: float = 10.0,
        read_timeout_s: float = 600.0,
        max_connections: int = 10_000,
        keep_alive: bool = True,
        trust_env: bool = True,
    ) -> None:
        self._name = name
        self._client = client_class()(
            api_key=_usable_key(api_key, base_url),
            base_url=base_url,
            connect_timeout_s=connect_timeout_s,
            read_timeout_s=read_timeout_s,
            max_connections=max_connections,
            keep_alive=keep_alive,
            trust_env=trust_env,
        )

    @property
    def name(self) -> str:
        """The name that the configuration and the journal use."""
        return self._name

    @property
    def capabilities(self) -> Capabilities:
        """Everything that the wire can say."""
        return _CAPABILITIES

    def stream(self, call: ProviderCall) -> ProviderStream:
        """Open one call, as :class:`~chatnest.domain.ports.ChatProvider` says it.

        The connection of an answer that came to its end is kept for a next call.
        """
        return self._client.stream(call)

    async def aclose(self) -> None:
        """Close every connection; calls under way are to be left before. May be called twice."""
        await self._client.aclose()

    def __repr__(self) -> str:
        return f"OpenAIProvider(name={self._name!r})"


def client_class() -> "type[CompletionsClient]":
    """Import the SDK, which can take a second, and what calls it.

    Raises:
        ConfigurationError: it is not installed.
    """
    try:
        from chatnest.adapters.providers.openai_client import CompletionsClient
    except ImportError as error:
        raise ConfigurationError(
            "the openai provider needs its SDK: pip install 'chatnest[openai]'"
        ) from error
    return CompletionsClient


def _usable_key(api_key: str | None, base_url: str | None) -> str:
    """The given key or the environment's, without the line end that key files leave behind."""
    key = (os.environ.get("OPENAI_API_KEY", "") if api_key is None else api_key).strip()
    if not key and (base_url or os.environ.get("OPENAI_BASE_URL")):
        return _NO_KEY
    if not key:
        raise ConfigurationError("the openai provider needs a key: set OPENAI_API_KEY")
    if not (key.isascii() and key.isprintable()):
        raise ConfigurationError("the key of the openai provider is not printable ASCII")
    return key
