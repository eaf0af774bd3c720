"""A process of its own on a SQLite ledger: what the tests start, kill and start again.

    python sqlite_process.py FILE add PREFIX COUNT     add one COUNT times in all, from twenty tasks
    python sqlite_process.py FILE live PREFIX          begin and end calls until it is killed

``live`` says ``admitted ID`` and ``settled ID`` once the store has said so.
"""

import asyncio
import sys
from dataclasses import replace

from chatnest.adapters.clock import SystemClock
from chatnest.adapters.storage import SqliteStore
from chatnest.domain.budget import Account
from chatnest.domain.ledger import Change, Keys, Rows
from chatnest.domain.steps import settle_step
from chatnest.testing.ledger_cases import NOON, admitted, call, tokens_a_day, used

ANNS = tokens_a_day(None)
ACCOUNT = ANNS.account_at(NOON)
TASKS = 20


def add_one(rows: Rows) -> Change[None]:
    before = rows.accounts.get(ACCOUNT, Account(ACCOUNT, None))
    return Change(None, accounts=(replace(before, settled=before.settled + 1),))


async def add(store: SqliteStore, count: int) -> None:
    async def work() -> None:
        for _ in range(count // TASKS):
            await store.transact(Keys((ACCOUNT,)), add_one)

    await asyncio.gather(*(work() for _ in range(TASKS)))


async def live(store: SqliteStore, prefix: str) -> None:
    async def work(task: int) -> None:
        for number in range(1_000_000):
            hold = await admitted(store, call(f"{prefix}-{task}-{number}", ANNS))
            print("admitted", hold.id, flush=True)
            await store.transact(*settle_step(hold, used(7), NOON))
            print("settled", hold.id, flush=True)

    await asyncio.gather(*(work(task) for task in range(TASKS)))


async def main(path: str, command: str, prefix: str, *count: str) -> None:
    store = SqliteStore(path, SystemClock())
    if command == "add":
        await add(store, int(count[0]))
    else:
        await live(store, prefix)
    await store.aclose()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
