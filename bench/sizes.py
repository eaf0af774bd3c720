"""How much is measured: enough for a look in five minutes, or all of it."""

from dataclasses import dataclass
from typing import Final

from bench.scripts import Script


@dataclass(frozen=True, slots=True)
class Size:
    """*requests* in each run and *runs* of each kind, one server after the other.

    A run is made shorter where a server would take longer than *run_s* for it. *idle_streams* are
    open at once on one worker; *leaves* clients go away in each situation. Curves have a point at
    each of their sizes.
    """

    requests: int
    runs: int
    run_s: float
    first_tokens: int
    live_streams: tuple[int, ...]
    live_tokens: int
    streams: int
    idle_streams: int
    leaves: int
    history: tuple[int, ...]
    prompt_bytes: tuple[int, ...]
    rows: tuple[int, ...]
    open_streams: tuple[int, ...]


QUICK: Final = Size(
    requests=150,
    runs=3,
    run_s=1.5,
    first_tokens=40,
    live_streams=(20,),
    live_tokens=100,
    streams=1_000,
    idle_streams=2_000,
    leaves=12,
    history=(1, 100, 2_000),
    prompt_bytes=(100, 10_000, 1_000_000),
    rows=(1, 100_000),
    open_streams=(0, 500),
)
FULL: Final = Size(
    requests=400,
    runs=9,
    run_s=8,
    first_tokens=400,
    live_streams=(20, 100),
    live_tokens=320,
    streams=1_000,
    idle_streams=10_000,
    leaves=200,
    history=(1, 10, 100, 500, 1_000, 2_000),
    prompt_bytes=(100, 1_000, 10_000, 50_000, 100_000, 1_000_000),
    rows=(1, 1_000, 100_000, 1_000_000),
    open_streams=(0, 100, 1_000, 5_000),
)

FEW: Final = Script(20)
MANY: Final = Script(220)
