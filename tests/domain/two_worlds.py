"""A service whose one route has two targets, and ways in which a target fails or answers."""

from chatnest.domain.budget import HoldState
from chatnest.domain.capabilities import Capabilities
from chatnest.domain.errors import Failure, FailureKind
from chatnest.domain.events import Finished, FinishReason, TextDelta, UsageReported
from chatnest.domain.policy import ChatPolicy
from chatnest.domain.ports import LedgerStore
from chatnest.domain.routes import Route, Target
from chatnest.domain.usage import TokenUsage
from chatnest.domain.windows import US_PER_S
from tests.domain.chat_world import PATIENT, PuppetProvider, World

BUSY = Failure(FailureKind.OVERLOADED, status=529, billable=False)
ANSWERED = (TextDelta("yes"), UsageReported(TokenUsage(5, 1)), Finished(FinishReason.STOP))


class TwoWorlds(World):
    """A service whose one route has two targets."""

    def __init__(
        self,
        policy: ChatPolicy = PATIENT,
        *,
        most: int | None = None,
        window: int | None = None,
        first: Capabilities | None = None,
        store: LedgerStore | None = None,
    ) -> None:
        self.first, self.second = PuppetProvider("first"), PuppetProvider("second")
        if first is not None:
            self.first.capabilities = first
        targets = (
            Target(self.first, "small", window, most, US_PER_S),
            Target(self.second, "large", None, most, US_PER_S),
        )
        super().__init__(policy=policy, routes=[Route("both", targets)], store=store)

    async def journal(self) -> list[tuple[str, str | None, HoldState]]:
        """Who was called, how it ended, and what became of its hold; in order."""
        holds = [hold async for page in self.store.snapshot() for hold in page.holds]
        return [
            (hold.provider, hold.outcome, hold.state) for hold in sorted(holds, key=lambda h: h.id)
        ]
