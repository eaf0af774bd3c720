# ruff: noqa: ASYNC240  # the files of a test are small, and nothing else runs on its loop
"""What is particular to the SQLite store: its threads, its connections and its file."""

import asyncio
import os
import stat
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import apsw
import pytest

from chatnest.adapters.clock import SystemClock
from chatnest.adapters.storage import SqliteStore
from chatnest.adapters.storage.group_commit import CommitLimits
from chatnest.adapters.storage.sqlite import SqliteEngine
from chatnest.adapters.storage.sqlite_file import LedgerFile
from chatnest.adapters.storage.sqlite_link import SqliteLink
from chatnest.adapters.storage.sqlite_rows import load, write
from chatnest.domain.budget import Account, AccountKey, Unit
from chatnest.domain.errors import StoreUnavailableError
from chatnest.domain.ledger import Change, Keys, Rows, Step
from chatnest.domain.windows import Period
from chatnest.testing.clock import ManualClock
from chatnest.testing.ledger_cases import NOON, at_once, read, read_account, read_ledger, writing
from chatnest.testing.ledger_races import LEFT, adding_to

KEY = AccountKey("ann", Unit.TOKENS, Period.DAY, NOON)
ONE = Account(KEY, 1)
TWO = Account(KEY, 2)
WAIT_S = 10
SHORT = CommitLimits(answer_us=2_000_000)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(path, ManualClock())
    yield store
    await store.aclose()


class RecordingFile(LedgerFile):
    """Keeps every connection that was opened."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, SystemClock(), busy_us=1_000_000)
        self.opened: list[apsw.Connection] = []

    def open(self) -> apsw.Connection:
        database = super().open()
        self.opened.append(database)
        return database


class Gate:
    """A step that writes *account* when it is let through."""

    def __init__(self, account: Account) -> None:
        self.begun, self.open = threading.Event(), threading.Event()
        self._account = account

    def step(self, rows: Rows) -> Change[None]:
        self.begun.set()
        assert self.open.wait(WAIT_S)
        return Change(None, accounts=(self._account,))

    async def wait_until_begun(self) -> None:
        assert await asyncio.to_thread(self.begun.wait, WAIT_S)


def engine_on(path: Path) -> SqliteEngine:
    return SqliteEngine(
        LedgerFile(path, SystemClock(), busy_us=1_000_000), SystemClock(), closing_us=10_000_000
    )


def ledger_threads() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name.startswith("chatnest ledger")]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_nothing_is_opened_before_the_first_use(path: Path) -> None:
    store = SqliteStore(path, ManualClock())
    await store.now()
    assert not path.exists()
    await store.aclose()
    assert not path.exists()


async def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "missing" / "ledger.db", ManualClock())
    with pytest.raises(StoreUnavailableError, match=r"the folder of the ledger ledger\.db is not"):
        await store.transact(*writing([ONE]))
    await store.aclose()
    assert not list(tmp_path.iterdir())


async def test_the_file_is_for_this_user_alone(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "ledger.db"
    path.parent.mkdir()
    store = SqliteStore(path, ManualClock())
    before = os.umask(0o022)
    try:
        await store.transact(*writing([ONE]))
    finally:
        os.umask(before)
    assert {each.name for each in path.parent.iterdir()} == {
        "ledger.db",
        "ledger.db-wal",
        "ledger.db-shm",
    }
    assert {mode(each) for each in path.parent.iterdir()} == {0o600}
    await store.aclose()


async def test_many_that_open_a_new_file_at_once_all_get_it(tmp_path: Path) -> None:
    for number in range(20):
        path = tmp_path / f"{number}.db"
        stores = [SqliteStore(path, SystemClock()) for _ in range(3)]
        keys = Keys((LEFT,))
        totals = await at_once(*(each.transact(keys, adding_to(LEFT, 1)) for each in stores))
        assert sorted(totals) == [1, 2, 3]
        await at_once(*(each.aclose() for each in stores))


async def test_the_mode_of_a_file_that_is_there_is_the_operators(path: Path) -> None:
    path.touch()
    path.chmod(0o640)
    store = SqliteStore(path, ManualClock())
    await store.transact(*writing([ONE]))
    await store.aclose()
    assert mode(path) == 0o640


async def test_every_connection_waits_for_the_disk_and_writes_ahead(path: Path) -> None:
    file = RecordingFile(path)
    engine = SqliteEngine(file, ManualClock(), closing_us=1)
    await engine.transact(*writing([ONE]))
    await engine.due_holds(NOON, 1)
    async with aclosing(engine.snapshot()) as pages:
        await anext(pages)
        assert len(file.opened) == 3
        assert [each.pragma("synchronous") for each in file.opened] == [2] * 3
        assert [each.pragma("journal_mode") for each in file.opened] == ["wal"] * 3
    await engine.aclose()


async def test_closing_ends_the_threads_and_empties_the_log(path: Path) -> None:
    before = ledger_threads()
    store = SqliteStore(path, SystemClock())
    await store.transact(*writing([ONE]))
    await store.due_holds(NOON, 1)
    assert len(ledger_threads()) == len(before) + 2
    threads = [each for each in threading.enumerate() if each.name.startswith("chatnest ledger")]
    await store.aclose()
    for thread in threads:
        thread.join(WAIT_S)
    assert ledger_threads() == before
    assert [each.name for each in path.parent.iterdir()] == ["ledger.db"]


async def test_closing_does_not_wait_for_ever_for_a_step_that_hangs(path: Path) -> None:
    engine = SqliteEngine(
        LedgerFile(path, SystemClock(), busy_us=1_000_000), SystemClock(), closing_us=50_000
    )
    gate = Gate(ONE)
    task = asyncio.ensure_future(engine.transact(Keys((KEY,)), gate.step))
    await gate.wait_until_begun()
    await at_once(engine.aclose())
    assert not task.done()
    gate.open.set()
    await at_once(wait_for(task))


async def wait_for(task: asyncio.Future[None]) -> None:
    await task


def test_a_process_that_does_not_close_its_store_ends_all_the_same(path: Path) -> None:
    program = f"""
