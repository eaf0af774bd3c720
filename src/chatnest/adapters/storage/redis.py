"""A ledger in Redis or Valkey: fast, for a fleet of processes.

What it guarantees is what the server keeps. With ``appendonly yes`` and ``appendfsync always`` an
admission that was answered survives a power cut; with ``everysec`` the last second may be lost, and
without either everything since the last dump. A replica that takes over lacks what had not reached
it. Calls whose holds were lost so are charged all the same when they settle: see
:mod:`chatnest.domain.steps`.

Versions: Redis 7 and later, Valkey 7.2 and later. In a cluster a ledger is on one node, whichever
has the slot of its name: several ledgers spread over several nodes, one does not.
"""

from typing import TYPE_CHECKING

from chatnest.adapters.storage.compare_and_set import CompareAndSetLedger
from chatnest.adapters.storage.group_commit import CommitLimits, GroupCommit
from chatnest.domain.errors import ConfigurationError
from chatnest.domain.ports import Clock, Randomness

if TYPE_CHECKING:
    from chatnest.adapters.storage.redis_server import RedisServer


class RedisStore(GroupCommit):
    """A :class:`~chatnest.domain.ports.LedgerStore` in Redis or Valkey at *url*.

    *url* is ``redis://user:password@host:6379/0``, ``rediss://`` for TLS, ``unix://`` for a socket,
    or ``redis+cluster://`` with any node of a cluster. *ledger* names the ledger: all of its keys
    begin with it, in braces. Nothing is connected to before the first step.

    Raises:
        ConfigurationError: *url* or *ledger* cannot be used, or redis-py is not installed.
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


def _server_class() -> "type[RedisServer]":
    """Import the driver, which is an extra.

    Raises:
        ConfigurationError: it is not installed.
    """
    try:
        from chatnest.adapters.storage.redis_server import RedisServer
    except ImportError as error:
        raise ConfigurationError(
            "the redis store needs its driver: pip install 'chatnest[redis]'"
        ) from error
    return RedisServer
