"""What stands in for the turns of a server that has none, or must do without."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from chatnest.adapters.storage.compare_and_set import (
    Committed,
    CompareAndSetServer,
    Conflict,
    Key,
)
from chatnest.domain.ledger import Change, Keys


@asynccontextmanager
async def no_turn(
    server: CompareAndSetServer, keys: Keys, versions: Mapping[Key, str]
) -> AsyncIterator[Committed | Conflict]:
    """How the rows at *keys* are, and others may write meanwhile."""
    yield await server.commit(keys, versions, Change(None))
