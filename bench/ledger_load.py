"""What the ledgers are measured with: tasks that admit a call and settle it, over and over."""

import asyncio
import gc
import sys
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field, replace
from itertools import count
from time import perf_counter, process_time, thread_time
from typing import Any, Final, Protocol, TypeVar

from chatnest.adapters.clock import SystemClock
from chatnest.domain.admission import Admission, Admitted, RateRule
from chatnest.domain.budget import BudgetRule, Demand, Hold, Reserve, Unit
from chatnest.domain.closing import Settlement
from chatnest.domain.policy import GLOBAL_SCOPE, ChatPolicy, RuleBook
from chatnest.domain.ports import LedgerStore
from chatnest.domain.profiles import BALANCED
from chatnest.domain.requests import Principal
from chatnest.domain.steps import admit_step, settle_step
from chatnest.domain.usage import Price, TokenUsage
from chatnest.domain.windows import US_PER_S, Period, Window

T = TypeVar("T")

PLENTY: Final = 10**12
PRICE: Final = Price(150_000_000, 600_000_000)
INPUT_TOKENS: Final = 50
OUTPUT_CAP: Final = 400
USED: Final = TokenUsage(20, 20)
LEASE_US: Final = 600 * US_PER_S
TICK_S: Final = 0.001

_PROFILE: Final = replace(
    BALANCED, tokens_per_day=PLENTY, requests_per_minute=10**9, concurrent_streams=1_000
)
_GLOBAL: Final = BudgetRule(GLOBAL_SCOPE, Unit.TOKENS, Window(Period.DAY), PLENTY)
_RULES: Final = RuleBook(ChatPolicy(budgets=(_GLOBAL,)))


class Ledger(Protocol):
    """A ledger under measurement: ChatNest's, or a naive one."""

    async def admit(self, caller: str, call_id: str) -> Any:
        """Hold the worst case of a call; returns what *settle* needs."""

    async def settle(self, admitted: Any) -> None:
        """Charge what the call used."""


class StoreLedger:
    """A store of ChatNest's, asked as a request asks it."""

    def __init__(self, store: LedgerStore) -> None:
        self._store = store
        self._clock = SystemClock()
        self._rules: dict[str, tuple[tuple[BudgetRule, ...], tuple[RateRule, ...]]] = {}

    async def admit(self, caller: str, call_id: str) -> Hold:
        now = self._clock.now()
        rules, rates = self._rules_of(caller)
        hold = Hold(call_id, call_id, caller, "b", "p", "m", (), OUTPUT_CAP, now, now + LEASE_US)
        demand = Demand(INPUT_TOKENS, OUTPUT_CAP, 16, PRICE)
        admission = Admission(Reserve(hold, demand, rules), rates)
        decision = await self._store.transact(*admit_step(admission, now))
        assert isinstance(decision, Admitted), decision
        return decision.hold

    async def settle(self, admitted: Hold) -> None:
        settlement = Settlement(USED, PRICE, estimated=False, outcome="stop")
        await self._store.transact(*settle_step(admitted, settlement, self._clock.now()))

    def _rules_of(self, caller: str) -> tuple[tuple[BudgetRule, ...], tuple[RateRule, ...]]:
        if caller not in self._rules:
            who = Principal(caller)
            rules = _RULES.budgets(who, _PROFILE), _RULES.rates(who, _PROFILE)
            self._rules[caller] = rules
        return self._rules[caller]


@dataclass(slots=True)
class Round:
    """What one round did. ``busy_s`` is the most that the event loop computed between two ticks.

    ``lag_s`` is how late a tick came at the worst: also where the machine ran something else.
    """

    pairs: int = 0
    seconds: float = 0
    cpu_s: float = 0
    admit_s: list[float] = field(default_factory=list)
    lag_s: float = 0
    busy_s: float = 0

    @property
    def pairs_per_s(self) -> float:
        return self.pairs / self.seconds

    @property
    def cpu_us(self) -> float:
        return self.cpu_s / self.pairs * 1e6


class Load:
    """*tasks* calls at once, of so many *callers*, on one account that all callers share.

    Each caller has a rate, an account of streams and one of tokens to itself.
    """

    def __init__(self, tasks: int, name: str = "", *, callers: int = 1) -> None:
        self._tasks = tasks
        self._callers = callers
        self._name = name
        self._numbers = count(1)

    async def run(self, ledger: Ledger, seconds: float) -> Round:
        """Admit and settle for *seconds*; every call that was begun is settled."""
        gc.collect()
        round_ = Round()
        ticking = asyncio.ensure_future(_tick(round_))
        begun, cpu = perf_counter(), process_time()
        until = begun + seconds
        callers = [f"user:{self._name}{task % self._callers}" for task in range(self._tasks)]
        await asyncio.gather(*(self._call(ledger, who, until, round_) for who in callers))
        round_.seconds = perf_counter() - begun
        round_.cpu_s = process_time() - cpu
        ticking.cancel()
        await asyncio.wait((ticking,))
        return round_

    async def _call(self, ledger: Ledger, caller: str, until: float, round_: Round) -> None:
        while (begun := perf_counter()) < until:
            call_id = f"call-{self._name}-{next(self._numbers)}"
            admitted = await ledger.admit(caller, call_id)
            round_.admit_s.append(perf_counter() - begun)
            await ledger.settle(admitted)
            round_.pairs += 1
            await asyncio.sleep(0)  # A ledger in memory waits for nothing; others have a turn too.


async def _tick(round_: Round) -> None:
    """Look, a thousand times a second, how long the loop had no time for this."""
    while True:
        asleep, computed = perf_counter(), thread_time()
        await asyncio.sleep(TICK_S)
        round_.lag_s = max(round_.lag_s, perf_counter() - asleep - TICK_S)
        round_.busy_s = max(round_.busy_s, thread_time() - computed)


async def in_turns(
    ledgers: dict[str, Ledger], one: Callable[[Ledger], Awaitable[Round]], rounds: int
) -> dict[str, list[Round]]:
    """*rounds* of each of *ledgers*, one after another, so that all see the same weather."""
    done: dict[str, list[Round]] = {name: [] for name in ledgers}
    for _ in range(rounds):
        for name, ledger in ledgers.items():
            done[name].append(await one(ledger))
    return done


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run *main* on the kind of event loop that a server has."""
    if sys.platform == "win32":
        return asyncio.run(main)
    import uvloop

    return uvloop.run(main)
