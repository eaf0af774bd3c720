"""Budgets: what may still be spent, what is held for calls under way, and what was spent.

An account is one scope in one window, counted in one unit. Its key has the window's start in it:
a new day is a new account, a hold made before midnight settles into its own day, and history is
kept for free. A call first *reserves* its worst case as a hold on every account that it touches,
all or none; when it ends the hold is *settled* at what was used, *released* if nothing was sent,
or *expired* at its worst case if its owner died:

    held → settled | released | expired        expired → settled (a correction)

Every other transition changes nothing, so each may be repeated. For every account, always:

    held == sum of the amounts of its open holds
    settled == carried + sum of the charges of its closed holds
    settled + held <= limit after every admission
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from typing import assert_never

from chatnest.domain.usage import (
    Price,
    TokenUsage,
    most_output_tokens,
    worst_cost_nano_usd,
)
from chatnest.domain.values import value
from chatnest.domain.windows import Period, Window


class Unit(StrEnum):
    """What an account counts.

    ``streams`` counts calls under way: they are held while they run and never charged.
    """

    TOKENS = "tokens"
    NANO_USD = "nano_usd"
    REQUESTS = "requests"
    STREAMS = "streams"


@dataclass(frozen=True, slots=True, order=True)
class AccountKey:
    """One scope, in one unit, in the window that began at ``start``."""

    scope: str
    unit: Unit
    period: Period
    start: int


@value
class Account:
    """What was settled and is held in one window; ``limit`` None counts without a limit.

    ``carried`` is the part of ``settled`` whose calls the journal no longer has.
    """

    key: AccountKey
    limit: int | None
    settled: int = 0
    held: int = 0
    carried: int = 0

    @property
    def room(self) -> int | None:
        """What may still be held: negative after an overrun, None without a limit."""
        return None if self.limit is None else self.limit - self.settled - self.held

    @property
    def remaining(self) -> int | None:
        """The room as a person is told it: never negative, None without a limit."""
        room = self.room
        return None if room is None else max(0, room)


class HoldState(StrEnum):
    """Where a hold is in its life."""

    HELD = "held"
    SETTLED = "settled"
    RELEASED = "released"
    EXPIRED = "expired"


@value
class HoldLine:
    """The part of a hold that lies on one account; ``charged`` is None while it is open."""

    account: AccountKey
    amount: int
    charged: int | None = None


@value
class Hold:
    """A reserved worst case, and once it is closed the journal's entry of the call.

    One attempt at one provider is one hold; ``request_id`` groups the attempts of a request. The
    ``id`` is made of that, or of the caller's idempotency key, which names no second request.
    Instants are microseconds since the Unix epoch. ``outcome`` says how the call ended (a finish
    reason or a failure kind); ``usage`` and ``cost_nano_usd`` are None while nothing is known.
    """

    id: str
    request_id: str
    principal: str
    profile: str
    provider: str
    model: str
    lines: tuple[HoldLine, ...]
    output_cap: int
    created_at: int
    expires_at: int
    state: HoldState = HoldState.HELD
    closed_at: int | None = None
    usage: TokenUsage | None = None
    cost_nano_usd: int | None = None
    estimated: bool = False
    outcome: str | None = None

    @property
    def account_keys(self) -> tuple[AccountKey, ...]:
        """The accounts that the hold lies on."""
        return tuple(line.account for line in self.lines)


@value
class BudgetRule:
    """A configured limit: at most ``limit`` of ``unit`` for ``scope`` in every ``window``.

    Raises:
        ValueError: streams are counted in a window that ends. One that runs across its end would
            be forgotten there, and as many again could start.
    """

    scope: str
    unit: Unit
    window: Window
    limit: int | None

    def __post_init__(self) -> None:
        if self.unit is Unit.STREAMS and self.window.period is not Period.TOTAL:
            raise ValueError("streams are counted in the total window alone")

    def account_at(self, now: int) -> AccountKey:
        """The account that counts this rule at *now*."""
        window = self.window
        return _account_key(self.scope, self.unit, window.period, window.span_at(now).start)


# A key that is the same object as the one in a table is found there without being compared.
_account_key = lru_cache(maxsize=4_096)(AccountKey)


@value
class Balance:
    """What a rule's account says at one instant; ``resets_at`` None where it never resets."""

    rule: BudgetRule
    settled: int
    held: int
    remaining: int | None
    resets_at: int | None


