"""How hard the fleet is tried, and the stores that it is tried on."""

import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.end_to_end.fleet.stores import OPEN_STORE, StoreUnderTest

KILLS = 4
OUTAGE_S = 3.0


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("fleet", "the proofs that a ledger survives")
    group.addoption("--kills", type=int, help=f"servers that are killed, per store ({KILLS})")
    group.addoption("--kill-seed", type=int, help="when which server is killed (by chance)")
    group.addoption("--outage-s", type=float, help=f"how long a store is away ({OUTAGE_S})")


# Unless the command line names this folder, its options are not known when they are read.
@pytest.fixture
def kills(request: pytest.FixtureRequest) -> int:
    """How many servers are killed."""
    return int(request.config.getoption("kills", None) or KILLS)


@pytest.fixture
def kill_seed(request: pytest.FixtureRequest) -> int:
    """What the moments of the kills follow from."""
    seed = request.config.getoption("kill_seed", None)
    return random.SystemRandom().randrange(1 << 32) if seed is None else int(seed)


@pytest.fixture
def outage_s(request: pytest.FixtureRequest) -> float:
    """How long a store is away, at the least."""
    return float(request.config.getoption("outage_s", None) or OUTAGE_S)


async def _opened(name: str, folder: Path) -> AsyncIterator[StoreUnderTest]:
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(OPEN_STORE[name](folder))
        stack.push_async_callback(store.ledger.aclose)
        yield store


@pytest.fixture(params=list(OPEN_STORE))
async def any_store(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[StoreUnderTest]:
    """Every store that a fleet can share, empty."""
    async for store in _opened(request.param, tmp_path):
        yield store


@pytest.fixture(params=["sqlite", "postgres", "redis"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[StoreUnderTest]:
    """One store of each kind, empty: for what takes its time."""
    async for store in _opened(request.param, tmp_path):
        yield store
