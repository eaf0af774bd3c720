"""Steps by compare-and-set, on a server of rows that is a dict."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from chatnest.adapters.storage import compare_and_set
from chatnest.adapters.storage.compare_and_set import (
    Committed,
    CompareAndSetLedger,
    Conflict,
    Key,
    Row,
    Versioned,
)
from chatnest.domain.budget import Account, AccountKey, Unit
from chatnest.domain.errors import StoreUnavailableError
from chatnest.domain.ledger import Change, Keys, Rows
from chatnest.domain.windows import Period
from chatnest.testing.ledger_cases import NOON, closed, open_hold, read, read_account, writing
from chatnest.testing.ledger_races import LEFT, RIGHT, adding_to

OTHER = AccountKey("other", Unit.TOKENS, Period.DAY, NOON)
THIRD = AccountKey("third", Unit.TOKENS, Period.DAY, NOON)


class DictServer:
    """Rows in a dict. ``rival`` is called before each commit outside of a turn."""

    def __init__(self) -> None:
        self.rows: dict[Key, Versioned] = {}
        self.asked: list[Mapping[Key, str]] = []
        self.turns = 0
        self.rival: Callable[[], None] = lambda: None
        self.is_reply_lost = False
        self.can_take_turns = True
        self.takes_writes = True
        self.hangs: asyncio.Event | None = None
        self._in_turn = False
        self._versions = count(1)
        # What reads there are is passed on as it is.
        self.due_holds = self.closed_holds = self.snapshot = self.now = self.aclose = self._none

    async def commit(
        self, keys: Keys, versions: Mapping[Key, str], change: Change[Any]
    ) -> Committed | Conflict:
        self.asked.append(dict(versions))
        if not self._in_turn:
            self.rival()
        answer = self._judge(keys, versions, change)
        if self.hangs is not None:
            self.hangs.set()
            await asyncio.Event().wait()
        if self.is_reply_lost:
            raise StoreUnavailableError("lost")
        return answer

    @asynccontextmanager
    async def turn(
        self, keys: Keys, versions: Mapping[Key, str]
    ) -> AsyncIterator[Committed | Conflict]:
        if not self.takes_writes:
            raise StoreUnavailableError("no writes")
        self.turns += 1
        self._in_turn = self.can_take_turns
        yield await self.commit(keys, versions, Change(None))
        self._in_turn = False

    def put(self, *accounts: Account) -> None:
        """Write as another process does."""
        for account in accounts:
            self.rows[account.key] = self._versioned(account)

    def _versioned(self, row: Row) -> Versioned:
        return Versioned(row, f"v{next(self._versions)}")

    def _judge(
        self, keys: Keys, versions: Mapping[Key, str], change: Change[Any]
    ) -> Committed | Conflict:
        named: tuple[Key, ...] = (*keys.accounts, *keys.rates, *keys.holds)
        current = {key: self.rows[key] for key in named if key in self.rows}
        if {key: found.version for key, found in current.items()} != dict(versions):
            return Conflict(current)
        version = f"v{next(self._versions)}"
        self.rows.update((row.key, Versioned(row, version)) for row in change.accounts)
        self.rows.update((key, Versioned(state, version)) for key, state in change.rates)
        self.rows.update((hold.id, Versioned(hold, version)) for hold in change.holds)
        forgotten: tuple[Key, ...] = (*change.forgotten_accounts, *change.forgotten_holds)
        for key in forgotten:
            del self.rows[key]
        return Committed(version)

    def _none(self, *arguments: object) -> Any:
        raise NotImplementedError


@pytest.fixture
def server() -> DictServer:
    return DictServer()


@pytest.fixture
def ledger(server: DictServer) -> CompareAndSetLedger:
    return CompareAndSetLedger(server)


async def add(ledger: CompareAndSetLedger, amount: int = 1) -> int:
    return await ledger.transact(Keys((LEFT,)), adding_to(LEFT, amount))


def settled(server: DictServer) -> int:
    row = server.rows[LEFT].row
    assert isinstance(row, Account)
    return row.settled


async def test_a_row_that_nobody_knows_costs_no_round_trip_of_its_own(
    ledger: CompareAndSetLedger, server: DictServer
) -> None:
    assert await add(ledger) == 1
    assert await add(ledger) == 2
    assert server.asked == [{}, {LEFT: "v1"}]


async def test_a_row_of_somebody_else_is_told_and_the_step_runs_on_it(
    ledger: CompareAndSetLedger, server: DictServer
) -> None:
    server.put(Account(LEFT, None, 5))
    assert await add(ledger) == 6
    server.put(Account(LEFT, None, 50))
    assert await add(ledger) == 51
    assert server.turns == 0


async def test_where_others_write_a_step_runs_once_in_a_turn_and_on_what_they_wrote(
    ledger: CompareAndSetLedger, server: DictServer
) -> None:
    ran: list[int] = []

    def step(rows: Rows) -> Change[None]:
        ran.append(rows.accounts[LEFT].settled)
        return Change(None, accounts=(replace(rows.accounts[LEFT], settled=0),))

    await add(ledger)
    server.put(Account(LEFT, None, 1))
    await add(ledger)
    for settled_by_others in (10, 20):
        server.put(Account(LEFT, None, settled_by_others))
        await ledger.transact(Keys((LEFT,)), step)
    assert ran == [10, 20]
    # Nobody writes any more: one turn finds that out, and there is none after it.
    for _ in range(3):
        await add(ledger)
    assert server.turns == 2 + 1
    assert len(server.asked) == 1 + 2 + 2 * 2 + 2 + 1 + 1


async def test_a_step_that_only_reads_is_told_of_every_change(
    ledger: CompareAndSetLedger, server: DictServer
) -> None:
    await add(ledger)
    server.put(Account(LEFT, None, 50))
    rows = await read(ledger, Keys((LEFT,)))
    assert rows.accounts[LEFT].settled == 50


async def test_an_absence_is_compared_as_well(
    ledger: CompareAndSetLedger, server: DictServer
) -> None:
    await add(ledger)
    del server.rows[LEFT]
    assert await add(ledger) == 1


async def test_a_lost_reply_is_an_unknown_outcome_and_nothing_of_it_is_believed(
    ledger: CompareAndSetLedger, server: DictServer
) -> None:
    await add(ledger)
    server.is_reply_lost = True
    with pytest.raises(StoreUnavailableError):
        await add(ledger)
    server.is_reply_lost = False
    assert await add(ledger) == 3
    assert settled(server) == 3


async def test_a_step_that_is_cancelled_in_flight_is_an_unknown_outcome(
    ledger: CompareAndSetLedger, server: DictServer
) -> None:
    await add(ledger)
    server.hangs = asyncio.Event()
    task = asyncio.ensure_future(add(ledger))
    await server.hangs.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    server.hangs = None
    assert await add(ledger) == 3


async def test_who_always_comes_too_late_takes_a_turn(
    ledger: CompareAndSetLedger, server: DictServer
) -> None:
    amounts = count(100)
    server.rival = lambda: server.put(Account(LEFT, None, next(amounts)))
    assert await add(ledger) == 102
    assert (server.turns, len(server.asked)) == (1, 4)
    server.rival = lambda: None
    assert await add(ledger) == 103
    assert server.turns == 1


async def test_a_server_that_gives_no_turn_can_still_be_read(
    ledger: CompareAndSetLedger, server: DictServer
) -> None:
    await add(ledger)
    server.put(Account(LEFT, None, 5))
    assert await add(ledger) == 6
    server.takes_writes = False
    with pytest.raises(StoreUnavailableError, match="no writes"):
        await add(ledger)
    assert await read_account(ledger, LEFT) == Account(LEFT, None, 6)


async def test_who_always_comes_too_late_and_gets_no_turn_is_told_so(
    ledger: CompareAndSetLedger, server: DictServer
) -> None:
    amounts = count(100)
    server.can_take_turns = False
    server.rival = lambda: server.put(Account(LEFT, None, next(amounts)))
    with pytest.raises(StoreUnavailableError, match="all the time"):
        await add(ledger)
    assert settled(server) == 99 + len(server.asked) <= 120


async def test_a_row_that_is_forgotten_is_missing_from_then_on(
    ledger: CompareAndSetLedger, server: DictServer
) -> None:
    hold = closed(open_hold("h", NOON))
    keys, step = writing([Account(LEFT, None, 7)], (), [hold])
    await ledger.transact(keys, step)
    forgetting = Change(None, forgotten_accounts=(LEFT,), forgotten_holds=("h",))
    await ledger.transact(keys, lambda rows: forgetting)
    assert server.rows == {}
    asked = len(server.asked)
    rows = await read(ledger, keys)
    assert (rows.accounts, rows.holds) == ({}, {})
    assert server.asked[asked:] == [{}]


async def test_open_holds_are_remembered_and_closed_ones_are_not(
    ledger: CompareAndSetLedger, server: DictServer
) -> None:
    hold = open_hold("h", NOON)
    await ledger.transact(*writing(holds=[hold]))
    await ledger.transact(*writing(holds=[replace(hold, output_cap=1)]))
    await ledger.transact(*writing(holds=[closed(hold)]))
    assert server.asked == [{}, {"h": "v1"}, {"h": "v2"}]
    assert (await read(ledger, Keys(holds=("h",)))).holds == {"h": closed(hold)}
    assert server.asked[3] == {}


async def test_what_was_not_used_for_longest_is_no_longer_remembered(
    ledger: CompareAndSetLedger, server: DictServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compare_and_set, "_GENERATION", 2)
    for key in (LEFT, RIGHT, LEFT, OTHER, THIRD):
        await ledger.transact(*writing([Account(key, None)]))
    asked = len(server.asked)
    for key in (LEFT, RIGHT):
        assert key in (await read(ledger, Keys((key,)))).accounts
    assert server.asked[asked:] == [{LEFT: "v3"}, {}, {RIGHT: "v2"}]


async def test_a_row_that_is_only_read_stays_remembered(
    ledger: CompareAndSetLedger, server: DictServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compare_and_set, "_GENERATION", 2)
    for key in (LEFT, RIGHT):
        await ledger.transact(*writing([Account(key, None)]))
    for _ in range(2):
        await read(ledger, Keys((LEFT,)))
    assert server.asked[2:] == [{LEFT: "v1"}, {LEFT: "v1"}]


@pytest.mark.parametrize("writes", [True, False])
async def test_of_each_kind_two_generations_are_remembered_at_the_most(
    ledger: CompareAndSetLedger,
    server: DictServer,
    monkeypatch: pytest.MonkeyPatch,
    writes: bool,
) -> None:
    monkeypatch.setattr(compare_and_set, "_GENERATION", 2)
    accounts = [Account(replace(OTHER, start=number), None) for number in range(9)]
    for account in accounts:
        server.put(account)
        if writes:
            await ledger.transact(*writing([account]))
        else:
            await read(ledger, Keys((account.key,)))
    server.asked.clear()
    await read(ledger, Keys(tuple([account.key for account in accounts])))
    assert 2 <= len(server.asked[0]) < 4


async def test_more_rows_than_are_remembered_can_be_changed_at_once(
    ledger: CompareAndSetLedger, server: DictServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compare_and_set, "_GENERATION", 2)
    accounts = [Account(replace(OTHER, start=number), None) for number in range(9)]
    server.put(*accounts)
    await ledger.transact(*writing(accounts))
    assert len(server.asked) == 2
    assert {row.version for row in server.rows.values()} == {"v10"}


async def test_a_step_that_fails_changes_nothing(
    ledger: CompareAndSetLedger, server: DictServer
) -> None:
    await add(ledger)

    def fail(rows: Rows) -> Change[None]:
        raise LookupError("the step's own")

    with pytest.raises(LookupError):
        await ledger.transact(Keys((LEFT,)), fail)
    with pytest.raises(ValueError, match="named"):
        await ledger.transact(Keys((RIGHT,)), lambda rows: Change(None, (Account(LEFT, 1),)))
    assert list(server.rows) == [LEFT]
    assert await add(ledger) == 2


async def test_what_a_step_raises_on_rows_that_are_not_so_is_not_believed(
    ledger: CompareAndSetLedger, server: DictServer
) -> None:
    server.put(Account(LEFT, None, settled=7))

    def settled_of(rows: Rows) -> Change[int]:
        return Change(rows.accounts[LEFT].settled)

    assert await ledger.transact(Keys((LEFT,)), settled_of) == 7
    with pytest.raises(KeyError):
        await ledger.transact(Keys((RIGHT,)), lambda rows: Change(rows.accounts[RIGHT]))
