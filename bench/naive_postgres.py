"""The obvious ledger in PostgreSQL: SELECT FOR UPDATE in one transaction for each call."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from time import time_ns

import asyncpg

from bench.naive import CALL_COLUMNS, LIMIT, Call, after_one, call_of, ending, remaining

_CONNECTIONS = 10
_TABLES = f"""
CREATE TABLE accounts (
    account text PRIMARY KEY, "limit" bigint, settled bigint, held bigint)
    WITH (fillfactor = 50);
CREATE TABLE rates (caller text PRIMARY KEY, tat_us double precision) WITH (fillfactor = 50);
CREATE TABLE calls ({CALL_COLUMNS});
CREATE INDEX due ON calls (expires_at) WHERE state = 'held';
CREATE INDEX closed ON calls (closed_at);
"""
_OPEN = "INSERT INTO accounts SELECT unnest($1::text[]), $2, 0, 0 ON CONFLICT DO NOTHING"
# In the order of their names, so that no two calls wait for each other.
_ROOM = """
SELECT account, "limit" - settled - held AS room FROM accounts
WHERE account = ANY($1) ORDER BY account FOR UPDATE
"""
_HOLD = """
UPDATE accounts SET held = held + amount
FROM unnest($1::text[], $2::bigint[]) AS line (name, amount) WHERE account = name
"""
_RATE = """
INSERT INTO rates VALUES ($1, $2) ON CONFLICT (caller) DO UPDATE SET tat_us = excluded.tat_us
"""
_MOVE = """
UPDATE accounts SET held = held - amount, settled = settled + charge
FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS line (name, amount, charge)
WHERE account = name
"""


class NaivePostgres:
    """A :class:`~bench.ledger_load.Ledger` on a pool of ten connections."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._pool = pool
        self._known: set[str] = set()

    async def admit(self, caller: str, call_id: str) -> Call:
        now = time_ns() // 1_000
        call = call_of(caller, call_id, now)
        names = [line.account for line in call.lines]
        if caller not in self._known:
            await self._pool.execute(_OPEN, names, LIMIT)
            self._known.add(caller)
        async with self._pool.acquire() as connection, connection.transaction():
            found = await connection.fetch(_ROOM, names)
            call.left.update(remaining(call, {row["account"]: row["room"] for row in found}))
            stored = "SELECT tat_us FROM rates WHERE caller = $1 FOR UPDATE"
            tat_us = after_one(await connection.fetchval(stored, caller), now)
            await connection.execute(_HOLD, names, [line.amount for line in call.lines])
            await connection.execute(_RATE, caller, tat_us)
            row = call.opening
            insert = f"INSERT INTO calls ({', '.join(row)}) VALUES ({_places(row)})"
            await connection.execute(insert, *row.values())
        return call

    async def settle(self, admitted: Call) -> None:
        lines = admitted.lines
        names = [line.account for line in lines]
        amounts, charges = [line.amount for line in lines], [line.charge for line in lines]
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(
                "SELECT FROM accounts WHERE account = ANY($1) ORDER BY account FOR UPDATE", names
            )
            stored = "SELECT state FROM calls WHERE id = $1 FOR UPDATE"
            if await connection.fetchval(stored, admitted.id) == "held":
                await connection.execute(_MOVE, names, amounts, charges)
                changed = ending(time_ns() // 1_000)
                close = f"UPDATE calls SET ({', '.join(changed)}) = ({_places(changed)})"
                last = f" WHERE id = ${len(changed) + 1}"
                await connection.execute(close + last, *changed.values(), admitted.id)


def _places(row: dict[str, str | int]) -> str:
    return ", ".join(f"${place}" for place in range(1, len(row) + 1))


@asynccontextmanager
async def naive_postgres(url: str, schema: str) -> AsyncGenerator[NaivePostgres, None]:
    """A ledger in *schema*, which is made, and dropped in the end."""
    async with asyncpg.create_pool(
        url,
        min_size=_CONNECTIONS,
        max_size=_CONNECTIONS,
        server_settings={"search_path": schema},
    ) as pool:
        await pool.execute(f"CREATE SCHEMA {schema}")
        try:
            await pool.execute(_TABLES)
            yield NaivePostgres(pool)
        finally:
            await pool.execute(f"DROP SCHEMA {schema} CASCADE")
