"""A ledger in this process's memory: the fastest store, and gone when the process ends.

It takes part in the same contract as the durable stores, but one process is one ledger: N workers
on it would be N budgets.

Memory stays bounded by what is current. Open holds, accounts that hold or spend in a window that
may not be over, and totals are always kept. The rest is history, and is forgotten a little with
every write:

- A closed hold is kept for an hour, or until ``journal_size`` further ones have closed. For so
  long a repeated settle changes nothing and a late one corrects an expiry; after that the hold
  counts as lost, and settling it would charge it again.
- An account is kept after its last write for at least as long as its window can last.
- A rate state is kept after its last write for the length of a month, the longest that a quota is
  expected to look back.
"""

from bisect import bisect_left, bisect_right, insort
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from threading import Lock
from typing import Final, Generic, TypeVar

from chatnest.domain.budget import Account, AccountKey, Hold, HoldState
from chatnest.domain.errors import StoreUnavailableError
from chatnest.domain.ledger import Change, Keys, LedgerPage, RateKey, Rows, Step, checked
from chatnest.domain.ports import Clock
from chatnest.domain.rate_limit import RateState
from chatnest.domain.windows import US_PER_S, Period

T = TypeVar("T")
K = TypeVar("K")
R = TypeVar("R")

_HOUR_US: Final = 3_600 * US_PER_S
_DAY_US: Final = 24 * _HOUR_US
# Longer than the longest month with a clock change in it.
_MONTH_US: Final = 32 * _DAY_US

# At least as long as a window of the period can last: an account idle for longer is history.
_ACCOUNTS_KEPT_US: Final[Mapping[Period, int]] = {
    Period.MINUTE: _HOUR_US,
    Period.HOUR: _DAY_US,
    Period.DAY: 3 * _DAY_US,
    Period.MONTH: _MONTH_US,
    Period.TOTAL: _HOUR_US,
}
_HOLDS_KEPT_US: Final = _HOUR_US


class MemoryStore:
    """A :class:`~chatnest.domain.ports.LedgerStore` that lives and dies with its process.

    May be used from several threads and event loops: a step runs under a lock and never waits, so
    that it needs no turn of any loop. ``journal_size`` is how many closed holds are remembered.

    Raises:
        ValueError: *journal_size* is less than one.
    """

    def __init__(self, clock: Clock, *, journal_size: int = 10_000) -> None:
        if journal_size < 1:
            raise ValueError(f"journal_size must be at least 1, got {journal_size}")
        self._lock = Lock()
        self._closed = False
        self._accounts: Mapping[Period, _Shelf[AccountKey, Account]] = {
            period: _Shelf(clock, kept_us, may_forget=_is_history)
            for period, kept_us in _ACCOUNTS_KEPT_US.items()
        }
        self._clock = clock
        self._rates: _Shelf[RateKey, RateState] = _Shelf(clock, _MONTH_US)
        self._journal: _Shelf[str, Hold] = _Shelf(
            clock, _HOLDS_KEPT_US, most=journal_size, on_forgotten=self._carry
        )
        self._open: dict[str, Hold] = {}
        # Every open hold as (expires_at, id), in order.
        self._due: list[tuple[int, str]] = []

    async def transact(self, keys: Keys, step: Step[T]) -> T:
        """Apply *step* to the rows at *keys*; all of its writes happen, or none.

        It never awaits, so a cancelled caller finds the step either done or not begun.

        Raises:
            StoreUnavailableError: the store is closed.
            ValueError: the step writes a row that it did not name.
        """
        with self._lock:
            self._require_open()
            change = checked(keys, step(self._load(keys)))
            self._write(change)
        return change.result

    async def due_holds(self, now: int, most: int) -> Sequence[Hold]:
        """At most *most* open holds with ``expires_at <= now``, the longest due first.

        Raises:
            StoreUnavailableError: the store is closed.
        """
        with self._lock:
            self._require_open()
            due = bisect_right(self._due, now, key=_expires_at)
            return [self._open[hold_id] for _, hold_id in self._due[: min(due, most)]]

    async def closed_holds(self, before: int, most: int) -> Sequence[Hold]:
        """At most *most* holds that are not open, with ``closed_at < before``; the oldest first.

        Raises:
            StoreUnavailableError: the store is closed.
        """
        with self._lock:
            self._require_open()
            old = [
                (hold.closed_at, hold)
                for hold in self._journal.rows()
                if hold.closed_at is not None and hold.closed_at < before
            ]
        return [hold for _, hold in sorted(old, key=lambda entry: entry[0])[:most]]

    async def snapshot(self, since: int = 0) -> AsyncGenerator[LedgerPage, None]:
        """All accounts and holds, in one page; without closed holds made before *since*.

        Raises:
            StoreUnavailableError: while iterating; the store is closed.
        """
        with self._lock:
            self._require_open()
            shelves = self._accounts.values()
            page = LedgerPage(
                [account for shelf in shelves for account in shelf.rows()],
                [
                    *self._open.values(),
                    *(hold for hold in self._journal.rows() if hold.created_at >= since),
                ],
            )
        yield page

    async def now(self) -> int:
        """The clock's own time: one process has one clock.

        Raises:
            StoreUnavailableError: the store is closed.
        """
        self._require_open()
        return self._clock.now()

    async def aclose(self) -> None:
        """Answer no more. May be called twice."""
        with self._lock:
            self._closed = True

    def _require_open(self) -> None:
        if self._closed:
            raise StoreUnavailableError("the memory store is closed")

    def _load(self, keys: Keys) -> Rows:
        return Rows(
            _present(keys.accounts, lambda key: self._accounts[key.period].get(key)),
            _present(keys.rates, self._rates.get),
            _present(keys.holds, self._hold),
        )

    def _hold(self, hold_id: str) -> Hold | None:
        return self._open.get(hold_id) or self._journal.get(hold_id)

    def _write(self, change: Change[T]) -> None:
        for account in change.accounts:
            self._accounts[account.key.period].put(account.key, account)
        for key, state in change.rates:
            self._rates.put(key, state)
        for hold in change.holds:
            self._put_hold(hold)
        for gone in change.forgotten_accounts:
            self._accounts[gone.period].drop(gone)
        for hold_id in change.forgotten_holds:
            self._drop_hold(hold_id)

    def _put_hold(self, hold: Hold) -> None:
        self._drop_hold(hold.id)
        if hold.state is HoldState.HELD:
            self._open[hold.id] = hold
            insort(self._due, (hold.expires_at, hold.id))
        else:
            self._journal.put(hold.id, hold)

    def _drop_hold(self, hold_id: str) -> None:
        before = self._open.pop(hold_id, None)
        if before is not None:
            del self._due[bisect_left(self._due, (before.expires_at, before.id))]
        self._journal.drop(hold_id)

    def _carry(self, hold: Hold) -> None:
        """Keep in its accounts what *hold*, which is being forgotten, was charged."""
        for line in hold.lines:
            shelf = self._accounts[line.account.period]
            account = shelf.get(line.account)
            if account is not None:
                carried = account.carried + (line.charged or 0)
                shelf.amend(line.account, replace(account, carried=carried))


