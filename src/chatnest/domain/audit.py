"""Recomputes accounts from the journal, and sums up what was used.

The journal is the truth: every call that was ever admitted is in it, open or closed, and an
account is nothing but the sum of its calls. :class:`Recount` says where that does not hold.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import tzinfo
from enum import StrEnum
from typing import assert_never

from chatnest.domain.budget import Account, AccountKey, Hold, HoldState
from chatnest.domain.ledger import LedgerPage
from chatnest.domain.usage import NO_USAGE
from chatnest.domain.values import value
from chatnest.domain.windows import to_datetime


@value
class Drift:
    """An account that is not the sum of its calls; ``settled`` and ``held`` are as stored."""

    key: AccountKey
    settled: int
    held: int
    settled_by_journal: int
    held_by_journal: int


class Recount:
    """Adds up a ledger's calls, page by page, and compares the sums with its accounts."""

    def __init__(self) -> None:
        self.calls = 0
        self._accounts: dict[AccountKey, Account] = {}
        self._sums: dict[AccountKey, tuple[int, int]] = {}

    @property
    def accounts(self) -> int:
        """How many accounts there are."""
        return len(self._accounts)

    def add(self, page: LedgerPage) -> None:
        """Take *page* into account."""
        for account in page.accounts:
            self._accounts[account.key] = account
        for hold in page.holds:
            self._add(hold)

    def drifts(self) -> tuple[Drift, ...]:
        """Every account that is not the sum of its calls, in the order of their keys."""
        keys = sorted({*self._accounts, *self._sums})
        found = (self._drift(key) for key in keys)
        return tuple(drift for drift in found if drift is not None)

    def _add(self, hold: Hold) -> None:
        self.calls += 1
        for line in hold.lines:
            settled, held = self._sums.get(line.account, (0, 0))
            if hold.state is HoldState.HELD:
                held += line.amount
            else:
                settled += line.charged or 0
            self._sums[line.account] = (settled, held)

    def _drift(self, key: AccountKey) -> Drift | None:
        account = self._accounts.get(key, Account(key, limit=None))
        settled, held = self._sums.get(key, (0, 0))
        settled += account.carried
        if (account.settled, account.held) == (settled, held):
            return None
        return Drift(key, account.settled, account.held, settled, held)


class Grouping(StrEnum):
    """What used tokens are summed up by."""

    DAY = "day"
    PRINCIPAL = "principal"
    MODEL = "model"


@value
class UsageTotal:
    """What a group of closed calls used.

    ``estimated`` counts the calls whose usage the provider did not report; ``unpriced`` those
    whose cost is not known and not in ``cost_nano_usd``; ``lost`` those whose process died. What
    a lost call used is not known: only the accounts tell what it was charged.
    """

    group: str
    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    reasoning_tokens: int = 0
    cost_nano_usd: int = 0
    estimated: int = 0
    unpriced: int = 0
    lost: int = 0


class UsageSummary:
    """Sums up closed calls by day, principal or model. Days begin at midnight in *zone*."""

    def __init__(self, by: Grouping, zone: tzinfo) -> None:
        self._by = by
        self._zone = zone
        self._totals: dict[str, UsageTotal] = {}

    def add(self, holds: Iterable[Hold]) -> None:
        """Take *holds* into account; open and released ones used nothing."""
        for hold in holds:
            if hold.state in (HoldState.SETTLED, HoldState.EXPIRED):
                group = self._group(hold)
                before = self._totals.get(group, UsageTotal(group))
                self._totals[group] = _with_call(before, hold)

    def totals(self) -> tuple[UsageTotal, ...]:
        """One total for each group, in the order of their names."""
        return tuple(self._totals[group] for group in sorted(self._totals))

    def _group(self, hold: Hold) -> str:
        match self._by:
            case Grouping.DAY:
                return to_datetime(hold.created_at, self._zone).date().isoformat()
            case Grouping.PRINCIPAL:
                return hold.principal
            case Grouping.MODEL:
                return f"{hold.provider}/{hold.model}"
            case _:
                assert_never(self._by)


def _with_call(total: UsageTotal, hold: Hold) -> UsageTotal:
    usage = hold.usage or NO_USAGE
    return replace(
        total,
        calls=total.calls + 1,
        input_tokens=total.input_tokens + usage.input_tokens,
        output_tokens=total.output_tokens + usage.output_tokens,
        cached_input_tokens=total.cached_input_tokens + usage.cached_input_tokens,
        reasoning_tokens=total.reasoning_tokens + usage.reasoning_tokens,
        cost_nano_usd=total.cost_nano_usd + (hold.cost_nano_usd or 0),
        estimated=total.estimated + hold.estimated,
        unpriced=total.unpriced + (hold.cost_nano_usd is None),
        lost=total.lost + (hold.state is HoldState.EXPIRED),
    )
