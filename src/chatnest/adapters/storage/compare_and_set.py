"""Steps by compare-and-set, for stores that cannot run Python: one round trip for each batch.

A step runs on rows that this process remembers. What it changes is written only if every row that
it named is still as remembered, judged and done by the server as one; otherwise the server says
how the rows are, and the step runs again on those. Nothing is trusted that was not compared, not
even for a step that only reads.

Each write marks its rows with a version that no other write ever has. Numbers that count would not
do: a server that came back without its last writes would count to the same number again, with
another row.
"""

from collections import OrderedDict
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

from chatnest.domain.budget import Account, AccountKey, Hold, HoldState
from chatnest.domain.errors import StoreUnavailableError
from chatnest.domain.ledger import Change, Keys, RateKey, Rows, Step, checked
from chatnest.domain.ports import LedgerReads
from chatnest.domain.rate_limit import RateState

T = TypeVar("T")
Key = AccountKey | RateKey | str
Row = Account | RateState | Hold

# Attempts beside other writers before a turn of its own is taken; in a turn the second one holds.
_FREE_ATTEMPTS: Final = 2
_ATTEMPTS_IN_TURN: Final = 5
_REMEMBERED_ROWS: Final = 20_000


@dataclass(frozen=True, slots=True)
class Versioned:
    """A stored row and the version that its last write gave it."""

    row: Row
    version: str


@dataclass(frozen=True, slots=True)
class Committed:
    """The change is written; its rows have *version*."""

    version: str


@dataclass(frozen=True, slots=True)
class Conflict:
    """Nothing is written: a row was not as expected. *current* has every named row there is."""

    current: Mapping[Key, Versioned]


class CompareAndSetServer(LedgerReads, Protocol):
    """What a server of rows has to offer."""

    async def commit(
        self, keys: Keys, versions: Mapping[Key, str], change: Change[Any]
    ) -> Committed | Conflict:
        """Write *change* if each row at *keys* has its one of *versions*, or is missing as there.

        Asks the server even where nothing is named or changed.

        Raises:
            StoreUnavailableError: the outcome is unknown.
        """

    def turn(self) -> AbstractAsyncContextManager[None]:
        """While it is open no other process commits; it ends by itself if this one dies.

        Raises:
            StoreUnavailableError: on entering; the server did not answer, or others took too long.
        """


class CompareAndSetLedger:
    """A :class:`~chatnest.domain.ports.LedgerStore` on *server*; for one step at a time.

    Steps that run side by side are right as well, but collide with each other:
    :class:`~chatnest.adapters.storage.group_commit.GroupCommit` lines them up.
    """

    def __init__(self, server: CompareAndSetServer) -> None:
        self._server = server
        self._remembered: OrderedDict[Key, Versioned] = OrderedDict()
        self.due_holds = server.due_holds
        self.closed_holds = server.closed_holds
        self.snapshot = server.snapshot
        self.now = server.now
        self.aclose = server.aclose

    async def transact(self, keys: Keys, step: Step[T]) -> T:
        """See :meth:`chatnest.domain.ports.LedgerStore.transact`."""
        change = await self._attempt(keys, step, _FREE_ATTEMPTS)
        if change is None:
            async with self._server.turn():
                change = await self._attempt(keys, step, _ATTEMPTS_IN_TURN)
        if change is None:
            raise StoreUnavailableError("others write to the ledger all the time")
        return change.result

    async def _attempt(self, keys: Keys, step: Step[T], attempts: int) -> Change[T] | None:
        known = self._recall(keys)
        for _ in range(attempts):
            change = checked(keys, step(_rows(keys, known)))
            versions = {key: found.version for key, found in known.items()}
            # Whatever becomes of it: what is remembered is compared again the next time.
            match await self._server.commit(keys, versions, change):
                case Committed(version=version):
                    self._remember(known, change, version)
                    return change
                case Conflict(current=current):
                    known = dict(current)
        self._forget(keys)
        for key, versioned in known.items():
            self._keep(key, versioned)
        return None

    def _recall(self, keys: Keys) -> dict[Key, Versioned]:
        """The remembered rows; of one that is not remembered it is assumed that there is none.

        That is so for the hold of every new call, and the server corrects it where it is not.
        """
        found: dict[Key, Versioned] = {}
        for key in _named(keys):
            if (versioned := self._remembered.get(key)) is not None:
                found[key] = versioned
        return found

    def _remember(self, known: Mapping[Key, Versioned], change: Change[Any], version: str) -> None:
        for key, versioned in known.items():
            self._keep(key, versioned)
        for account in change.accounts:
            self._keep(account.key, Versioned(account, version))
        for key, state in change.rates:
            self._keep(key, Versioned(state, version))
        for hold in change.holds:
            if hold.state is HoldState.HELD:
                self._keep(hold.id, Versioned(hold, version))
            else:  # A closed hold is rarely asked for again.
                self._remembered.pop(hold.id, None)
        self._forget(Keys(change.forgotten_accounts, (), change.forgotten_holds))
        while len(self._remembered) > _REMEMBERED_ROWS:
            self._remembered.popitem(last=False)

    def _keep(self, key: Key, versioned: Versioned) -> None:
        self._remembered[key] = versioned
        self._remembered.move_to_end(key)

    def _forget(self, keys: Keys) -> None:
        for key in _named(keys):
            self._remembered.pop(key, None)


def _named(keys: Keys) -> tuple[Key, ...]:
    return (*keys.accounts, *keys.rates, *keys.holds)


def _rows(keys: Keys, known: Mapping[Key, Versioned]) -> Rows:
    return Rows(
        {key: row for key in keys.accounts if isinstance(row := _row(known, key), Account)},
        {key: row for key in keys.rates if isinstance(row := _row(known, key), RateState)},
        {key: row for key in keys.holds if isinstance(row := _row(known, key), Hold)},
    )


def _row(known: Mapping[Key, Versioned], key: Key) -> Row | None:
    found = known.get(key)
    return None if found is None else found.row
