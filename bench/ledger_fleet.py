"""Several processes on one ledger: what they do together, and whether its accounts are right."""

import asyncio
import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from statistics import quantiles
from threading import Barrier

from bench.ledger_load import USED, Load, Round, StoreLedger, run
from bench.ledger_places import Place
from chatnest.domain.audit import Recount
from chatnest.domain.budget import Account, AccountKey
from chatnest.domain.policy import GLOBAL_SCOPE
from chatnest.domain.ports import LedgerStore


async def measure_fleet(
    places: Sequence[Place], processes: int, tasks: int, seconds: float
) -> None:
    """Let *processes* loose on each ledger, and judge what is in it afterwards."""
    print(f"  {processes} processes of {tasks} tasks each, on one account")
    for place in places:
        if place.kind != "memory":
            await _measure(place, processes, tasks, seconds)


async def _measure(place: Place, processes: int, tasks: int, seconds: float) -> None:
    async with place.opened() as store:
        rounds = await _let_loose(place, processes, tasks, seconds)
        pairs = sum(each.pairs for each in rounds)
        waits_ms = [wait * 1e3 for each in rounds for wait in each.admit_s]
        percentiles = quantiles(waits_ms, n=100)
        verdict = await judge(store, pairs)
    rate = sum(each.pairs_per_s for each in rounds)
    fewest = min(each.pairs for each in rounds) / max(each.pairs for each in rounds)
    print(
        f"  {place.kind:<12} {rate:8.0f} pairs/s together, the slowest process at {fewest:.0%} of"
        f" the fastest; an admission p50 {percentiles[49]:.2f} ms, p99 {percentiles[98]:.2f} ms;"
        f" {verdict}"
    )


async def _let_loose(place: Place, processes: int, tasks: int, seconds: float) -> list[Round]:
    loop = asyncio.get_running_loop()
    spawned = multiprocessing.get_context("spawn")
    with (
        spawned.Manager() as manager,
        ProcessPoolExecutor(processes, mp_context=spawned) as pool,
    ):
        start = manager.Barrier(processes)
        work = (
            loop.run_in_executor(pool, _one_process, place, str(number), tasks, seconds, start)
            for number in range(processes)
        )
        return await asyncio.gather(*work)


def _one_process(place: Place, name: str, tasks: int, seconds: float, start: Barrier) -> Round:
    start.wait()
    return run(_load(place, name, tasks, seconds))


async def _load(place: Place, name: str, tasks: int, seconds: float) -> Round:
    store = place.store()
    try:
        return await Load(tasks, name).run(StoreLedger(store), seconds)
    finally:
        await store.aclose()


async def judge(store: LedgerStore, pairs: int) -> str:
    """What is wrong with the ledger after *pairs* calls that were all settled."""
    recount, accounts = Recount(), dict[AccountKey, Account]()
    async for page in store.snapshot():
        recount.add(page)
        accounts.update({account.key: account for account in page.accounts})
    spent = sum(each.settled for each in accounts.values() if each.key.scope == GLOBAL_SCOPE)
    wrong = {
        "accounts that are not the sum of their calls": len(recount.drifts()),
        "tokens that nobody used": spent - pairs * USED.total_tokens,
        "calls too many": recount.calls - pairs,
        "left held": sum(account.held for account in accounts.values()),
        "over their limits": sum((account.room or 0) < 0 for account in accounts.values()),
    }
    found = ", ".join(f"{number} {what}" for what, number in wrong.items() if number)
    return f"WRONG: {found}" if found else f"{pairs} pairs, accounts and journal agree"
