"""What a guarded stream costs, beside what the machine allows and what others cost."""

import argparse
import signal
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Final

from bench.figures import Findings
from bench.machine import description, raise_open_files
from bench.plot import svg
from bench.policies import time_policies
from bench.programs import BrokenError
from bench.rig import Rig
from bench.scenarios import SCENARIOS
from bench.servers import SERVERS
from bench.servers.peers import install_peers
from bench.sizes import FULL, QUICK
from bench.tables import terminal_table

RESULTS: Final = Path("bench", "results", "latest.json")
_NAMES: Final = [server.name for server in SERVERS]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this part."""
    add = parser.add_argument_group("streams").add_argument
    add("--scenario", nargs="+", choices=SCENARIOS, default=list(SCENARIOS), help="only these")
    add("--servers", nargs="+", choices=_NAMES, default=_NAMES, help="only these")
    add("--full", action="store_true", help="every point, and long runs")
    add("--requests", type=int, help="requests in each run")
    add("--runs", type=int, help="runs of each kind; medians are shown")
    add("--results", type=Path, default=RESULTS, help="where the figures go, with an SVG beside")
    add("--install-peers", action="store_true", help="install LiteLLM and Portkey, and end")


def measure_streams(options: argparse.Namespace) -> None:
    """Measure, print a table for each scenario, and keep the figures."""
    if options.install_peers:
        install_peers()
        return
    findings = Findings(
        machine=description(),
        options={name: str(value) for name, value in sorted(vars(options).items())},
    )
    _measure(options, findings)
    options.results.parent.mkdir(parents=True, exist_ok=True)
    findings.save(options.results)
    picture = options.results.with_suffix(".svg")
    picture.write_text(svg(findings))
    print(f"\nFigures are in {options.results}, a picture of them in {picture}.")


def print_policies() -> None:
    """Print what a decision of each policy takes."""
    print("Policies, in microseconds a decision")
    for name, time_us in time_policies():
        print(f"  {name:<46} {time_us:10.2f}")


def _measure(options: argparse.Namespace, findings: Findings) -> None:
    size = FULL if options.full else QUICK
    chosen = {name: getattr(options, name) for name in ("requests", "runs")}
    size = replace(size, **{name: value for name, value in chosen.items() if value})
    servers = [server for server in SERVERS if server.name in options.servers]
    raise_open_files()
    # An exit, unlike a signal, ends what was started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with (
        TemporaryDirectory(prefix="chatnest-bench-") as folder,
        Rig(size, Path(folder), findings.notes) as rig,
        rig.all_serving(servers) as subjects,
    ):
        for name in SCENARIOS:
            if name in options.scenario:
                begun = monotonic()
                try:
                    findings.figures += SCENARIOS[name](rig, subjects)
                except BrokenError as error:
                    rig.note(f"{name} was broken off: {error}")
                print(f"\n{name} ({monotonic() - begun:.0f} s)")
                for line in terminal_table(findings, name):
                    print(line, flush=True)