@value
class Demand:
    """The worst case of one call, as a function of the output cap that it will be sent with.

    ``input_tokens`` is an upper bound. The cap may shrink from ``max_output_tokens`` down to
    ``min_output_tokens`` where less room is left. ``price`` None: the price is unknown, and
    no account in nano-dollars may be asked for.

    Raises:
        ValueError: a count is negative.
    """

    input_tokens: int
    max_output_tokens: int
    min_output_tokens: int
    price: Price | None

    def __post_init__(self) -> None:
        if min(self.input_tokens, self.max_output_tokens, self.min_output_tokens) < 0:
            raise ValueError("token counts must not be negative")

    def amount(self, unit: Unit, output_cap: int) -> int:
        """What a call with *output_cap* may use at the most, in *unit*."""
        match unit:
            case Unit.TOKENS:
                return self.input_tokens + output_cap
            case Unit.NANO_USD:
                return worst_cost_nano_usd(self._known_price(), self.input_tokens, output_cap)
            case Unit.REQUESTS | Unit.STREAMS:
                return 1
            case _:
                assert_never(unit)

    def largest_cap(self, unit: Unit, room: int) -> int | None:
        """The largest output cap whose amount fits into *room*; negative: none; None: any."""
        match unit:
            case Unit.TOKENS:
                return room - self.input_tokens
            case Unit.NANO_USD:
                return most_output_tokens(self._known_price(), self.input_tokens, room)
            case Unit.REQUESTS | Unit.STREAMS:
                return None if room >= 1 else -1
            case _:
                assert_never(unit)

    def _known_price(self) -> Price:
        if self.price is None:
            raise ValueError("a call without a price cannot be held in nano-dollars")
        return self.price


@value
class Reserve:
    """The command to hold *demand* under every one of *rules*; ``hold`` names the call.

    ``hold`` comes without lines and with the cap that was asked for; both are filled in.

    Raises:
        ValueError: two rules would be counted in one account.
    """

    hold: Hold
    demand: Demand
    rules: tuple[BudgetRule, ...]

    def __post_init__(self) -> None:
        counted = {(rule.scope, rule.unit, rule.window.period) for rule in self.rules}
        if len(counted) != len(self.rules):
            raise ValueError("two budget rules of one call count in the same account")


@value
class Reserved:
    """The hold stands. ``accounts`` are the changed accounts: none for a repeated command."""

    hold: Hold
    accounts: tuple[Account, ...]


@value
class Exhausted:
    """A rule leaves too little room; nothing was changed. ``needed`` is the least that must fit."""

    rule: BudgetRule
    needed: int
    remaining: int
    resets_at: int | None


Accounts = Mapping[AccountKey, Account]


def reserve(
    accounts: Accounts, existing: Hold | None, command: Reserve, now: int
) -> Reserved | Exhausted:
    """Hold the worst case on every account of *command*, all or none.

    *existing* is the stored hold of the same id: with one, the answer is that hold again.
    """
    if existing is not None:
        return Reserved(existing, ())
    return hold_worst_case(accounts, command.hold, command.demand, command.rules, now)


def hold_worst_case(
    accounts: Accounts, hold: Hold, demand: Demand, rules: Iterable[BudgetRule], now: int
) -> Reserved | Exhausted:
    """Hold *demand* under each of *rules*, judged in their order; the accounts come in it too."""
    cap = demand.max_output_tokens
    floor = min(demand.min_output_tokens, cap)
    touched: list[Account] = []
    for rule in rules:
        account = current_account(accounts, rule, now)
        room = account.room
        fits = None if room is None else demand.largest_cap(rule.unit, room)
        if fits is not None and fits < floor:
            resets_at = rule.window.span_at(now).end
            needed = demand.amount(rule.unit, floor)
            return Exhausted(rule, needed, account.remaining or 0, resets_at)
        cap = cap if fits is None else min(cap, fits)
        touched.append(account)
    lines = [HoldLine(account.key, demand.amount(account.key.unit, cap)) for account in touched]
    held = [_with_more_held(*each) for each in zip(touched, lines, strict=True)]
    return Reserved(_with_lines(hold, tuple(lines), cap), tuple(held))


def balances(accounts: Accounts, rules: Iterable[BudgetRule], now: int) -> tuple[Balance, ...]:
    """What each of *rules* leaves at *now*."""
    return tuple([balance(current_account(accounts, rule, now), rule, now) for rule in rules])


def current_account(accounts: Accounts, rule: BudgetRule, now: int) -> Account:
    """The account of *rule* at *now*, under the limit that the rule has now."""
    key = rule.account_at(now)
    stored = accounts.get(key)
    if stored is None:
        return Account(key, rule.limit)
    return stored if stored.limit == rule.limit else replace(stored, limit=rule.limit)


def balance(account: Account, rule: BudgetRule, now: int) -> Balance:
    """What *account*, which is the one of *rule* at *now*, leaves."""
    resets_at = rule.window.span_at(now).end
    return Balance(rule, account.settled, account.held, account.remaining, resets_at)


# Every field by its place: dataclasses.replace would take twice as long, for each call.
def _with_more_held(account: Account, line: HoldLine) -> Account:
    held = account.held + line.amount
    return Account(account.key, account.limit, account.settled, held, account.carried)


def _with_lines(hold: Hold, lines: tuple[HoldLine, ...], output_cap: int) -> Hold:
    return Hold(
        hold.id,
        hold.request_id,
        hold.principal,
        hold.profile,
        hold.provider,
        hold.model,
        lines,
        output_cap,
        hold.created_at,
        hold.expires_at,
        hold.state,
        hold.closed_at,
        hold.usage,
        hold.cost_nano_usd,
        hold.estimated,
        hold.outcome,
    )
