"""What all providers share that are called as their vendor's SDK would call them."""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from chatnest.adapters.providers.connections import Connections
from chatnest.domain.capabilities import Capabilities
from chatnest.domain.errors import ConfigurationError
from chatnest.domain.ports import ProviderCall, ProviderStream

if TYPE_CHECKING:
    from chatnest.adapters.providers.sse_client import EventStreamClient

ClientMaker = Callable[[str, str | None, Connections], "EventStreamClient"]

# What a server that asks for no key is sent: an SDK sends nothing at all without one.
_NO_KEY = "none"


class SdkProvider(ABC):
    """Streams answers from the SDK's own vendor, or from the compatible server at *base_url*.

    Without *api_key* and *base_url* the SDK's own environment variables count; a compatible server
    may need no key. *read_timeout_s*
    catches what the service's limits on the first token, silence and the whole call did not.
    Beyond *max_connections* a call waits for one, up to *connect_timeout_s* or the call's own
    limit. Without *keep_alive* each call has a connection of its own. *trust_env* takes proxies,
    and the certificates to trust, from the environment.

    ``sdk`` is the SDK's package, the extra that installs it, and the provider's usual name;
    ``key_variables`` are those that a key is looked for in, in this order.

    Raises:
        ConfigurationError: the SDK is not installed, or there is no usable key, address or proxy.
    """

    sdk: ClassVar[str]
    key_variables: ClassVar[tuple[str, ...]]
    base_url_variable: ClassVar[str]

    def __init__(
        self,
        *,
        name: str | None = None,
        api_key: str | None = None,
        base_url: str | None = None,
        connect_timeout_s: float = 10.0,
        read_timeout_s: float = 600.0,
        max_connections: int = 10_000,
        keep_alive: bool = True,
        trust_env: bool = True,
    ) -> None:
        self._name = name or self.sdk
        make_client = self.load_sdk()
        self._client = make_client(
            self._usable_key(api_key, base_url),
            base_url,
            Connections(
                connect_timeout_s=connect_timeout_s,
                read_timeout_s=read_timeout_s,
                max_connections=max_connections,
                keep_alive=keep_alive,
                trust_env=trust_env,
            ),
        )

    @property
    def name(self) -> str:
        """The name that the configuration and the journal use."""
        return self._name

    @property
    @abstractmethod
    def capabilities(self) -> Capabilities:
        """What it can be asked for; a call never holds anything else."""

    def stream(self, call: ProviderCall) -> ProviderStream:
        """Open one call, as :class:`~chatnest.domain.ports.ChatProvider` says it.

        The connection of an answer that came to its end is kept for a next call.
        """
        return self._client.stream(call)

    async def aclose(self) -> None:
        """Close every connection; calls under way are to be left before. May be called twice."""
        await self._client.aclose()

    @classmethod
    def load_sdk(cls) -> ClientMaker:
        """Import the SDK, which can take a second, and what makes a client of it.

        Raises:
            ConfigurationError: it is not installed.
        """
        try:
            return cls._client_maker()
        except ImportError as error:
            raise ConfigurationError(
                f"the {cls.sdk} provider needs its SDK: pip install 'chatnest[{cls.sdk}]'"
            ) from error

    @staticmethod
    @abstractmethod
    def _client_maker() -> ClientMaker:
        """Import what makes a client."""

    @classmethod
    def _usable_key(cls, api_key: str | None, base_url: str | None) -> str:
        """The given key or the environment's, without the line end that key files leave behind."""
        given = [os.environ.get(name, "") for name in cls.key_variables]
        candidates = [key.strip() for key in (given if api_key is None else [api_key])]
        key = next(filter(None, candidates), "")
        if not key and (base_url or os.environ.get(cls.base_url_variable)):
            return _NO_KEY
        if not key:
            variable = cls.key_variables[0]
            raise ConfigurationError(f"the {cls.sdk} provider needs a key: set {variable}")
        if not (key.isascii() and key.isprintable()):
            raise ConfigurationError(f"the key of the {cls.sdk} provider is not printable ASCII")
        return key

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self._name!r})"
