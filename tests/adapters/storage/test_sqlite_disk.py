"""A SQLite ledger on a disk that is full, or that cannot be written."""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import apsw
import pytest

from chatnest.adapters.clock import SystemClock
from chatnest.adapters.storage import SqliteStore
from chatnest.domain.budget import Hold
from chatnest.domain.errors import ConfigurationError, StoreUnavailableError
from chatnest.testing.ledger_cases import open_hold, read_ledger, writing

DISK_KB = 2_048
LONG = "x" * 4_000


def mount(*arguments: str) -> None:
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"a disk cannot be mounted here: {done.stderr.strip()}")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small disk")
    mount("-t", "tmpfs", "-o", f"size={DISK_KB}k", "none", str(disk))
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def large(name: str) -> Hold:
    return replace(open_hold(name, 1), principal=LONG)


async def fill(store: SqliteStore, names: Iterator[str]) -> list[Hold]:
    """Write holds until the disk is full; those that were taken."""
    taken: list[Hold] = []

    async def go_on() -> None:
        while True:
            several = [large(next(names)) for _ in range(20)]
            await store.transact(*writing(holds=several))
            taken.extend(several)

    with pytest.raises(StoreUnavailableError, match=r"ledger\.db .*the disk is full; make room"):
        await go_on()
    return taken


def named() -> Iterator[str]:
    return (f"h{number}" for number in range(10_000))


async def test_a_full_disk_refuses_whole_steps_and_room_is_enough_to_go_on(disk: Path) -> None:
    ballast = disk / "ballast"
    ballast.write_bytes(b"x" * (DISK_KB * 512))
    store, names = SqliteStore(disk / "ledger.db", SystemClock()), named()
    taken = await fill(store, names)
    assert (await read_ledger(store)).holds == {hold.id: hold for hold in taken}
    with pytest.raises(StoreUnavailableError, match="the disk is full"):
        await store.transact(*writing(holds=[large(next(names)) for _ in range(40)]))
    ballast.unlink()
    more = [large(next(names)) for _ in range(20)]
    await store.transact(*writing(holds=more))
    await store.aclose()
    store = SqliteStore(disk / "ledger.db", SystemClock())
    assert (await read_ledger(store)).holds == {hold.id: hold for hold in taken + more}
    await store.aclose()
    assert integrity(disk / "ledger.db") == "ok"


async def test_a_disk_that_is_full_from_the_start_has_a_ledger_as_soon_as_there_is_room(
    disk: Path,
) -> None:
    ballast = disk / "ballast"
    with pytest.raises(OSError, match="No space left"):
        ballast.write_bytes(b"x" * (DISK_KB * 2_048))
    store = SqliteStore(disk / "ledger.db", SystemClock())
    for _ in range(2):
        with pytest.raises(StoreUnavailableError, match=r"ledger\.db"):
            await store.transact(*writing(holds=[large("h")]))
    ballast.unlink()
    await store.transact(*writing(holds=[large("h")]))
    assert (await read_ledger(store)).holds == {"h": large("h")}
    await store.aclose()


async def test_a_disk_that_became_read_only_refuses_until_it_can_be_written(disk: Path) -> None:
    store = SqliteStore(disk / "ledger.db", SystemClock())
    await store.transact(*writing(holds=[large("h")]))
    await store.aclose()
    mount("-o", "remount,ro", str(disk))
    store = SqliteStore(disk / "ledger.db", SystemClock())
    for _ in range(2):
        with pytest.raises(StoreUnavailableError, match=r"ledger\.db cannot be written; let this"):
            await store.transact(*writing(holds=[large("i")]))
    mount("-o", "remount,rw", str(disk))
    await store.transact(*writing(holds=[large("i")]))
    assert set((await read_ledger(store)).holds) == {"h", "i"}
    await store.aclose()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write whatever it likes")
async def test_a_file_that_this_user_may_not_write_refuses_until_it_may(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    store = SqliteStore(path, SystemClock())
    await store.transact(*writing(holds=[large("h")]))
    await store.aclose()
    path.chmod(0o400)
    store = SqliteStore(path, SystemClock())
    with pytest.raises(StoreUnavailableError, match=r"ledger\.db cannot be written; let this"):
        await store.transact(*writing(holds=[large("i")]))
    path.chmod(0o600)
    await store.transact(*writing(holds=[large("i")]))
    await store.aclose()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write whatever it likes")
async def test_a_folder_that_this_user_may_not_write_takes_no_ledger(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o500)
    store = SqliteStore(folder / "ledger.db", SystemClock())
    with pytest.raises(StoreUnavailableError, match=r"ledger\.db cannot be made: Permission"):
        await store.transact(*writing(holds=[large("h")]))
    folder.chmod(0o700)
    await store.transact(*writing(holds=[large("h")]))
    await store.aclose()


@pytest.fixture
def without_shared_memory() -> Iterator[None]:
    """Files as on a disk of the network: locked by other files, and never mapped by two."""
    default = apsw.vfs_names()[0]
    apsw.set_default_vfs("unix-dotfile")
    yield
    apsw.set_default_vfs(default)


@pytest.mark.usefixtures("without_shared_memory")
async def test_a_disk_that_cannot_be_shared_by_processes_is_refused(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "ledger.db", SystemClock())
    with pytest.raises(ConfigurationError, match=r"no WAL.*Choose a folder on a local disk"):
        await store.transact(*writing(holds=[large("h")]))
    await store.aclose()


async def test_a_folder_where_the_file_should_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").mkdir()
    store = SqliteStore(tmp_path / "ledger.db", SystemClock())
    with pytest.raises(StoreUnavailableError, match=r"ledger\.db cannot be opened"):
        await store.transact(*writing(holds=[large("h")]))
    await store.aclose()


def integrity(path: Path) -> object:
    database = apsw.Connection(str(path))
    try:
        return database.pragma("integrity_check")
    finally:
        database.close()
