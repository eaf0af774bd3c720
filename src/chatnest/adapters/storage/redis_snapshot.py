"""A snapshot of a ledger in Redis: paged, and yet of one instant.

Every change of an account or a hold gives it the next number of a sequence. Rows are read in the
order of these numbers: one that changes meanwhile moves to the end, and is read again there. When
nothing is left after a page, everything that was read is as it was at the instant of that page.

A hold must come once, and one that is open or expired may yet change: those are kept until the end.
One that is settled or released changes no more. Where it does so all the same, or is forgotten, the
server counts it, and the snapshot is given up.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from chatnest.adapters.storage.redis_rows import read_account, read_hold
from chatnest.domain.budget import Account, AccountKey, Hold, HoldState
from chatnest.domain.errors import StoreUnavailableError
from chatnest.domain.ledger import LedgerPage

# What is read at once: a few milliseconds of this event loop, and less than one of the server.
_PAGE: Final = 500
# So near to its end the sequence is followed without a pause, or writers might always be ahead.
_NEAR: Final = 10_000
_PAGE_GIVEN: Final = 1_000


@dataclass(frozen=True, slots=True)
class Changes:
    """Rows in the order of their last change; *left* more follow on them after *last*."""

    times_connected: int
    rewritten: bytes
    left: int
    last: bytes
    names: Sequence[bytes]
    values: Sequence[bytes | None]


async def read_changes(
    changes: Callable[[bytes, int], Awaitable[Changes]], since: int
) -> AsyncGenerator[LedgerPage, None]:
    """All accounts and holds, without closed ones made before *since*.

    Raises:
        StoreUnavailableError: history was rewritten, or the server was lost, meanwhile.
    """
    reading = _Reading(since)
    page = first = await changes(b"0", _PAGE)
    reading.take(page)
    while page.left:
        if page.left > _NEAR:
            for given in reading.given():
                yield given
        page = await changes(page.last, _PAGE)
        _check(first, page)
        reading.take(page)
    reading.end()
    for given in reading.given():
        yield given


@dataclass(slots=True)
class _Reading:
    """What was read and not given yet; *standing* are the holds that may yet change."""

    since: int
    accounts: dict[AccountKey, Account] = field(default_factory=dict)
    ended: list[Hold] = field(default_factory=list)
    standing: dict[str, Hold] = field(default_factory=dict)

    def take(self, page: Changes) -> None:
        for name, value in zip(page.names, page.values, strict=True):
            if value is None:
                raise StoreUnavailableError("rows of the ledger in Redis are missing")
            if name.startswith(b"account:"):
                account = read_account(value)
                self.accounts[account.key] = account
            else:
                self._take_hold(read_hold(value))

    def _take_hold(self, hold: Hold) -> None:
        if hold.state in (HoldState.HELD, HoldState.EXPIRED):
            self.standing[hold.id] = hold
            return
        self.standing.pop(hold.id, None)
        if hold.created_at >= self.since:
            self.ended.append(hold)

    def end(self) -> None:
        """Nothing changes any more: every hold that was kept back can be given."""
        for hold in self.standing.values():
            if hold.state is HoldState.HELD or hold.created_at >= self.since:
                self.ended.append(hold)
        self.standing.clear()

    def given(self) -> Sequence[LedgerPage]:
        """What was read, in pages; it is given once."""
        accounts, holds = list(self.accounts.values()), self.ended
        self.accounts, self.ended = {}, []
        starts = range(0, max(len(accounts), len(holds)), _PAGE_GIVEN)
        return [
            LedgerPage(accounts[at : at + _PAGE_GIVEN], holds[at : at + _PAGE_GIVEN])
            for at in starts
        ]


def _check(first: Changes, page: Changes) -> None:
    if page.rewritten != first.rewritten:
        raise StoreUnavailableError(
            "the ledger's history was pruned or rewritten while it was read; read it again"
        )
    if page.times_connected != first.times_connected:
        raise StoreUnavailableError("Redis was lost while the ledger was read; read it again")
