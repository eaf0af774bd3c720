"""However much a memory store has forgotten, its accounts are the sums of what it still says."""

from dataclasses import dataclass
from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from chatnest.adapters.storage.memory import MemoryStore
from chatnest.domain.budget import BudgetRule, Hold, Unit
from chatnest.domain.steps import expire_step, release_step, settle_step
from chatnest.domain.upkeep import prune, renew_step
from chatnest.domain.windows import Period, Window
from chatnest.testing.clock import ManualClock
from chatnest.testing.ledger_cases import LEASE_US, admitted, call, read_ledger, tokens_a_day, used

HOUR_US = 3_600_000_000
RULES = (
    tokens_a_day(None),
    BudgetRule("ann", Unit.TOKENS, Window(Period.MINUTE), None),
    BudgetRule("all", Unit.TOKENS, Window(Period.TOTAL), None),
)


@dataclass(frozen=True)
class Command:
    """What to do with the call of ``number``, after a while."""

    name: str
    number: int
    tokens: int
    wait_us: int


def commands() -> st.SearchStrategy[Command]:
    return st.builds(
        Command,
        st.sampled_from(
            ["admit", "admit", "settle", "settle", "release", "expire", "renew", "prune"]
        ),
        st.integers(0, 5),
        st.integers(4, 9),
        st.sampled_from([0, 0, 1, LEASE_US, HOUR_US, 30 * HOUR_US, 1_000 * HOUR_US]),
    )


class Calls:
    """Calls on one store, and the last one that was admitted under each number."""

    def __init__(self, store: MemoryStore, clock: ManualClock) -> None:
        self._store = store
        self._clock = clock
        self._holds: dict[int, Hold] = {}
        self._ids = count()

    async def follow(self, command: Command) -> None:
        self._clock.advance(command.wait_us)
        now = self._clock.now()
        hold = self._holds.get(command.number)
        match command.name:
            case "admit":
                self._holds[command.number] = await self._admitted(command.tokens, now)
            case "settle" if hold is not None:
                await self._store.transact(*settle_step(hold, used(command.tokens), now))
            case "release" if hold is not None:
                await self._store.transact(*release_step(hold, "not_sent", now))
            case "expire" if hold is not None:
                await self._store.transact(*expire_step(hold, now))
            case "renew" if hold is not None:
                await self._store.transact(*renew_step([hold], now + LEASE_US))
            case "prune":
                await prune(self._store, now)

    async def _admitted(self, tokens: int, now: int) -> Hold:
        hold_id = f"h{next(self._ids)}"
        return await admitted(
            self._store, call(hold_id, *RULES, tokens=tokens, created_at=now), now
        )


@given(sequence=st.lists(commands(), max_size=40), journal_size=st.integers(1, 4))
async def test_a_memory_ledger_never_drifts_by_forgetting(
    sequence: list[Command], journal_size: int
) -> None:
    clock = ManualClock()
    store = MemoryStore(clock, journal_size=journal_size)
    calls = Calls(store, clock)
    for command in sequence:
        await calls.follow(command)
        assert (await read_ledger(store)).drifts == ()
