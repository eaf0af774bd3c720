# ruff: noqa: ASYNC240  # the files of a test are small, and nothing else runs on its loop
"""The tables in a SQLite ledger: made, brought forward, refused, and read by people."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import apsw
import pytest

from chatnest.adapters.storage import SqliteStore
from chatnest.adapters.storage.sqlite_schema import APPLICATION_ID, MIGRATIONS, bring_forward
from chatnest.domain.budget import HoldLine
from chatnest.domain.errors import ConfigurationError, StoreUnavailableError
from chatnest.domain.ledger import Keys
from chatnest.domain.steps import settle_step
from chatnest.testing.clock import ManualClock
from chatnest.testing.ledger_cases import (
    NOON,
    admitted,
    call,
    read,
    read_ledger,
    tokens_a_day,
    used,
    writing,
)

NEXT = {**MIGRATIONS, 2: ("ALTER TABLE accounts ADD COLUMN note TEXT", "CREATE TABLE notes (note)")}
BROKEN = {**MIGRATIONS, 2: ("CREATE TABLE notes (note)", "CREATE TABLE accounts (again)")}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def database(path: Path) -> Iterator[apsw.Connection]:
    database = apsw.Connection(str(path))
    yield database
    database.close()


async def fill(path: Path) -> None:
    """One call that is open and one that was settled."""
    store = SqliteStore(path, ManualClock())
    hold = await admitted(store, call("closed", tokens_a_day(100)))
    await admitted(store, call("open", tokens_a_day(100)))
    await store.transact(*settle_step(hold, used(7), NOON + 1_500_000))
    await store.aclose()


async def use(path: Path) -> None:
    store = SqliteStore(path, ManualClock())
    try:
        await read(store, Keys(holds=("h",)))
    finally:
        await store.aclose()


def tables(database: apsw.Connection) -> set[str]:
    rows = database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
    return {name for (name,) in rows}


async def test_the_file_says_what_it_is(path: Path, database: apsw.Connection) -> None:
    await fill(path)
    assert database.pragma("application_id") == APPLICATION_ID
    assert database.pragma("user_version") == max(MIGRATIONS) == 1
    assert tables(database) == {"accounts", "rates", "holds", "journal"}
    kinds = list(database.execute("SELECT name, strict FROM pragma_table_list WHERE type='table'"))
    assert {strict for name, strict in kinds if not name.startswith("sqlite_")} == {1}


async def test_a_person_can_read_calls_and_balances(path: Path, database: apsw.Connection) -> None:
    await fill(path)
    calls = "SELECT id, created_at, closed_at, state, input_tokens, output_tokens FROM calls"
    assert set(database.execute(calls)) == {
        ("closed", "2026-01-01 12:00:00.000", "2026-01-01 12:00:01.500", "settled", 4, 3),
        ("open", "2026-01-01 12:00:00.000", None, "held", None, None),
    }
    balances = 'SELECT scope, unit, period, start, "limit", settled, held, remaining FROM balances'
    assert list(database.execute(balances)) == [
        ("ann", "tokens", "day", "2026-01-01 00:00:00.000", 100, 7, 10, 83)
    ]


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        ("SELECT * FROM holds WHERE id = 'h'", "holds_1"),
        ("SELECT * FROM journal WHERE id = 'h'", "journal_1"),
        ("SELECT * FROM holds WHERE expires_at_us <= 5 ORDER BY expires_at_us", "by_expiry"),
        ("SELECT * FROM journal WHERE closed_at_us < 5 ORDER BY closed_at_us", "by_closing"),
        (
            "SELECT * FROM journal WHERE (created_at_us, number) > (5, 0)"
            " ORDER BY created_at_us, number",
            "by_creation",
        ),
    ],
)
async def test_no_question_reads_the_whole_table(
    path: Path, database: apsw.Connection, statement: str, index: str
) -> None:
    await fill(path)
    plan = [row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {statement}")]
    assert len(plan) == 1
    assert plan[0].startswith("SEARCH")
    assert index in plan[0]


async def test_an_older_ledger_comes_forward_with_its_rows(
    path: Path, database: apsw.Connection
) -> None:
    await fill(path)
    before = list(database.execute("SELECT * FROM journal"))
    bring_forward(database, NEXT)
    assert database.pragma("user_version") == 2
    assert tables(database) == {"accounts", "rates", "holds", "journal", "notes"}
    assert list(database.execute("SELECT * FROM journal")) == before
    assert list(database.execute("SELECT settled, note FROM accounts")) == [(7, None)]
    bring_forward(database, NEXT)
    assert database.pragma("user_version") == 2


def test_an_empty_file_comes_forward_through_every_version(database: apsw.Connection) -> None:
    bring_forward(database, NEXT)
    assert database.pragma("user_version") == 2
    assert database.pragma("application_id") == APPLICATION_ID


async def test_a_migration_that_fails_changes_nothing(
    path: Path, database: apsw.Connection
) -> None:
    await fill(path)
    with pytest.raises(apsw.SQLError):
        bring_forward(database, BROKEN)
    assert database.pragma("user_version") == 1
    assert tables(database) == {"accounts", "rates", "holds", "journal"}
    await use(path)


async def test_a_newer_ledger_is_refused_and_left_alone(
    path: Path, database: apsw.Connection
) -> None:
    await fill(path)
    database.pragma("user_version", 2)
    with pytest.raises(ConfigurationError, match=r"version 2.*Upgrade"):
        await use(path)
    database.pragma("user_version", 1)
    await use(path)


@pytest.mark.parametrize(
    "statement",
    ["CREATE TABLE songs (title)", "PRAGMA application_id = 7", "PRAGMA user_version = 1"],
)
async def test_the_database_of_another_application_is_refused_and_left_alone(
    path: Path, database: apsw.Connection, statement: str
) -> None:
    database.execute(statement)
    with pytest.raises(ConfigurationError, match="another application"):
        await use(path)
    assert tables(database) <= {"songs"}


async def test_a_file_that_is_no_database_is_refused_and_left_alone(path: Path) -> None:
    path.write_text("Dear diary, " * 1_000)
    with pytest.raises(ConfigurationError, match=r"ledger\.db is no SQLite database") as caught:
        await use(path)
    assert str(path.parent) not in str(caught.value)
    assert path.read_text() == "Dear diary, " * 1_000


async def test_a_damaged_file_is_named_and_not_trusted(path: Path) -> None:
    store = SqliteStore(path, ManualClock())
    hold = replace(call("h").reserve.hold, lines=())
    await store.transact(*writing(holds=[replace(hold, id=f"h{i}") for i in range(500)]))
    await store.aclose()
    with path.open("r+b") as file:
        file.seek(4_096)
        file.write(b"\xff" * (path.stat().st_size - 4_096))
    store = SqliteStore(path, ManualClock())
    with pytest.raises(StoreUnavailableError, match=r"ledger\.db is damaged"):
        await read(store, Keys(holds=("h1",)))
    with pytest.raises(StoreUnavailableError, match=r"ledger\.db is damaged"):
        await read_ledger(store)
    await store.aclose()


async def test_lines_are_stored_as_json_with_names(path: Path, database: apsw.Connection) -> None:
    await fill(path)
    amounts = "SELECT lines ->> '$[0].account.scope', lines ->> '$[0].charged' FROM journal"
    assert list(database.execute(amounts)) == [("ann", 7)]
    ledger_line = HoldLine(tokens_a_day(100).account_at(NOON), 10, 7)
    store = SqliteStore(path, ManualClock())
    assert (await read_ledger(store)).holds["closed"].lines == (ledger_line,)
    await store.aclose()
