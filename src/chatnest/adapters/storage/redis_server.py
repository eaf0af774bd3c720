"""Redis and Valkey as a server of rows: what a ledger by compare-and-set asks of one.

A batch is one script, which compares the versions of all rows that the batch names and writes all
of its changes, or none: Redis runs one script at a time. A ledger is in one slot, and so on one
node of a cluster, where the same holds.
"""

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from chatnest.adapters.storage.compare_and_set import Committed, Conflict, Key
from chatnest.adapters.storage.redis_link import Command, RedisLink, Script
from chatnest.adapters.storage.redis_rows import (
    RATES_KEPT_MS,
    commit_arguments,
    instant,
    name_of,
    read_hold,
    read_rows,
)
from chatnest.adapters.storage.redis_snapshot import Changes, read_changes
from chatnest.adapters.storage.schema import migrations_to_run
from chatnest.domain.budget import Hold
from chatnest.domain.errors import ChatNestError, ConfigurationError, StoreUnavailableError
from chatnest.domain.ledger import Change, Keys, LedgerPage
from chatnest.domain.ports import Clock, Randomness
from chatnest.domain.windows import US_PER_S

_log = logging.getLogger("chatnest.storage")

SCHEMA_VERSION: Final = 1

_COMMIT: Final = Script("redis_commit.lua")
_LIST: Final = Script("redis_list.lua")
_CHANGES: Final = Script("redis_changes.lua")
_END_TURN: Final = Script("redis_end_turn.lua")

# A turn is for a few round trips. One that its owner does not end, ends after so long.
_TURN_MS: Final = 1_000
_LONGEST_WAIT_US: Final = 4 * US_PER_S
_FIRST_PAUSE_US: Final = 1_000
_PAUSE_US: Final = 2_000


