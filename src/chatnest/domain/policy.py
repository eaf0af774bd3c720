"""The limits that one deployment applies, and which of them a call falls under.

A budget's scope says whom it is for: ``global`` is everybody together, ``principal`` is each
caller on its own, and any other scope is for the callers that carry it.
"""

from collections.abc import Iterable
from dataclasses import field, replace
from datetime import UTC, tzinfo
from enum import StrEnum
from functools import lru_cache, partial

from chatnest.domain.admission import RateRule
from chatnest.domain.budget import BudgetRule, Unit
from chatnest.domain.circuit import CircuitPolicy
from chatnest.domain.ledger import RateKey
from chatnest.domain.profiles import Profile, Profiles
from chatnest.domain.rate_limit import Algorithm, Quota
from chatnest.domain.requests import Principal
from chatnest.domain.retry import RetryPolicy
from chatnest.domain.values import value
from chatnest.domain.windows import US_PER_S, Period, Window

GLOBAL_SCOPE = "global"
EACH_PRINCIPAL = "principal"
REQUESTS_QUOTA = "requests"

# Callers are any number, and clients may wish for any limit: what is remembered has an end, of a
# few megabytes.
_REMEMBERED = 4_096


class UnknownPrice(StrEnum):
    """What to do with a model that has no known price where a money budget applies."""

    REFUSE = "refuse"
    IGNORE = "ignore"


@value
class TimeLimits:
    """How long a provider may take, in microseconds.

    To be connected to, to its first event, between two events, and altogether. A client may stop
    reading for ``write_stall_us``. ``lease_us`` is how long a hold stands without a sign of life
    from its process, which renews the holds of its calls.
    """

    first_token_us: int = 30 * US_PER_S
    idle_us: int = 30 * US_PER_S
    total_us: int = 600 * US_PER_S
    lease_us: int = 60 * US_PER_S
    connect_us: int = 10 * US_PER_S
    write_stall_us: int = 30 * US_PER_S

    def __post_init__(self) -> None:
        waits = (self.connect_us, self.first_token_us, self.idle_us, self.write_stall_us)
        if min(*waits, self.total_us) < 1:
            raise ValueError("time limits must be at least one microsecond")
        if self.lease_us < US_PER_S:
            raise ValueError("a lease must be at least one second")


@value
class ChatPolicy:
    """Everything that a deployment decides about its chats.

    ``budgets`` come on top of what the profiles say. ``day_zone`` is the time zone of the
    profiles' tokens per day. ``client_system_prompt`` lets clients send system messages.
    ``rate_algorithm`` is how the profiles' requests per minute are counted. ``circuit`` says when a
    target that fails is left alone.
    """

    profiles: Profiles = field(default_factory=Profiles)
    budgets: tuple[BudgetRule, ...] = ()
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    time_limits: TimeLimits = field(default_factory=TimeLimits)
    day_zone: tzinfo = UTC
    client_system_prompt: bool = False
    unknown_price: UnknownPrice = UnknownPrice.REFUSE
    rate_algorithm: Algorithm = Algorithm.GCRA
    circuit: CircuitPolicy = field(default_factory=CircuitPolicy)


class RuleBook:
    """The limits of *policy* for each caller, worked out once: the next request has the same.

    They are remembered by what they are made of, which no wish of a client for a shorter answer
    changes.
    """

    def __init__(self, policy: ChatPolicy) -> None:
        self._budgets = lru_cache(_REMEMBERED)(partial(_budget_rules, policy))
        self._rates = lru_cache(_REMEMBERED)(partial(_rate_rules, policy))

    def budgets(self, principal: Principal, profile: Profile) -> tuple[BudgetRule, ...]:
        """Every budget that a call of *principal* under *profile* counts in.

        Where two rules would count in one account, the lower limit holds, in the first one's
        window.
        """
        scopes = tuple(principal.scopes)
        return self._budgets(
            principal.id, scopes, profile.concurrent_streams, profile.tokens_per_day
        )

    def rates(self, principal: Principal, profile: Profile) -> tuple[RateRule, ...]:
        """Every quota that a request of *principal* under *profile* takes from."""
        return self._rates(principal.id, profile.requests_per_minute)


def _budget_rules(
    policy: ChatPolicy, caller: str, scopes: tuple[str, ...], streams: int, tokens_per_day: int
) -> tuple[BudgetRule, ...]:
    own = (
        BudgetRule(caller, Unit.STREAMS, Window(Period.TOTAL), streams),
        BudgetRule(caller, Unit.TOKENS, Window(Period.DAY, policy.day_zone), tokens_per_day),
    )
    configured = (_for_caller(rule, caller, scopes) for rule in policy.budgets)
    return _merged((*own, *(rule for rule in configured if rule is not None)))


def _rate_rules(policy: ChatPolicy, caller: str, per_minute: int) -> tuple[RateRule, ...]:
    quota = Quota(per_minute, 60 * US_PER_S, algorithm=policy.rate_algorithm)
    return (RateRule(RateKey(caller, REQUESTS_QUOTA), quota),)


def _for_caller(rule: BudgetRule, caller: str, scopes: tuple[str, ...]) -> BudgetRule | None:
    if rule.scope in (GLOBAL_SCOPE, caller, *scopes):
        return rule
    return replace(rule, scope=caller) if rule.scope == EACH_PRINCIPAL else None


def _merged(rules: Iterable[BudgetRule]) -> tuple[BudgetRule, ...]:
    merged: dict[tuple[str, Unit, Period], BudgetRule] = {}
    for rule in rules:
        counted = (rule.scope, rule.unit, rule.window.period)
        first = merged.setdefault(counted, rule)
        if _is_lower(rule.limit, first.limit):
            merged[counted] = replace(first, limit=rule.limit)
    return tuple(merged.values())


def _is_lower(limit: int | None, other: int | None) -> bool:
    return limit is not None and (other is None or limit < other)
