"""What a settlement will leave, told before the ledger has taken it: a reader need not wait for it.

The admission said what was left with the call's worst case held; the call's own charge takes the
place of that. What other calls did meanwhile is not in it.
"""

from collections.abc import Iterable

from chatnest.domain.budget import Balance, Hold
from chatnest.domain.closing import Settlement, charge, cost_of
from chatnest.domain.steps import Ending


def balances_after(left: Iterable[Balance], hold: Hold, ending: Ending) -> tuple[Balance, ...]:
    """*left*, which the admission of *hold* told, once the call has ended so."""
    lines = {
        (line.account.scope, line.account.unit, line.account.period): line for line in hold.lines
    }
    cost = cost_of(ending) if isinstance(ending, Settlement) else 0
    after: list[Balance] = []
    for balance in left:
        rule = balance.rule
        line = lines.get((rule.scope, rule.unit, rule.window.period))
        if line is not None:
            used = charge(line, ending.usage, cost) if isinstance(ending, Settlement) else 0
            balance = _moved(balance, line.amount, used)
        after.append(balance)
    return tuple(after)


def _moved(balance: Balance, held: int, used: int) -> Balance:
    """*balance* with *used* charged in place of what was *held*."""
    rule, settled, still_held = balance.rule, balance.settled + used, balance.held - held
    remaining = None if rule.limit is None else max(0, rule.limit - settled - still_held)
    return Balance(rule, settled, still_held, remaining, balance.resets_at)