import asyncio
from chatnest.adapters.clock import SystemClock
from chatnest.adapters.storage import SqliteStore
from chatnest.testing.ledger_cases import open_hold, writing

async def main():
    store = SqliteStore({str(path)!r}, SystemClock())
    await store.transact(*writing(holds=[open_hold("h", 1)]))
    print(len(await store.due_holds(2, 9)))

asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "1\n", "")


async def test_a_cancelled_step_that_has_begun_ends_before_the_next_one(path: Path) -> None:
    engine = engine_on(path)
    gate = Gate(ONE)
    task = asyncio.ensure_future(engine.transact(Keys((KEY,)), gate.step))
    await gate.wait_until_begun()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()
    reading = asyncio.ensure_future(read_account(engine, KEY))
    gate.open.set()
    assert await reading == ONE
    await engine.aclose()


async def test_a_cancelled_step_that_waits_for_its_turn_is_not_begun(path: Path) -> None:
    engine = engine_on(path)
    gate = Gate(ONE)
    first = asyncio.ensure_future(engine.transact(Keys((KEY,)), gate.step))
    await gate.wait_until_begun()
    second = asyncio.ensure_future(engine.transact(*writing([TWO])))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    gate.open.set()
    await first
    assert await read_account(engine, KEY) == ONE
    await engine.aclose()


async def test_readers_and_the_loop_go_on_while_a_step_takes_its_time(path: Path) -> None:
    engine = engine_on(path)
    await engine.transact(*writing([ONE]))
    gate = Gate(TWO)
    task = asyncio.ensure_future(engine.transact(Keys((KEY,)), gate.step))
    await gate.wait_until_begun()
    assert (await read_ledger(engine)).accounts == {KEY: ONE}
    assert not await engine.due_holds(NOON, 1)
    assert not await engine.closed_holds(NOON, 1)
    assert not task.done()
    gate.open.set()
    await task
    assert (await read_ledger(engine)).accounts == {KEY: TWO}
    await engine.aclose()


