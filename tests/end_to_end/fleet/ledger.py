"""What a ledger says, read from outside of the servers that write it."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from chatnest.adapters.clock import SystemClock
from chatnest.adapters.randomness import SystemRandomness
from chatnest.app.store_choice import open_store, read_store_url
from chatnest.domain.budget import Account, AccountKey, Hold, HoldState, Unit
from chatnest.domain.errors import StoreUnavailableError
from chatnest.domain.ports import LedgerStore
from tests.end_to_end.fleet.load import principal_of
from tests.end_to_end.fleet.servers import run_command

_LOOK_EVERY_S = 0.1
# Longer than any lease here and than the longest wait between two attempts at a settlement.
_SETTLED_WITHIN_S = 30
# Calls that were made before an instant which never comes are left out, unless they are open.
_OPEN_ONLY = 1 << 62


@dataclass(frozen=True, slots=True)
class Books:
    """A whole ledger as of one instant."""

    accounts: dict[AccountKey, Account] = field(default_factory=dict)
    holds: dict[str, Hold] = field(default_factory=dict)

    @property
    def open_holds(self) -> list[Hold]:
        """The holds of calls that have not ended."""
        return [hold for hold in self.holds.values() if hold.state is HoldState.HELD]

    def of_chat(self, chat: int) -> list[Hold]:
        """The journal's entries of chat number *chat*."""
        whose = principal_of(chat)
        return [hold for hold in self.holds.values() if hold.principal == whose]

    def of_everybody(self, unit: Unit) -> Account:
        """The global budget in *unit*."""
        (account,) = (
            account
            for key, account in self.accounts.items()
            if (key.scope, key.unit, key.period) == ("global", unit, "total")
        )
        return account

    def exceeded(self) -> list[Account]:
        """The accounts on which more is charged and held than their limits allow."""
        return [
            account
            for account in self.accounts.values()
            if account.limit is not None and account.settled + account.held > account.limit
        ]


def charged_tokens(hold: Hold) -> int:
    """What *hold* was charged on its caller's own tokens; 0 while it is open."""
    amounts = (
        line.charged or 0
        for line in hold.lines
        if (line.account.scope, line.account.unit) == (hold.principal, Unit.TOKENS)
    )
    return sum(amounts)


class Ledger:
    """Reads the ledger at a store's URL while others write it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._store: LedgerStore | None = None

    async def books(self, since: int = 0) -> Books:
        """All of it, without closed holds that were made before *since*.

        Raises:
            StoreUnavailableError: the store did not answer.
        """
        store = self._opened()
        books = Books()
        async for page in store.snapshot(since):
            books.accounts.update((account.key, account) for account in page.accounts)
            books.holds.update((hold.id, hold) for hold in page.holds)
        return books

    async def settled_books(self) -> Books:
        """All of it once no hold is open: the calls have ended, or their leases have.

        Raises:
            TimeoutError: a hold stayed open.
        """
        await self.wait_until(lambda books: not books.open_holds, since=_OPEN_ONLY)
        return await self.books()

    async def wait_until(self, condition: Callable[[Books], bool], since: int = 0) -> None:
        """Read the books until *condition* holds for them, whether the store answers or not.

        Raises:
            TimeoutError: it did not hold in time.
        """
        async with asyncio.timeout(_SETTLED_WITHIN_S):
            while not await self._holds(condition, since):  # noqa: ASYNC110  # others write them
                await asyncio.sleep(_LOOK_EVERY_S)

    @asynccontextmanager
    async def watched(self) -> AsyncGenerator[list[Account], None]:
        """Look at the accounts again and again; the list takes those found over their limits."""
        found: list[Account] = []
        watching = asyncio.create_task(self._watch(found))
        try:
            yield found
        finally:
            watching.cancel()
            await asyncio.wait((watching,))
        assert watching.cancelled(), watching.exception()

    async def verify(self) -> tuple[int, str]:
        """What ``chatnest ledger verify`` says: its exit code, and its words."""
        return await run_command("ledger", "verify", "--store", self.url)

    async def aclose(self) -> None:
        """Close the connections of the reader; it opens them again where they are needed."""
        if self._store is not None:
            await self._store.aclose()
            self._store = None

    def _opened(self) -> LedgerStore:
        if self._store is None:
            self._store = open_store(
                read_store_url(self.url), SystemClock(), SystemRandomness(SystemClock())
            )
        return self._store

    async def _holds(self, condition: Callable[[Books], bool], since: int) -> bool:
        try:
            return condition(await self.books(since))
        except StoreUnavailableError:
            return False

    async def _watch(self, found: list[Account]) -> None:
        def look(books: Books) -> bool:
            found.extend(books.exceeded())
            return False

        while True:
            await self._holds(look, _OPEN_ONLY)
            await asyncio.sleep(_LOOK_EVERY_S)