class _Shelf(Generic[K, R]):
    """Rows in the order of their last write, the oldest of which are forgotten.

    Time is the monotonic clock's: setting the wall clock forward must not forget what was spent.
    """

    def __init__(
        self,
        clock: Clock,
        kept_us: int,
        *,
        most: int | None = None,
        may_forget: Callable[[R], bool] = lambda row: True,
        on_forgotten: Callable[[R], None] = lambda row: None,
    ) -> None:
        self._clock = clock
        self._kept_us = kept_us
        self._most = most
        self._may_forget = may_forget
        self._on_forgotten = on_forgotten
        # Not a dict: finding a dict's first key again and again, while they go, is quadratic.
        self._rows: OrderedDict[K, tuple[R, int]] = OrderedDict()

    def get(self, key: K) -> R | None:
        found = self._rows.get(key)
        return None if found is None else found[0]

    def rows(self) -> Iterator[R]:
        return (row for row, _ in self._rows.values())

    def amend(self, key: K, row: R) -> None:
        """Replace the row at *key* as if it had been so when it was written."""
        self._rows[key] = (row, self._rows[key][1])

    def drop(self, key: K) -> None:
        self._rows.pop(key, None)

    def put(self, key: K, row: R) -> None:
        now_us = self._clock.monotonic_us()
        self._rows[key] = (row, now_us)
        self._rows.move_to_end(key)
        self._forget_oldest(now_us)

    def _forget_oldest(self, now_us: int) -> None:
        # At most two for each one that comes: the shelf shrinks, and no write waits for much.
        for _ in range(2):
            key, (row, written_us) = next(iter(self._rows.items()))
            crowded = self._most is not None and len(self._rows) > self._most
            if not crowded and now_us - written_us <= self._kept_us:
                return
            if self._may_forget(row):
                del self._rows[key]
                self._on_forgotten(row)
            else:
                self._rows[key] = (row, now_us)
                self._rows.move_to_end(key)


def _is_history(account: Account) -> bool:
    """Whether an idle *account* says nothing more about what may be spent now."""
    if account.held or account.carried < account.settled:
        return False
    return account.key.period is not Period.TOTAL or account.settled == 0


def _present(keys: Iterable[K], get: Callable[[K], R | None]) -> dict[K, R]:
    return {key: row for key in keys if (row := get(key)) is not None}


def _expires_at(entry: tuple[int, str]) -> int:
    return entry[0]
