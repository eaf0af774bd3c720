"""What admitting and settling costs in each store: ``make bench ARGS="ledger"``."""

import argparse
import gc
import os
from collections.abc import AsyncIterator
from statistics import median, quantiles
from tempfile import TemporaryDirectory

from bench.ledger_fleet import measure_fleet
from bench.ledger_journal import measure_journal
from bench.ledger_load import Load, Round, in_turns, run
from bench.ledger_places import Place, contenders

STORES = ("memory", "sqlite", "postgres", "redis", "valkey")
HEAD = (
    f"  {'pairs of admit and settle':<28} {'pairs/s':>8} {'least':>7} {'ratio':>6} {'us CPU':>7}"
    f" {'p50 ms':>7} {'p99 ms':>7} {'lag ms':>7} {'busy ms':>8}"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this part."""
    add = parser.add_argument_group("ledger").add_argument
    add("--stores", nargs="+", choices=STORES, default=STORES, help="which of them to measure")
    add("--tasks", type=int, default=50, help="calls at once, on one account of everybody")
    add("--callers", type=int, default=1, help="whose calls they are; each has accounts of its own")
    add("--seconds", type=float, default=2, help="how long a round is")
    add("--rounds", type=int, default=5, help="rounds of each; medians are shown")
    add("--processes", type=int, default=1, help="more than one: a fleet on one ledger")
    add("--journal", type=int, nargs="+", metavar="ROWS", help="admission beside so many old calls")
    add("--freeze", action="store_true", help="keep what is there at first from garbage collection")
    add("--folder", default=".", help="a folder on a real disk, for SQLite")
    add("--postgres", default="postgresql://postgres@127.0.0.1:5432/postgres", metavar="URL")
    add("--redis", default="redis://127.0.0.1:6379/0", metavar="URL")
    add("--valkey", default="redis://127.0.0.1:6380/0", metavar="URL")


def measure_ledgers(options: argparse.Namespace) -> None:
    """Measure, and print a table."""
    with TemporaryDirectory(prefix=".bench-", dir=options.folder) as folder:
        run(_measure(options, folder))


async def _measure(options: argparse.Namespace, folder: str) -> None:
    if options.freeze:
        gc.freeze()
    found = [place async for place in _places(options, folder)]
    if options.journal:
        await measure_journal(found, options.journal, options.rounds, options.seconds)
    elif options.processes > 1:
        await measure_fleet(found, options.processes, options.tasks, options.seconds)
    else:
        print(HEAD)
        for place in found:
            await _compare(place, options)


async def _places(options: argparse.Namespace, folder: str) -> AsyncIterator[Place]:
    """What can be measured; for the rest a line says why it is left out."""
    name = f"bench_{os.getpid()}"
    for kind in options.stores:
        place = Place(kind, getattr(options, kind, folder), name)
        if (reason := await place.why_not()) is None:
            yield place
        else:
            print(f"  {kind} is left out: {reason}")


async def _compare(place: Place, options: argparse.Namespace) -> None:
    load = Load(options.tasks, callers=options.callers)
    async with contenders(place) as ledgers:
        for ledger in ledgers.values():  # Connections, plans and caches are there afterwards.
            await load.run(ledger, options.seconds / 4)
        measured = await in_turns(
            ledgers, lambda ledger: load.run(ledger, options.seconds), options.rounds
        )
    *_, baseline = measured.values()
    for name, rounds in measured.items():
        print(_line(name, rounds, baseline))


def _line(name: str, rounds: list[Round], baseline: list[Round]) -> str:
    rates = [each.pairs_per_s for each in rounds]
    pairwise = zip(rounds, baseline, strict=True)
    ratio = median(one.pairs_per_s / other.pairs_per_s for one, other in pairwise)
    compared = "" if rounds is baseline else f"{ratio:.1f}"
    percentiles = [quantiles(each.admit_s, n=100) for each in rounds]
    return (
        f"  {name:<28} {median(rates):8.0f} {min(rates):7.0f} {compared:>6}"
        f" {median(each.cpu_us for each in rounds):7.0f}"
        f" {median(each[49] for each in percentiles) * 1e3:7.2f}"
        f" {median(each[98] for each in percentiles) * 1e3:7.2f}"
        f" {median(each.lag_s for each in rounds) * 1e3:7.2f}"
        f" {median(each.busy_s for each in rounds) * 1e3:8.2f}"
    )
