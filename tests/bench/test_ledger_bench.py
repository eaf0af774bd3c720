"""The benchmark of ledgers runs, each kind of it once, for a moment."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from bench.ledger_fleet import judge
from bench.ledger_load import StoreLedger
from bench.naive import RefusedError, after_one, call_of, remaining
from chatnest.adapters.clock import SystemClock
from chatnest.adapters.storage.memory import MemoryStore

NOWHERE = "redis://127.0.0.1:1/0"
QUICK = ("--seconds", "0.1", "--rounds", "1", "--tasks", "4")


def bench(folder: Path, *options: str) -> str:
    """What ``python -m bench ledger`` prints; it must leave nothing in *folder*."""
    command = [sys.executable, "-m", "bench", "ledger", "--folder", str(folder), *QUICK, *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr
    assert list(folder.iterdir()) == []
    return done.stdout


def test_stores_are_measured_beside_naive_ledgers_and_what_is_not_there_is_left_out(
    tmp_path: Path,
) -> None:
    printed = bench(tmp_path, "--stores", "memory", "sqlite", "redis", "--redis", NOWHERE)
    rates = dict(re.findall(r"^  (\w+(?:, naive)?) +(\d+) ", printed, re.MULTILINE))
    assert rates.keys() == {"memory", "sqlite", "sqlite, naive"}
    assert all(int(rate) > 0 for rate in rates.values())
    assert re.search(r"redis is left out: .+", printed)


def test_a_fleet_leaves_accounts_and_journal_that_agree(tmp_path: Path) -> None:
    printed = bench(tmp_path, "--stores", "sqlite", "--processes", "2")
    assert re.search(r"[1-9]\d* pairs, accounts and journal agree", printed), printed


def test_admission_is_timed_beside_journals_of_the_sizes_that_are_asked_for(tmp_path: Path) -> None:
    printed = bench(tmp_path, "--stores", "sqlite", "--journal", "3", "40")
    assert re.findall(r"sqlite, (\d+) calls +alone p50 ", printed) == ["3", "40"]


async def test_a_fleet_s_ledger_is_judged_by_the_pairs_that_were_counted_outside_of_it() -> None:
    store = MemoryStore(SystemClock())
    ledger = StoreLedger(store)
    admitted = await ledger.admit("user:1", "call-1")
    assert "901 left held" in await judge(store, 1)  # 450 tokens on two accounts, and a stream.
    await ledger.settle(admitted)
    assert await judge(store, 1) == "1 pairs, accounts and journal agree"
    assert (await judge(store, 2)).startswith("WRONG: -40 tokens that nobody used, -1 calls")


def test_a_naive_ledger_refuses_what_does_not_fit() -> None:
    call = call_of("user:1", "call-1", 0)
    exactly = {line.account: line.amount for line in call.lines}
    assert set(remaining(call, exactly).values()) == {0}
    for account, room in exactly.items():
        with pytest.raises(RefusedError):
            remaining(call, {**exactly, account: room - 1})
    with pytest.raises(RefusedError):
        after_one(60_000_000, 0)
