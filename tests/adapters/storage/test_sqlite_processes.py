"""Several processes on one SQLite file, and processes that are killed in the middle of a commit."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import apsw

from chatnest.adapters.clock import SystemClock
from chatnest.adapters.storage import SqliteStore
from chatnest.domain.budget import HoldState
from chatnest.testing.ledger_cases import (
    NOON,
    Ledger,
    read_account,
    read_ledger,
    tokens_a_day,
)

PROGRAM = Path(__file__).with_name("sqlite_process.py")
ACCOUNT = tokens_a_day(None).account_at(NOON)
WITHIN_S = 40


def start(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(PROGRAM), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


async def ledger_in(path: Path) -> Ledger:
    store = SqliteStore(path, SystemClock())
    ledger = await read_ledger(store)
    await store.aclose()
    return ledger


async def test_processes_that_make_and_share_one_file_count_everything(tmp_path: Path) -> None:
    path, count = tmp_path / "ledger.db", 400
    processes = [start(str(path), "add", f"p{index}", str(count)) for index in range(4)]
    for process in processes:
        process.communicate(timeout=WITHIN_S)
    assert [process.returncode for process in processes] == [0] * 4
    store = SqliteStore(path, SystemClock())
    account = await read_account(store, ACCOUNT)
    await store.aclose()
    assert account is not None
    assert account.settled == 4 * count


async def test_what_a_killed_process_was_told_is_in_the_file_and_the_rest_is_whole(
    tmp_path: Path,
) -> None:
    path = tmp_path / "ledger.db"
    told: list[str] = []
    for lines in (1, 40, 173, 701):
        told += killed_after(lines, str(path), "live", f"r{lines}")
        ledger = await ledger_in(path)
        assert integrity(path) == "ok"
        assert ledger.drifts == ()
        assert missing(ledger, told) == []
    assert len(told) > 900


def killed_after(lines: int, *arguments: str) -> list[str]:
    """Everything that a process said which was killed when it had said so many lines."""
    with start(*arguments) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(lines)]
        process.kill()
        said += process.stdout.readlines()
        process.wait(WITHIN_S)
    # The last line may be cut off.
    return [line.strip() for line in said if line.endswith("\n")]


def missing(ledger: Ledger, told: Sequence[str]) -> list[str]:
    """What a process was told and the ledger does not know."""
    stands = {f"admitted {name}" for name in ledger.holds} | {
        f"settled {name}" for name, hold in ledger.holds.items() if hold.state is HoldState.SETTLED
    }
    return [line for line in told if line not in stands]


def integrity(path: Path) -> object:
    database = apsw.Connection(str(path))
    try:
        return database.pragma("integrity_check")
    finally:
        database.close()
