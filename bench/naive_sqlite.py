"""The obvious ledger in SQLite: aiosqlite, and one transaction on one connection for each call."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from time import time_ns
from typing import Any

import aiosqlite

from bench.naive import CALL_COLUMNS, LIMIT, Call, after_one, call_of, ending, remaining

_TABLES = f"""
PRAGMA journal_mode = wal;
PRAGMA synchronous = full;
CREATE TABLE accounts (
    account TEXT PRIMARY KEY, "limit" INTEGER, settled INTEGER, held INTEGER) WITHOUT ROWID;
CREATE TABLE rates (caller TEXT PRIMARY KEY, tat_us REAL) WITHOUT ROWID;
CREATE TABLE calls ({CALL_COLUMNS});
CREATE INDEX due ON calls (expires_at) WHERE state = 'held';
CREATE INDEX closed ON calls (closed_at);
"""
_ROOM = 'SELECT account, "limit" - settled - held FROM accounts WHERE account IN (?, ?, ?)'
_HOLD = "UPDATE accounts SET held = held + ? WHERE account = ?"
_MOVE = "UPDATE accounts SET held = held - ?, settled = settled + ? WHERE account = ?"


class NaiveSqlite:
    """A :class:`~bench.ledger_load.Ledger` on one connection, which a lock gives to one call."""

    def __init__(self, database: aiosqlite.Connection) -> None:
        self._database = database
        self._turn = asyncio.Lock()
        self._known: set[str] = set()

    async def admit(self, caller: str, call_id: str) -> Call:
        now = time_ns() // 1_000
        call = call_of(caller, call_id, now)
        async with self._transaction():
            await self._reserve(call, now)
        return call

    async def settle(self, admitted: Call) -> None:
        now = time_ns() // 1_000
        moved = [(line.amount, line.charge, line.account) for line in admitted.lines]
        changed = ending(now)
        close = f"UPDATE calls SET {' = ?, '.join(changed)} = ? WHERE id = ?"
        async with self._transaction():
            stored = "SELECT state FROM calls WHERE id = ?"
            if await self._rows(stored, admitted.id) == [("held",)]:
                await self._database.executemany(_MOVE, moved)
                await self._database.execute(close, (*changed.values(), admitted.id))

    async def _reserve(self, call: Call, now: int) -> None:
        await self._open_accounts(call)
        names = [line.account for line in call.lines]
        call.left.update(remaining(call, dict(await self._rows(_ROOM, *names))))
        known = await self._rows("SELECT tat_us FROM rates WHERE caller = ?", call.caller)
        tat_us = after_one(known[0][0] if known else None, now)
        held = [(line.amount, line.account) for line in call.lines]
        row = call.opening
        insert = f"INSERT INTO calls ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})"
        await self._database.executemany(_HOLD, held)
        await self._database.execute("REPLACE INTO rates VALUES (?, ?)", (call.caller, tat_us))
        await self._database.execute(insert, tuple(row.values()))

    async def _open_accounts(self, call: Call) -> None:
        if call.caller not in self._known:
            missing = [(line.account, LIMIT) for line in call.lines]
            opened = "INSERT OR IGNORE INTO accounts VALUES (?, ?, 0, 0)"
            await self._database.executemany(opened, missing)
            self._known.add(call.caller)

    async def _rows(self, statement: str, *values: str) -> list[Any]:
        return list(await self._database.execute_fetchall(statement, values))

    @asynccontextmanager
    async def _transaction(self) -> AsyncGenerator[None, None]:
        async with self._turn:
            await self._database.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                await self._database.rollback()
                raise
            await self._database.commit()


@asynccontextmanager
async def naive_sqlite(folder: Path) -> AsyncGenerator[NaiveSqlite, None]:
    async with aiosqlite.connect(folder / "naive.sqlite3", isolation_level=None) as database:
        await database.executescript(_TABLES)
        yield NaiveSqlite(database)
