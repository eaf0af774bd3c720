"""A ledger in PostgreSQL: durable, for a fleet of processes, and open to queries.

What was answered is on the server's disk, and on that of its synchronous standbys where it has any.
An asynchronous standby that takes over lacks what had not reached it: calls whose holds were lost
so are charged all the same when they settle, see :mod:`chatnest.domain.steps`.

Versions: PostgreSQL 14 and later. A connection keeps prepared statements, settings, and in a turn a
lock: PgBouncer in front of it has to pool sessions, not transactions.
"""

from typing import TYPE_CHECKING

from chatnest.adapters.storage.compare_and_set import CompareAndSetLedger
from chatnest.adapters.storage.group_commit import CommitLimits, GroupCommit
from chatnest.domain.errors import ConfigurationError
from chatnest.domain.ports import Clock, Randomness

if TYPE_CHECKING:
    from chatnest.adapters.storage.postgres_server import PostgresServer


class PostgresStore(GroupCommit):
    """A :class:`~chatnest.domain.ports.LedgerStore` in the PostgreSQL database at *url*.

    *url* is ``postgresql://user:password@host:5432/database``, with several hosts and options as
    libpq has them. *ledger* is the schema that the tables are in; it is made where there is none.
    Nothing is connected to before the first step.

    Raises:
        ConfigurationError: *url* or *ledger* cannot be used, or asyncpg is not installed.
    """

    def __init__(
        self,
        url: str,
        clock: Clock,
        randomness: Randomness,
        *,
        ledger: str = "chatnest",
        limits: CommitLimits | None = None,
    ) -> None:
        server = _server_class()(url, clock, randomness, ledger=ledger)
        super().__init__(CompareAndSetLedger(server), clock, limits)


def _server_class() -> "type[PostgresServer]":
    """Import the driver, which is an extra.

    Raises:
        ConfigurationError: it is not installed.
    """
    try:
        from chatnest.adapters.storage.postgres_server import PostgresServer
    except ImportError as error:
        raise ConfigurationError(
            "the postgres store needs its driver: pip install 'chatnest[postgres]'"
        ) from error
    return PostgresServer