class RedisServer:
    """A :class:`~chatnest.adapters.storage.compare_and_set.CompareAndSetServer` at *url*.

    *ledger* is the name that all of its keys begin with. Commits have a connection of their own,
    so that no reading of history delays them.

    Raises:
        ConfigurationError: *url* cannot be read, or *ledger* is no name for keys.
    """

    def __init__(
        self, url: str, clock: Clock, randomness: Randomness, *, ledger: str = "chatnest"
    ) -> None:
        if not ledger or "{" in ledger or "}" in ledger:
            raise ConfigurationError("store: the ledger's name in Redis must have no { or } in it.")
        self._clock = clock
        self._randomness = randomness
        self._prefix = f"{{{ledger}}}:"
        self._commits = RedisLink(url)
        self._reads = RedisLink(url)
        self._own_turn = ""
        self._is_inspected = False

    async def commit(
        self, keys: Keys, versions: Mapping[Key, str], change: Change[Any]
    ) -> Committed | Conflict:
        """See :class:`~chatnest.adapters.storage.compare_and_set.CompareAndSetServer`."""
        return await self._commit(keys, versions, change)

    @asynccontextmanager
    async def turn(
        self, keys: Keys, versions: Mapping[Key, str]
    ) -> AsyncIterator[Committed | Conflict]:
        """See :class:`~chatnest.adapters.storage.compare_and_set.CompareAndSetServer`.

        Where it is left by an error it ends by itself, within a second: to ask a server that may
        not answer would take longer.
        """
        self._own_turn = token = self._randomness.new_id()
        try:
            yield await self._commit(keys, versions, Change(None), turn_ms=_TURN_MS)
            has_ended = not self._own_turn
        finally:
            self._own_turn = ""
        if not has_ended:
            # What was committed is committed, whether or not the turn could be ended.
            with suppress(StoreUnavailableError):
                await self._commits.run(_END_TURN, [self._key("turn")], [token])

    async def due_holds(self, now: int, most: int) -> Sequence[Hold]:
        """See :meth:`chatnest.domain.ports.LedgerReads.due_holds`."""
        return await self._listed("due", now + 1, most)

    async def closed_holds(self, before: int, most: int) -> Sequence[Hold]:
        """See :meth:`chatnest.domain.ports.LedgerReads.closed_holds`."""
        return await self._listed("closed", before, most)

    def snapshot(self, since: int = 0) -> AsyncGenerator[LedgerPage, None]:
        """See :meth:`chatnest.domain.ports.LedgerReads.snapshot`."""
        return read_changes(self._changes, since)

    async def now(self) -> int:
        """See :meth:`chatnest.domain.ports.LedgerReads.now`."""
        seconds, us = await self._reads.ask("TIME")
        return int(seconds) * US_PER_S + int(us)

    async def aclose(self) -> None:
        """Close both connections. May be called twice."""
        await self._commits.aclose()
        await self._reads.aclose()

    def _key(self, name: str) -> str:
        return self._prefix + name

    async def _commit(
        self, keys: Keys, versions: Mapping[Key, str], change: Change[Any], turn_ms: int = 0
    ) -> Committed | Conflict:
        """Compare and set; with *turn_ms* the own turn begins with it, and is of that length."""
        named: tuple[Key, ...] = (*keys.accounts, *keys.rates, *keys.holds)
        version = self._randomness.new_id()
        rest = (
            turn_ms,
            len(keys.accounts),
            len(keys.rates),
            *commit_arguments(named, versions, change, version),
        )
        answer = await self._committed([name_of(key) for key in named], rest)
        if answer == b"ended":
            self._own_turn = ""
        elif answer != b"written":
            return Conflict(read_rows(named, answer))
        return Committed(version)

    async def _committed(self, names: Sequence[str], rest: Command) -> Any:
        """What the commit script answers once no other process has its turn."""
        began_us = self._clock.monotonic_us()
        beside = ("turn", "sequence", "rewritten", "changes", "due", "closed")
        pause_us = _FIRST_PAUSE_US
        while True:
            arguments = (self._own_turn, len(self._prefix.encode()), RATES_KEPT_MS, *rest)
            answer = await self._run(self._commits, _COMMIT, (*beside, *names), arguments)
            if answer != b"turn":
                return answer
            await self._pause(began_us, pause_us)
            pause_us = _PAUSE_US

    async def _pause(self, began_us: int, pause_us: int) -> None:
        if self._clock.monotonic_us() - began_us > _LONGEST_WAIT_US:
            raise StoreUnavailableError("other processes keep the ledger to themselves")
        await self._clock.sleep(pause_us)

    async def _listed(self, index: str, end: int, most: int) -> Sequence[Hold]:
        arguments = (self._prefix, instant(max(0, end)), most)
        found = await self._run(self._reads, _LIST, (index,), arguments)
        return [read_hold(value) for value in found if value is not None]

    async def _changes(self, after: bytes, most: int) -> Changes:
        names = ("changes", "rewritten")
        arguments = (self._prefix, after, most)
        answer = await self._run(self._reads, _CHANGES, names, arguments)
        return Changes(self._reads.times_connected, *answer)

    async def _run(
        self,
        link: RedisLink,
        script: Script,
        names: Sequence[str],
        arguments: Command,
    ) -> Any:
        """What *script* answers on a ledger of this schema."""
        prefix = self._prefix
        keys = [prefix + name for name in ("schema", *names)]
        for _ in range(2):
            answer = await link.run(script, keys, (SCHEMA_VERSION, *arguments))
            if not self._is_inspected:
                self._is_inspected = True
                await self._inspect(link)
            if answer != b"schema":
                return answer
            await self._prepare(link)
        raise StoreUnavailableError("the ledger in Redis was cleared meanwhile")

    async def _prepare(self, link: RedisLink) -> None:
        """Give an empty ledger its schema.

        Raises:
            ConfigurationError: it has one that this version does not know.
        """
        key = self._key("schema")
        found = await link.ask("GET", key)
        if found is not None and not found.isdigit():
            raise ConfigurationError(f"store: the key {key} in Redis is none of ChatNest's.")
        for version in migrations_to_run(int(found or 0), SCHEMA_VERSION):
            await link.ask("SET", key, version, "NX")

    async def _inspect(self, link: RedisLink) -> None:
        """Warn of a server that is set up to lose accounts; a server that does not say is fine."""
        try:
            policy = await self._setting(link, "maxmemory-policy")
            is_logged = await self._setting(link, "appendonly")
            saves = await self._setting(link, "save")
        except ChatNestError:
            return
        if policy not in (None, b"noeviction"):
            _log.warning(
                "Redis evicts keys when its memory is full, and accounts with them: set "
                "maxmemory-policy to noeviction."
            )
        if is_logged == b"no" and saves == b"":
            _log.warning(
                "Redis keeps nothing on disk, and loses all accounts when it restarts: set "
                "appendonly to yes."
            )

    async def _setting(self, link: RedisLink, name: str) -> bytes | None:
        answer = await link.ask("CONFIG", "GET", name)
        return bytes(answer[1]) if answer else None
