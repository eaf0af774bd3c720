"""Rows of a SQLite ledger go through statements that take some of them at once."""

from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from chatnest.adapters.clock import SystemClock
from chatnest.adapters.storage.sqlite_file import LedgerFile
from chatnest.adapters.storage.sqlite_rows import load, write
from chatnest.domain.budget import Account, AccountKey, Unit
from chatnest.domain.ledger import Change, Keys, RateKey, Rows
from chatnest.domain.rate_limit import RateState
from chatnest.domain.windows import Period
from chatnest.testing.ledger_cases import closed, exact, keys_of, open_hold

COUNTS = [1, 2, 15, 16, 17, 32, 50]
NOTHING = Rows({}, {}, {})


@pytest.fixture
def database(tmp_path: Path) -> Iterator[apsw.Connection]:
    database = LedgerFile(tmp_path / "ledger.db", SystemClock(), busy_us=1).open()
    yield database
    database.close()


def rows_of(count: int, *, closing: bool = False) -> Change[None]:
    """*count* rows of each kind, each with numbers of its own."""
    keys = [AccountKey(f"user {n}", Unit.TOKENS, Period.DAY, n) for n in range(count)]
    holds = [open_hold(f"hold {n}", n) for n in range(count)]
    return Change(
        None,
        tuple(Account(key, None if n % 2 else n, n, 2 * n, 3 * n) for n, key in enumerate(keys)),
        tuple((RateKey(f"user {n}", "requests"), RateState(n, 2 * n)) for n in range(count)),
        tuple(closed(hold) if closing else hold for hold in holds),
    )


def as_rows(change: Change[None]) -> Rows:
    return Rows(
        {account.key: account for account in change.accounts},
        dict(change.rates),
        {hold.id: hold for hold in change.holds},
    )


@pytest.mark.parametrize("count", COUNTS)
def test_any_number_of_rows_is_written_moved_and_forgotten(
    database: apsw.Connection, count: int
) -> None:
    opened, ended = rows_of(count), rows_of(count, closing=True)
    keys = keys_of(opened)
    write(database, {}, opened)
    assert exact(load(database, keys)) == exact(as_rows(opened))
    write(database, as_rows(opened).holds, ended)
    assert exact(load(database, keys)) == exact(as_rows(ended))
    assert database.execute("SELECT count(*) FROM holds").get == 0
    forgotten = Change(None, forgotten_accounts=keys.accounts, forgotten_holds=keys.holds)
    write(database, as_rows(ended).holds, forgotten)
    left = load(database, keys)
    assert exact(left) == exact(Rows({}, as_rows(ended).rates, {}))


def test_rows_that_are_not_there_are_left_out_and_the_others_keep_their_keys(
    database: apsw.Connection,
) -> None:
    stored = rows_of(40)
    write(database, {}, Change(None, stored.accounts[::3], stored.rates[::3], stored.holds[::3]))
    found = load(database, keys_of(stored))
    assert exact(found) == exact(
        as_rows(Change(None, stored.accounts[::3], stored.rates[::3], stored.holds[::3]))
    )
    asked = {id(account.key) for account in stored.accounts}
    assert {id(account.key) for account in found.accounts.values()} <= asked


@pytest.mark.parametrize("counts", [(40, 0, 3), (0, 20, 0), (3, 1, 33), (0, 0, 1), (5, 17, 16)])
def test_kinds_of_rows_may_differ_in_number(
    database: apsw.Connection, counts: tuple[int, int, int]
) -> None:
    accounts, rates, holds = counts
    stored = rows_of(40)
    write(database, {}, stored)
    some = Change(None, stored.accounts[:accounts], stored.rates[:rates], stored.holds[:holds])
    assert exact(load(database, keys_of(some))) == exact(as_rows(some))


def test_a_statement_takes_many_rows(database: apsw.Connection) -> None:
    """SQLite lets go of the interpreter for each statement, and a busy loop gives it back late."""
    sent: list[str] = []

    def count(cursor: apsw.Cursor, statement: str, bindings: object) -> bool:
        sent.append(statement)
        return True

    database.exec_trace = count
    stored = rows_of(16)
    write(database, {}, stored)
    load(database, keys_of(stored))
    assert len(sent) == 4


def test_no_rows_are_no_statement(database: apsw.Connection) -> None:
    database.exec_trace = lambda cursor, statement, bindings: pytest.fail(statement)
    write(database, {}, Change(None))
    assert load(database, Keys()) == NOTHING