async def test_a_step_that_raises_leaves_the_connection_as_it_is(path: Path) -> None:
    file = RecordingFile(path)
    engine = SqliteEngine(file, ManualClock(), closing_us=1)

    def fail(rows: Rows) -> Change[None]:
        raise LookupError

    for _ in range(3):
        with pytest.raises(LookupError):
            await engine.transact(Keys((KEY,)), fail)
    await engine.transact(*writing([ONE]))
    assert len(file.opened) == 1
    await engine.aclose()


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (apsw.IOError, "cannot be read or written; look at the disk"),
        (apsw.CorruptError, "is damaged"),
        (apsw.CantOpenError, "cannot be opened"),
    ],
)
async def test_a_connection_that_broke_is_closed_and_another_opened(
    path: Path, error: type[apsw.Error], what: str
) -> None:
    file = RecordingFile(path)
    link = SqliteLink(file, "chatnest ledger test")

    def break_down(database: apsw.Connection) -> None:
        database.execute("BEGIN IMMEDIATE")
        database.execute("DELETE FROM accounts")
        raise error

    await link.run(lambda database: write(database, {}, Change(None, accounts=(ONE,))))
    with pytest.raises(StoreUnavailableError, match=rf"ledger\.db {what}"):
        await link.run(break_down)
    assert await link.run(lambda database: load(database, Keys((KEY,))).accounts) == {KEY: ONE}
    assert len(file.opened) == 2
    with pytest.raises(apsw.ConnectionClosedError):
        file.opened[0].execute("SELECT 1")
    await link.close()


async def test_a_number_that_sqlite_has_no_room_for_is_refused_and_nothing_written(
    store: SqliteStore,
) -> None:
    other = AccountKey("bob", Unit.TOKENS, Period.DAY, NOON)
    with pytest.raises(OverflowError):
        await store.transact(*writing([Account(other, 1), Account(KEY, 2**63)]))
    assert (await read(store, Keys((KEY, other)))).accounts == {}
    await store.transact(*writing([ONE]))
    assert await read_account(store, KEY) == ONE


async def test_another_process_that_keeps_the_file_locked_is_named_in_time(path: Path) -> None:
    store = SqliteStore(path, SystemClock(), limits=SHORT)
    await store.transact(*writing([ONE]))
    locking = apsw.Connection(str(path))
    locking.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailableError, match="locked by another process"):
        await store.transact(*writing([TWO]))
    assert (await read_ledger(store)).accounts == {KEY: ONE}
    locking.execute("ROLLBACK")
    await store.transact(*writing([TWO]))
    assert await read_account(store, KEY) == TWO
    locking.close()
    await store.aclose()


@pytest.mark.parametrize("is_replaced", [False, True])
async def test_a_file_that_is_gone_or_replaced_is_refused_until_it_is_back(
    path: Path, is_replaced: bool
) -> None:
    store = SqliteStore(path, SystemClock())
    await store.transact(*writing([ONE]))
    await store.due_holds(NOON, 1)
    kept = path.with_name("kept.db")
    path.rename(kept)
    if is_replaced:
        path.touch()
    for _ in range(2):
        with pytest.raises(StoreUnavailableError, match=r"ledger\.db was taken away or replaced"):
            await store.transact(*writing([TWO]))
        with pytest.raises(StoreUnavailableError, match=r"ledger\.db was taken away or replaced"):
            await store.due_holds(NOON, 1)
        with pytest.raises(StoreUnavailableError, match=r"ledger\.db was taken away or replaced"):
            await read_ledger(store)
    assert path.exists() == is_replaced
    kept.replace(path)
    assert await read_account(store, KEY) == ONE
    await store.aclose()


async def test_a_relative_path_stays_where_it_was(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(path.parent)
    store = SqliteStore(path.name, SystemClock())
    monkeypatch.chdir("/")
    await store.transact(*writing([ONE]))
    await store.aclose()
    assert path.exists()


async def test_stores_that_make_one_file_at_once_all_find_it_whole(path: Path) -> None:
    stores = [SqliteStore(path, SystemClock()) for _ in range(8)]

    def add_one(rows: Rows) -> Change[None]:
        before = rows.accounts.get(KEY, Account(KEY, None))
        return Change(None, accounts=(Account(KEY, None, before.settled + 1),))

    step: Step[None] = add_one
    await at_once(*(each.transact(Keys((KEY,)), step) for each in stores))
    account = await read_account(stores[0], KEY)
    assert account == Account(KEY, None, 8)
    await at_once(*(each.aclose() for each in stores))
