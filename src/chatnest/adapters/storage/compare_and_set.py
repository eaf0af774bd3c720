"""Steps by compare-and-set, for stores that cannot run Python: one round trip for each batch.

A step runs on rows that this process remembers. What it changes is written only if every row that
it named is still as remembered, judged and done by the server as one; otherwise the server says
how the rows are, and the step runs again on those. Nothing is trusted that was not compared, not
even for a step that only reads. Where others write as well, a batch has a turn in which nobody
else does.

Each write marks its rows with a version that no other write ever has. Numbers that count would not
do: a server that came back without its last writes would count to the same number again, with
another row.
"""

from collections.abc import Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Final, Generic, Protocol, TypeVar

from chatnest.domain.budget import Account, AccountKey, Hold, HoldState
from chatnest.domain.errors import StoreUnavailableError
from chatnest.domain.ledger import Change, Keys, RateKey, Rows, Step, checked
from chatnest.domain.ports import LedgerReads
from chatnest.domain.rate_limit import RateState

T = TypeVar("T")
Key = AccountKey | RateKey | str
Row = Account | RateState | Hold
K = TypeVar("K", bound=Key)
R = TypeVar("R", bound=Row)

# Attempts beside other writers before a turn of its own is taken; in a turn the second one holds.
_FREE_ATTEMPTS: Final = 2
_ATTEMPTS_IN_TURN: Final = 5
# Between one and two times so many rows of each kind are remembered.
_GENERATION: Final = 10_000


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

        Asks the server even where nothing is named or changed. Inside a turn, what was committed
        may become final only when the turn ends.

        Raises:
            StoreUnavailableError: the outcome is unknown.
        """

    def turn(
        self, keys: Keys, versions: Mapping[Key, str]
    ) -> AbstractAsyncContextManager[Committed | Conflict]:
        """While it is open no other process commits; it ends by itself if this one dies.

        It gives how the rows at *keys* are in it, as ``commit`` would say it of no change. It may
        end with the first change that is committed in it.

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
        self._accounts: _Remembered[AccountKey, Account] = _Remembered(Account)
        self._rates: _Remembered[RateKey, RateState] = _Remembered(RateState)
        self._holds: _Remembered[str, Hold] = _Remembered(Hold)
        self._others_write = False
        self.due_holds = server.due_holds
        self.closed_holds = server.closed_holds
        self.snapshot = server.snapshot
        self.now = server.now
        self.aclose = server.aclose

    async def transact(self, keys: Keys, step: Step[T]) -> T:
        """See :meth:`chatnest.domain.ports.LedgerStore.transact`."""
        change = None
        if not self._others_write:
            change = await self._attempt(keys, step, _FREE_ATTEMPTS)
        if change is None:
            change = await self._in_turn(keys, step)
        if change is None:
            raise StoreUnavailableError("others write to the ledger all the time")
        return change.result

    async def _in_turn(self, keys: Keys, step: Step[T]) -> Change[T] | None:
        """What becomes of *step* while nobody else writes.

        Where others write all the time it is judged once so, and meanwhile more steps come
        together for the next batch.
        """
        _, versions = self._recall(keys)
        # First: a server that takes no writes gives no turn, and can be read without one.
        self._others_write = False
        async with self._server.turn(keys, versions) as found:
            if isinstance(found, Conflict):
                self._correct(keys, versions, found.current)
            return await self._attempt(keys, step, _ATTEMPTS_IN_TURN)

    async def _attempt(self, keys: Keys, step: Step[T], attempts: int) -> Change[T] | None:
        for _ in range(attempts):
            rows, versions = self._recall(keys)
            judged = _judge(keys, step, rows)
            change: Change[Any] = judged if isinstance(judged, Change) else Change(None)
            # Whatever becomes of it: what is remembered is compared again the next time.
            answer = await self._server.commit(keys, versions, change)
            if isinstance(answer, Conflict):
                self._correct(keys, versions, answer.current)
            elif isinstance(judged, Exception):
                raise judged
            else:
                self._remember(judged, answer.version)
                return judged
        return None

    def _correct(
        self, keys: Keys, versions: Mapping[Key, str], current: Mapping[Key, Versioned]
    ) -> None:
        # A row that was only not remembered says nothing of others.
        self._others_write = any(
            (found := current.get(key)) is None or found.version != version
            for key, version in versions.items()
        )
        self._accounts.correct(keys.accounts, current)
        self._rates.correct(keys.rates, current)
        self._holds.correct(keys.holds, current)

    def _recall(self, keys: Keys) -> tuple[Rows, dict[Key, str]]:
        """The remembered rows; of one that is not remembered it is assumed that there is none.

        That is so for the hold of every new call, and the server corrects it where it is not.
        """
        versions: dict[Key, str] = {}
        rows = Rows(
            self._accounts.recall(keys.accounts, versions),
            self._rates.recall(keys.rates, versions),
            self._holds.recall(keys.holds, versions),
        )
        return rows, versions

    def _remember(self, change: Change[Any], version: str) -> None:
        self._accounts.keep([(account.key, account) for account in change.accounts], version)
        self._rates.keep(change.rates, version)
        # A closed hold is rarely asked for again.
        held = [hold for hold in change.holds if hold.state is HoldState.HELD]
        closed = [hold.id for hold in change.holds if hold.state is not HoldState.HELD]
        self._holds.keep([(hold.id, hold) for hold in held], version)
        self._holds.forget(closed)
        self._accounts.forget(change.forgotten_accounts)
        self._holds.forget(change.forgotten_holds)


def _judge(keys: Keys, step: Step[T], rows: Rows) -> Change[T] | Exception:
    """What *step* makes of *rows*, or raises: neither counts before the rows were compared."""
    try:
        return checked(keys, step(rows))
    except Exception as error:
        return error


class _Remembered(Generic[K, R]):
    """Rows of one *kind* with their versions, in two generations.

    What is used comes to the young one. When that is full it becomes the old one, and the one that
    was old is forgotten: no order of use is kept up for each row.
    """

    def __init__(self, kind: type[R]) -> None:
        self._kind = kind
        self._young: dict[K, tuple[R, str]] = {}
        self._old: dict[K, tuple[R, str]] = {}

    def recall(self, keys: Iterable[K], versions: dict[Key, str]) -> dict[K, R]:
        """The remembered ones of the rows at *keys*; their versions are added to *versions*."""
        young, old = self._young, self._old
        rows: dict[K, R] = {}
        for key in keys:
            if (found := young.get(key)) is None:
                if (found := old.pop(key, None)) is None:
                    continue
                young[key] = found
            rows[key], versions[key] = found
        return rows

    def keep(self, rows: Iterable[tuple[K, R]], version: str) -> None:
        """Remember *rows*, which were written with *version*."""
        for key, row in rows:
            self._young[key] = (row, version)
        if len(self._young) >= _GENERATION:
            self._young, self._old = {}, self._young

    def correct(self, keys: Iterable[K], current: Mapping[Key, Versioned]) -> None:
        """Remember the rows at *keys* as they are in *current*, also where there is none."""
        self.forget(keys)
        for key in keys:
            found = current.get(key)
            if found is not None and isinstance(found.row, self._kind):
                self._young[key] = (found.row, found.version)

    def forget(self, keys: Iterable[K]) -> None:
        """Remember the rows at *keys* no more."""
        for key in keys:
            self._young.pop(key, None)
            self._old.pop(key, None)
