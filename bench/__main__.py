"""What a guarded stream costs, and what each ledger can do.

    make bench                 policies, and streams through a server process
    make bench ARGS="ledger"   pairs of admit and settle in each store, beside a naive ledger on the
                               same disk or server; --processes 4 for a fleet, --journal 1000
                               1000000 for admissions beside so many old calls

Streams: a mock upstream and the load generator run in this process; ChatNest runs in one of its
own, as `chatnest serve` starts it, and its cost is what the operating system says that process
used. Ledgers: everything but the database servers runs in this process. Each run makes a ledger of
its own and removes it; a server that does not answer is left out.

In the table of ledgers: ratio is to the naive ledger, round by round; CPU is this process's alone;
p50 and p99 are of an admission; lag is how late a timer of the event loop came at the worst, and
busy how long the loop computed between two of its ticks at the worst, garbage collection included
(see --freeze). A machine that does other things shows in the lag, and not in what is busy.

Absolute figures are this machine's: compare figures of one run.
"""

import argparse
import asyncio

from bench import ledger
from bench.policies import time_policies
from bench.streams import measure_streams


def main() -> None:
    """Measure, and print a table for each part."""
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("part", nargs="?", choices=("streams", "ledger"), default="streams")
    streams = parser.add_argument_group("streams")
    streams.add_argument("--requests", type=int, default=300, help="requests in each run")
    streams.add_argument("--runs", type=int, default=3, help="runs of each kind; medians are shown")
    ledger.add_arguments(parser)
    options = parser.parse_args()
    if options.part == "ledger":
        ledger.measure_ledgers(options)
    else:
        _measure_streams(options.requests, options.runs)


def _measure_streams(requests: int, runs: int) -> None:
    print("Policies, in microseconds a decision")
    for name, time_us in time_policies():
        print(f"  {name:<42} {time_us:10.2f}")
    print(f"\nStreams, medians of {runs} runs of {requests} requests")
    for name, value in asyncio.run(measure_streams(requests, runs)):
        print(f"  {name:<42} {value:10.1f}")


if __name__ == "__main__":
    main()
