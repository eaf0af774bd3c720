"""Connections to PostgreSQL: a pool that opens itself, and drops what may be in a bad state.

A connection whose answer was not read, because its caller was cancelled or it took too long, is
closed: nobody else may read that answer. So is one that is left within a transaction.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Final
from urllib.parse import urlsplit

import asyncpg

from chatnest.adapters.storage.postgres_errors import (
    DRIVER_ERRORS,
    STALE,
    state_of,
    translated,
)
from chatnest.adapters.storage.postgres_schema import Connection
from chatnest.domain.errors import ChatNestError, ConfigurationError, StoreUnavailableError
from chatnest.domain.ports import Clock
from chatnest.domain.watchdog import until_done, wait_within
from chatnest.domain.windows import US_PER_S

_MOST_CONNECTIONS: Final = 10
_CONNECT_S: Final = 3.0
_ANSWER_S: Final = 5.0
_CLOSE_US: Final = US_PER_S

_HOST: Final = re.compile(r"(\[[0-9a-fA-F:.%]+\]|[^\[\]:@/]*)(:[0-9]*)?")

# Rows are found by their keys, however few there were when a statement was planned. A weaker
# synchronous_commit would lose what was answered; a stronger one is the operator's to choose.
_SESSION: Final = """
SET statement_timeout = '4s';
SET lock_timeout = '3s';
SET idle_in_transaction_session_timeout = '5s';
SET plan_cache_mode = force_generic_plan;
SET enable_seqscan = off;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET jit = off;
SELECT set_config('synchronous_commit', 'on', false)
WHERE current_setting('synchronous_commit') IN ('off', 'local', 'remote_write');
"""


class PostgresLink:
    """Connects to *url* when it is first asked, and again after a failure.

    *prepare* is run on the first connection before anybody else has it, until it succeeds.

    Raises:
        ConfigurationError: *url* cannot be read.
    """

    def __init__(
        self, url: str, clock: Clock, prepare: Callable[[Connection], Awaitable[None]]
    ) -> None:
        self._url = url
        self._where = _address(url)
        self._clock = clock
        self._prepare = prepare
        self._prepared = False
        self._preparing = asyncio.Lock()
        self._pool: asyncpg.Pool | None = None
        self._closed = False

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection to a ledger that is prepared; nobody else has it meanwhile.

        Raises:
            StoreUnavailableError: the server cannot be reached, or the outcome of what was asked
                is unknown; or all connections are in use for too long.
            ConfigurationError: the server does not let the user in, or do what was asked.
            ValueError: the server cannot keep a value that it was sent; nothing was written.
        """
        try:
            async with self._connected() as connection:
                if not self._prepared:
                    await self._prepare_once(connection)
                yield connection
        except ChatNestError:
            raise
        except DRIVER_ERRORS as error:
            await self._learn(state_of(error))
            raise translated(error, self._where) from error

    async def aclose(self) -> None:
        """Close all connections, and open none any more. May be called twice."""
        self._closed = True
        pool, self._pool = self._pool, None
        if pool is None:
            return
        closing = asyncio.ensure_future(pool.close())
        if not await wait_within(self._clock, closing, _CLOSE_US):
            pool.terminate()
            await until_done(closing)
        if not closing.cancelled():
            closing.exception()

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Connection]:
        pool = await self._opened()
        connection = await pool.acquire(timeout=_CONNECT_S)
        try:
            yield connection
        except BaseException as error:
            # Where the pool was closed meanwhile it has taken its connection back.
            with suppress(asyncpg.InterfaceError):
                if not isinstance(error, asyncpg.PostgresError) or connection.is_in_transaction():
                    connection.terminate()
            raise
        finally:
            await pool.release(connection, timeout=_CONNECT_S)

    async def _opened(self) -> asyncpg.Pool:
        if self._closed:
            raise StoreUnavailableError("the ledger is closed")
        if self._pool is None:
            # Connects to nothing, and so nobody else comes here meanwhile.
            self._pool = await _new_pool(self._url)
        return self._pool

    async def _prepare_once(self, connection: Connection) -> None:
        async with self._preparing:
            if not self._prepared:
                await self._prepare(connection)
                self._prepared = True

    async def _learn(self, state: str) -> None:
        """Forget what an error with *state* says is no longer so."""
        if state in STALE:
            self._prepared = False
            if self._pool is not None:
                await self._pool.expire_connections()


async def _new_pool(url: str) -> asyncpg.Pool:
    """A pool that has no connection yet; asyncpg keeps none where nobody asks for one."""
    options: dict[str, Any] = {}
    if "target_session_attrs" not in url:
        options["target_session_attrs"] = "read-write"
    return await asyncpg.create_pool(
        url,
        min_size=0,
        max_size=_MOST_CONNECTIONS,
        timeout=_CONNECT_S,
        command_timeout=_ANSWER_S,
        init=_begin_session,
        reset=_keep_session,
        server_settings={"application_name": "chatnest"},
        **options,
    )


async def _begin_session(connection: asyncpg.Connection) -> None:
    await connection.execute(_SESSION)


async def _keep_session(connection: asyncpg.Connection) -> None:
    """Leave a connection as it is: what asyncpg would reset costs a round trip."""


def _address(url: str) -> str:
    """The hosts in *url* and their ports, without credentials.

    Raises:
        ConfigurationError: *url* is none of PostgreSQL's.
    """
    try:
        parts = urlsplit(url)
        hosts = parts.netloc.rpartition("@")[2]
        is_valid = parts.scheme in ("postgresql", "postgres") and all(
            _HOST.fullmatch(host) for host in hosts.split(",")
        )
    except ValueError:
        is_valid = False
    if not is_valid or "@" in parts.path:
        # Without a cause, which may quote the password.
        raise ConfigurationError(
            "store: the PostgreSQL URL cannot be read. Write "
            "postgresql://user:password@host:5432/database, and the signs : / ? # @ % in a "
            "password as %3A %2F %3F %23 %40 %25."
        ) from None
    return hosts or "its socket"
