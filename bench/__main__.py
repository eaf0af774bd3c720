"""What a guarded stream costs, beside the floor and beside others, and what each ledger can do.

    make bench                 policies, and streams through server processes: about five minutes
    make bench ARGS="streams --scenario ttft leaving"
    make bench ARGS="--full"   all points, long runs
    make bench ARGS="--install-peers"   LiteLLM and Portkey, into the user's cache folder
    make bench ARGS="policies"
    make bench ARGS="ledger"   pairs of admit and settle in each store, beside a naive ledger on the
                               same disk or server; --processes 4 for a fleet, --journal 1000
                               1000000 for admissions beside so many old calls
    make bench ARGS="report"   put the figures of the last run into docs/performance.md

Streams: a server has one processor to itself; the mock upstream and the load generator, each a
process of its own, have the others. A server's cost is what the operating system says that its
processes used. All servers that can be run here are measured in turns, run by run.
docs/performance.md says more.

Ledgers: everything but the database servers runs in this process. Each run makes a ledger of
its own and removes it; a server that does not answer is left out.

In the table of ledgers: ratio is to the naive ledger, round by round; CPU is this process's alone;
p50 and p99 are of an admission; lag is how late a timer of the event loop came at the worst, and
busy how long the loop computed between two of its ticks at the worst, garbage collection included
(see --freeze). A machine that does other things shows in the lag, and not in what is busy.

Absolute figures are this machine's: compare figures of one run.
"""

import argparse

from bench import ledger, report, streams

PARTS = ("streams", "policies", "ledger", "report")


def main() -> None:
    """Measure, and print a table for each part."""
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("part", nargs="?", choices=PARTS)
    streams.add_arguments(parser)
    ledger.add_arguments(parser)
    report.add_arguments(parser)
    options = parser.parse_args()
    match options.part:
        case "ledger":
            ledger.measure_ledgers(options)
        case "report":
            report.write_report(options)
        case "policies":
            streams.print_policies()
        case "streams":
            streams.measure_streams(options)
        case _:
            if not options.install_peers:
                streams.print_policies()
            streams.measure_streams(options)


if __name__ == "__main__":
    main()
