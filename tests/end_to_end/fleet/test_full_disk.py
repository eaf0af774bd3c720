"""SQLite's file has no room, or may not be written: chats are refused, and nothing is broken."""

import asyncio
import os
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from chatnest.domain.budget import HoldState
from tests.end_to_end.fleet.ledger import Books, Ledger, charged_tokens
from tests.end_to_end.fleet.load import Outcome, ask, begin, until_taken
from tests.end_to_end.fleet.servers import OUTPUT_CAP, Node, configuration, fleet
from tests.end_to_end.fleet.upstream import CountedUpstream

pytestmark = pytest.mark.timeout(120)

SIZE = "2m"
RUNNING = 7
MOST_CHATS = 300


class SmallDisk:
    """A file system of its own, which can be filled up and be made read-only."""

    def __init__(self, folder: Path) -> None:
        self.ledger = Ledger(f"sqlite:///{folder}/ledger.db")
        self._folder = folder
        self._filler = folder / "filler"

    def fill(self) -> None:
        """Leave no room at all."""
        with self._filler.open("wb", buffering=0) as filler:
            for size in (1 << 16, 1 << 10):
                try:
                    while True:
                        filler.write(bytes(size))
                except OSError:
                    continue

    def make_room(self) -> None:
        """Give the room back."""
        self._filler.unlink()

    def make_read_only(self) -> None:
        """Let nobody write; no file on it may be open for writing."""
        _as_root("mount", "-o", "remount,ro", str(self._folder))

    def make_writable(self) -> None:
        """Let everybody write again."""
        _as_root("mount", "-o", "remount,rw", str(self._folder))

    def flaws(self) -> list[tuple[str]]:
        """What SQLite's own check finds, beside ``ok``."""
        with closing(sqlite3.connect(self._folder / "ledger.db")) as file:
            found = file.execute("PRAGMA integrity_check").fetchall()
        return [row for row in found if row != ("ok",)]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    folder = tmp_path / "disk"
    folder.mkdir()
    try:
        _as_root("mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=777", "tmpfs", str(folder))
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"a disk for the test cannot be mounted here: {error}")
    try:
        yield SmallDisk(folder)
    finally:
        _as_root("umount", "-l", str(folder))


async def test_a_full_disk_refuses_chats_until_there_is_room_and_loses_no_settlement(
    disk: SmallDisk, tmp_path: Path
) -> None:
    upstream = CountedUpstream(OUTPUT_CAP)
    gate = upstream.gates[RUNNING] = asyncio.Event()
    async with upstream:
        settings = configuration(disk.ledger.url, upstream.base_url, lease_s=2)
        async with fleet(tmp_path, 1, settings) as (node,):
            running = await begin(node.port, RUNNING)
            disk.fill()
            refused = await _first_refused(node, range(100, 100 + MOST_CHATS))
            gate.set()
            ended = await running
            disk.make_room()

            await until_taken(node.port)
            await disk.ledger.wait_until(_is_settled)
            books = await disk.ledger.settled_books()
            await disk.ledger.aclose()

    assert (refused.status, refused.code) == (503, "store_unavailable")
    assert int(refused.headers["retry-after"]) > 0
    assert ended.ended == "done"
    assert "the disk is full" in node.log.read_text()
    for chat in upstream.calls:
        assert sum(map(charged_tokens, books.of_chat(chat))) == upstream.billable(chat)
    assert disk.flaws() == []
    code, words = await disk.ledger.verify()
    assert code == 0, words


async def test_a_file_that_may_not_be_written_refuses_chats_until_it_may(
    disk: SmallDisk, tmp_path: Path
) -> None:
    upstream = CountedUpstream(OUTPUT_CAP)
    async with upstream:
        settings = configuration(disk.ledger.url, upstream.base_url)
        async with fleet(tmp_path, 1, settings) as (node,):
            before = await ask(node.port, 0)
            await disk.ledger.settled_books()  # no client waits for that
            await node.kill()
            disk.make_read_only()
            await node.start()
            refused = [await ask(node.port, chat) for chat in range(1, 4)]
            disk.make_writable()
            await until_taken(node.port)
            books = await disk.ledger.settled_books()
            await disk.ledger.aclose()

    assert before.ended == "done"
    assert [(outcome.status, outcome.code) for outcome in refused] == [
        (503, "store_unavailable")
    ] * len(refused)
    assert "cannot be written" in node.log.read_text()
    for chat in upstream.calls:
        assert sum(map(charged_tokens, books.of_chat(chat))) == upstream.billable(chat)
    assert disk.flaws() == []
    code, words = await disk.ledger.verify()
    assert code == 0, words


async def _first_refused(node: Node, chats: range) -> Outcome:
    for chat in chats:
        outcome = await ask(node.port, chat)
        if not outcome.is_whole:
            return outcome
    raise AssertionError(f"{len(chats)} chats were taken on a full disk")


def _is_settled(books: Books) -> bool:
    return [hold.state for hold in books.of_chat(RUNNING)] == [HoldState.SETTLED]


def _as_root(*command: str) -> None:
    """Run *command*, with the rights of root where this user may take them without a password."""
    rights = () if os.geteuid() == 0 else ("sudo", "-n")
    subprocess.run((*rights, *command), check=True, capture_output=True, timeout=30)
