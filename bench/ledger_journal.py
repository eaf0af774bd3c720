"""Admission beside a short journal and beside a long one, in the same store."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from statistics import median, quantiles
from time import perf_counter

import asyncpg

from bench.ledger_load import Ledger, Load, Round, StoreLedger, in_turns
from bench.ledger_places import Place
from bench.ledger_rows import copied, fill_journal

FILLED = ("sqlite", "postgres")
CROWD = 50


async def measure_journal(
    places: Sequence[Place], sizes: Sequence[int], rounds: int, seconds: float
) -> None:
    """Admissions one at a time and in a crowd, beside a journal of each of *sizes*."""
    print("  Admission in ms, one at a time and among fifty, medians of the rounds (least)")
    for place in places:
        if place.kind in FILLED:
            await _measure(place, sizes, rounds, seconds)
        else:
            print(f"  {place.kind} is left out: nothing fills its journal quickly")


async def _measure(place: Place, sizes: Sequence[int], rounds: int, seconds: float) -> None:
    async with AsyncExitStack() as stack:
        ledgers: dict[str, Ledger] = {}
        for size in sizes:
            filled = _filled(replace(place, name=f"{place.name}_{size}"), size)
            ledgers[f"{place.kind}, {size} calls"] = await stack.enter_async_context(filled)
        alone, crowd = Load(1, "alone"), Load(CROWD)
        await in_turns(ledgers, lambda ledger: crowd.run(ledger, seconds / 4), 1)
        lonely = await in_turns(ledgers, lambda ledger: alone.run(ledger, seconds), rounds)
        crowded = await in_turns(ledgers, lambda ledger: crowd.run(ledger, seconds), rounds)
    for name in ledgers:
        rate = median(each.pairs_per_s for each in crowded[name])
        print(
            f"  {name:<28} alone {_times(lonely[name])}   crowd {_times(crowded[name])}"
            f"   {rate:.0f} pairs/s"
        )


def _times(rounds: Sequence[Round]) -> str:
    percentiles = [quantiles((1e3 * wait for wait in each.admit_s), n=100) for each in rounds]
    middle, late = [each[49] for each in percentiles], [each[98] for each in percentiles]
    return f"p50 {median(middle):.3f} ({min(middle):.3f}) p99 {median(late):.3f} ({min(late):.3f})"


@asynccontextmanager
async def _filled(place: Place, size: int) -> AsyncGenerator[Ledger, None]:
    """A ledger that a call and *size* copies of it were settled in."""
    async with place.opened() as store:
        ledger = StoreLedger(store)
        await ledger.settle(await ledger.admit("user:old", "first"))
        begun = perf_counter()
        if place.kind == "sqlite":
            fill_journal(place.file, size)
        else:
            await _fill_postgres(place, size)
        print(f"  {place.kind}: {size} calls written in {perf_counter() - begun:.1f} s")
        yield ledger


async def _fill_postgres(place: Place, size: int) -> None:
    connection = await asyncpg.connect(place.where)
    try:
        found = await connection.fetch(
            "SELECT column_name FROM information_schema.columns"
            " WHERE table_schema = $1 AND table_name = 'journal'",
            place.name,
        )
        columns = [name for (name,) in found]
        chosen = copied(columns, "gen_random_uuid()::text")
        journal = f"{place.name}.journal"
        await connection.execute(
            f"INSERT INTO {journal} ({', '.join(columns)}) SELECT {chosen} FROM"
            f" generate_series(1, {size}::bigint) AS copy,"
            f" (SELECT * FROM {journal} LIMIT 1) AS first_call"
        )
        await connection.execute(f"VACUUM (ANALYZE) {journal}")
    finally:
        await connection.close()
