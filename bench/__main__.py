"""What a guarded stream costs: ``make bench``, or ``python -m bench --help``.

A mock upstream and the load generator run in this process; ChatNest runs in one of its own, as
``chatnest serve`` starts it, and its cost is what the operating system says that process used.
Absolute figures are this machine's: compare figures of one run.
"""

import argparse
import asyncio

from bench.policies import time_policies
from bench.streams import measure_streams


def main() -> None:
    """Measure, and print a table for each part."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--requests", type=int, default=300, help="requests in each run")
    parser.add_argument("--runs", type=int, default=3, help="runs of each kind; medians are shown")
    arguments = parser.parse_args()
    print("Policies, in microseconds a decision")
    for name, time_us in time_policies():
        print(f"  {name:<42} {time_us:10.2f}")
    print(f"\nStreams, medians of {arguments.runs} runs of {arguments.requests} requests")
    for name, value in asyncio.run(measure_streams(arguments.requests, arguments.runs)):
        print(f"  {name:<42} {value:10.1f}")


if __name__ == "__main__":
    main()
