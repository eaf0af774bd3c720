"""What the tests of group commit do with a store, over and over."""

import asyncio
from collections.abc import Callable
from typing import Any

from chatnest.adapters.storage.group_commit import CommitLimits, GroupCommit
from chatnest.domain.ledger import Change, Keys, Rows
from chatnest.testing.ledger_cases import NOON, open_hold, read_ledger
from tests.adapters.storage.group_commit.engine_double import EngineDouble

LIMITS = CommitLimits(batch=8, waiting=20, answer_us=1_000)


async def passes() -> None:
    """Let every task run until it waits for something else than its turn."""
    for _ in range(20):
        await asyncio.sleep(0)


def naming(hold_id: str, step: Callable[[Rows], Change[Any]]) -> tuple[Keys, Any]:
    return Keys(holds=(hold_id,)), step


def sending(store: GroupCommit, count: int, order: list[int] | None = None) -> list[Any]:
    """Tasks of steps that name a hold each, write it, and give their number back."""

    def step(index: int) -> Callable[[Rows], Change[int]]:
        def run(rows: Rows) -> Change[int]:
            if order is not None:
                order.append(index)
            return Change(index, holds=(open_hold(f"h{index}", NOON),))

        return run

    return [
        asyncio.ensure_future(store.transact(*naming(f"h{index}", step(index))))
        for index in range(count)
    ]


async def results(tasks: list[Any]) -> list[Any]:
    async with asyncio.timeout(5):
        return await asyncio.gather(*tasks, return_exceptions=True)


async def stored(engine: EngineDouble) -> set[str]:
    return set((await read_ledger(engine)).holds)
