"""One connection to Redis, with one command on it at a time, none of which is ever sent twice.

redis-py's connections are used without its clients: those retry, and a command whose reply was
lost may have been run. Only where the server says that it ran nothing is a command sent again: a
script that it does not know, and a ledger that lives on another node of its cluster.

A command whose reply was not read, because its caller was cancelled or the reply was no Redis,
takes its connection with it: nobody else may read that reply.

How long a reply may take is not bounded here but by the caller, who knows how long the whole may
take, and who cancels. TCP keepalive ends a connection whose other side is gone.
"""

import asyncio
from collections.abc import Mapping, Sequence
from hashlib import sha1
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Final

from redis import exceptions
from redis.asyncio import Connection
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from chatnest.adapters.storage.redis_errors import translated
from chatnest.domain.errors import ConfigurationError, StoreUnavailableError

# A node may be told of a move late, and send its caller to and fro.
_MOST_MOVES: Final = 4
_CLUSTER: Final = "+cluster"
# Whatever the URL says: nothing is sent twice, and answers are bytes in RESP 2.
_OURS: Final[Mapping[str, object]] = MappingProxyType(
    {
        "protocol": 2,
        "decode_responses": False,
        "retry_on_timeout": False,
        "retry_on_error": [],
        "health_check_interval": 0,
        "socket_timeout": None,
        "socket_connect_timeout": 3.0,
        "driver_info": None,
    }
)

Argument = str | bytes | int
Command = Sequence[Argument]


class Script:
    """A Lua script beside this module, under the digest that the server caches it by."""

    def __init__(self, name: str) -> None:
        self.text = files("chatnest.adapters.storage").joinpath(name).read_text("utf-8")
        self.digest = sha1(self.text.encode(), usedforsecurity=False).hexdigest()


class RedisLink:
    """Connects to *url* when it is first asked, and again after a failure.

    A ledger is in one slot, so in a cluster it is on one node: the link goes where it is sent, and
    comes back to *url* when that node is gone.

    Raises:
        ConfigurationError: *url* cannot be read, or has an option that there is not.
    """

    def __init__(self, url: str) -> None:
        self._class, self._options = _read(url)
        self._connection: Connection | None = None
        self._moved: dict[str, object] = {}
        self._lock = asyncio.Lock()
        self._closed = False
        self.times_connected = 0

    async def ask(self, *command: Argument) -> Any:
        """The server's answer to *command*: bytes, an integer, a list of answers, or None.

        Raises:
            StoreUnavailableError: the outcome is unknown, or the server says that it ran nothing.
            ConfigurationError: the server refuses the user, the password, or the command.
        """
        async with self._lock:
            try:
                return await self._follow(command)
            except (exceptions.RedisError, OSError) as error:
                raise translated(error, self._where) from error

    async def run(self, script: Script, keys: Sequence[str], arguments: Command) -> Any:
        """What *script* answers; it is sent whole where the server has not cached it.

        Raises:
            StoreUnavailableError: as :meth:`ask`.
            ConfigurationError: as :meth:`ask`.
        """
        rest = (len(keys), *keys, *arguments)
        async with self._lock:
            try:
                try:
                    return await self._follow(("EVALSHA", script.digest, *rest))
                except exceptions.NoScriptError:
                    return await self._follow(("EVAL", script.text, *rest))
            except (exceptions.RedisError, OSError) as error:
                raise translated(error, self._where) from error

    async def aclose(self) -> None:
        """Close the connection, and answer no more. May be called twice."""
        self._closed = True
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.disconnect()

    async def _follow(self, command: Command) -> Any:
        for _ in range(_MOST_MOVES):
            try:
                return await self._exchange(command)
            except exceptions.MovedError as moved:
                # A node that does not know its own name sends an empty one: it means itself.
                host = moved.host or self._options_here.get("host")
                self._moved = {"host": host, "port": moved.port}
                await self._drop()
        return await self._exchange(command)

    async def _exchange(self, command: Command) -> Any:
        connection = await self._connected()
        try:
            await connection.send_packed_command(packed(command))
            return await connection.read_response()
        except (exceptions.ReadOnlyError, exceptions.ClusterError):
            # The address may lead to the new primary next time.
            await self._drop()
            raise

    async def _connected(self) -> Connection:
        """The connection, or another one where the server has closed it or sent what none asked."""
        if self._closed:
            raise StoreUnavailableError("the ledger is closed")
        connection = self._connection
        if connection is not None and connection.is_connected and not await connection.can_read():
            return connection
        await self._drop()
        if self._moved:
            try:
                return await self._connect()
            except (exceptions.ConnectionError, exceptions.TimeoutError):
                self._moved = {}
        return await self._connect()

    async def _connect(self) -> Connection:
        connection: Connection = self._class(**self._options_here)
        try:
            await connection.connect_check_health(check_health=False)
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        if self._closed:
            await connection.disconnect(nowait=True)
            raise StoreUnavailableError("the ledger is closed")
        self._connection = connection
        self.times_connected += 1
        return connection

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.disconnect(nowait=True)

    @property
    def _options_here(self) -> dict[str, Any]:
        return {**self._options, **self._moved}

    @property
    def _where(self) -> str:
        options = self._options_here
        if "path" in options:
            return str(options["path"])
        return f"{options.get('host', 'localhost')}:{options.get('port', 6379)}"


def packed(command: Command) -> bytes:
    """*command* as the protocol has it; several times as fast as redis-py does it."""
    parts = [b"*%d\r\n" % len(command)]
    for item in command:
        data = item if isinstance(item, bytes) else str(item).encode()
        parts.append(b"$%d\r\n%b\r\n" % (len(data), data))
    return b"".join(parts)


def _read(url: str) -> tuple[type[Connection], dict[str, Any]]:
    """The class of connection that *url* asks for, and its options."""
    scheme, separator, rest = url.partition("://")
    try:
        read: dict[str, Any] = {**parse_url(f"{scheme.removesuffix(_CLUSTER)}{separator}{rest}")}
        kind: type[Connection] = read.pop("connection_class", Connection)
        options = {**read, **_OURS, "retry": Retry(NoBackoff(), 0)}
        kind(**options)
    except (exceptions.RedisError, TypeError, ValueError):
        # Without its cause, which may quote the password.
        raise ConfigurationError(
            "store: the Redis URL cannot be read. Write redis://user:password@host:6379/0, or "
            "rediss:// for TLS. Write the signs : / ? # @ % in a password as %3A %2F %3F %23 %40 "
            "%25."
        ) from None
    return kind, options
