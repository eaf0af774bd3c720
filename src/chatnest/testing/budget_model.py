"""A plain model of budgets: an oracle that shares no arithmetic with the code under test.

The model keeps nothing but a list of calls, and what those were charged that it was told to forget.
What an account holds is a sum over the open ones, and what it settled is a sum over the closed ones
and the forgotten ones; the largest output cap is found by trying each;
money is counted in fractions; a window's edge is found by walking along the clock. Use it with
small numbers, beside a store or the policy itself:

    model = BudgetModel()
    expected = model.reserve(command, now)      # Call, or Shortage
    model.settle(hold_id, usage, price)         # each of these may be repeated
    assert account.held == model.held(account.key)
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from fractions import Fraction
from math import ceil

from chatnest.domain.budget import AccountKey, BudgetRule, Demand, HoldState, Reserve, Unit
from chatnest.domain.usage import Price, TokenUsage
from chatnest.domain.windows import Period, Window

_PRICE_UNIT = 1_000_000
_LENGTH_US = {Period.MINUTE: 60 * 1_000_000, Period.HOUR: 3_600 * 1_000_000}
_QUARTER_US = 15 * 60 * 1_000_000


@dataclass
class Call:
    """One admitted call: what it may use and, once it is over, what it was charged."""

    id: str
    amounts: dict[AccountKey, int]
    output_cap: int
    expires_at: int
    state: HoldState = HoldState.HELD
    charges: dict[AccountKey, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Shortage:
    """The first rule that leaves no room for the least that a call needs."""

    rule: BudgetRule
    needed: int
    remaining: int
    resets_at: int | None


class BudgetModel:
    """Every call that was admitted, and the accounts as sums over them."""

    def __init__(self) -> None:
        self.calls: dict[str, Call] = {}
        self.carried: dict[AccountKey, int] = {}

    def held(self, key: AccountKey) -> int:
        """What the open calls hold on the account at *key*."""
        return sum(call.amounts.get(key, 0) for call in self._in(HoldState.HELD))

    def settled(self, key: AccountKey) -> int:
        """What closed calls were charged on the account at *key*, forgotten or not."""
        known = sum(call.charges.get(key, 0) for call in self.calls.values())
        return known + self.carried.get(key, 0)

    def keys(self) -> set[AccountKey]:
        """The accounts that any call has touched."""
        return {key for call in self.calls.values() for key in call.amounts}

    def due(self, now: int) -> list[str]:
        """The ids of the open calls that are due to expire, the longest due first."""
        late = [call for call in self._in(HoldState.HELD) if call.expires_at <= now]
        return [call.id for call in sorted(late, key=lambda call: call.expires_at)]

    def room(self, rule: BudgetRule, now: int) -> int | None:
        """What *rule* leaves at *now*; negative after an overrun, None without a limit."""
        if rule.limit is None:
            return None
        key = account_key(rule, now)
        return rule.limit - self.settled(key) - self.held(key)

    def reserve(self, command: Reserve, now: int) -> Call | Shortage:
        """Admit the call of *command* with the largest cap that fits under every rule."""
        if command.hold.id in self.calls:
            return self.calls[command.hold.id]
        demand = command.demand
        least = min(demand.min_output_tokens, demand.max_output_tokens)
        for rule in command.rules:
            room, needed = self.room(rule, now), amount(demand, rule.unit, least)
            if room is not None and needed > room:
                resets_at = window_edges(rule.window, now)[1]
                return Shortage(rule, needed, max(0, room), resets_at)
        cap = max(self._caps_that_fit(command, now))
        amounts = {account_key(rule, now): amount(demand, rule.unit, cap) for rule in command.rules}
        call = Call(command.hold.id, amounts, cap, command.hold.expires_at)
        self.calls[call.id] = call
        return call

    def settle(self, call_id: str, usage: TokenUsage, price: Price | None) -> None:
        """Charge what was used, once: an open or an expired call becomes a settled one."""
        call = self.calls[call_id]
        if call.state in (HoldState.HELD, HoldState.EXPIRED):
            call.state = HoldState.SETTLED
            call.charges = {
                key: used(key.unit, held, usage, price) for key, held in call.amounts.items()
            }

    def release(self, call_id: str) -> None:
        """Charge nothing for an open call."""
        call = self.calls[call_id]
        if call.state is HoldState.HELD:
            call.state = HoldState.RELEASED
            call.charges = dict.fromkeys(call.amounts, 0)

    def expire(self, call_id: str, now: int) -> None:
        """Charge an open call that is due with everything that it held."""
        call = self.calls[call_id]
        if call.state is HoldState.HELD and now >= call.expires_at:
            call.state = HoldState.EXPIRED
            call.charges = {
                key: 0 if key.unit is Unit.STREAMS else held for key, held in call.amounts.items()
            }

    def renew(self, call_id: str, expires_at: int) -> None:
        """Let an open call stand for longer."""
        call = self.calls[call_id]
        if call.state is HoldState.HELD:
            call.expires_at = max(call.expires_at, expires_at)

    def forget(self, call_id: str) -> None:
        """Forget a closed call, and with the last one its account of a minute or an hour."""
        if call_id not in self.calls or self.calls[call_id].state is HoldState.HELD:
            return
        gone = self.calls.pop(call_id)
        for key in gone.amounts:
            self.carried[key] = self.carried.get(key, 0) + gone.charges[key]
            rest = [call for call in self.calls.values() if key in call.amounts]
            counts = any(call.state is HoldState.HELD or call.charges[key] for call in rest)
            if key.period in (Period.MINUTE, Period.HOUR) and not counts:
                del self.carried[key]

    def put_back(self, call: Call) -> None:
        """Remember *call*, which was forgotten, as it was when it was open; a known one stays."""
        self.calls.setdefault(call.id, call)

    def _in(self, state: HoldState) -> Iterator[Call]:
        return (call for call in self.calls.values() if call.state is state)

    def _caps_that_fit(self, command: Reserve, now: int) -> Iterator[int]:
        demand = command.demand
        rooms = [(rule.unit, self.room(rule, now)) for rule in command.rules]
        for cap in range(demand.max_output_tokens + 1):
            needs = ((amount(demand, unit, cap), room) for unit, room in rooms)
            if all(room is None or need <= room for need, room in needs):
                yield cap


def amount(demand: Demand, unit: Unit, cap: int) -> int:
    """The most that a call with *cap* can use, in *unit*."""
    if unit is Unit.TOKENS:
        return demand.input_tokens + cap
    if unit is Unit.NANO_USD:
        assert demand.price is not None, "money needs a price"
        dearest = max(input_prices(demand.price))
        exact = dearest * demand.input_tokens + demand.price.output_nano_usd * cap
        return ceil(Fraction(exact, _PRICE_UNIT))
    return 1


def used(unit: Unit, held: int, usage: TokenUsage, price: Price | None) -> int:
    """What a call is charged in *unit* for *usage*; *held* is what it held."""
    if unit is Unit.TOKENS:
        return usage.input_tokens + usage.output_tokens
    if unit is Unit.NANO_USD:
        return held if price is None else cost(price, usage)
    return 1 if unit is Unit.REQUESTS else 0


def input_prices(price: Price) -> tuple[int, int, int]:
    """The prices of an input token that is plain, read from a cache, and written to one."""
    cached, written = price.cached_input_nano_usd, price.cache_write_nano_usd
    plain = price.input_nano_usd
    return plain, plain if cached is None else cached, plain if written is None else written


def cost(price: Price, usage: TokenUsage) -> int:
    """The cost of *usage* in nano-dollars: every bucket once, rounded up once."""
    cached, written = usage.cached_input_tokens, usage.cache_write_tokens
    counts = (usage.input_tokens - cached - written, cached, written, usage.output_tokens)
    prices = (*input_prices(price), price.output_nano_usd)
    exact = (count * each for count, each in zip(counts, prices, strict=True))
    return ceil(sum(Fraction(part, _PRICE_UNIT) for part in exact))


def account_key(rule: BudgetRule, now: int) -> AccountKey:
    """The account that counts *rule* at *now*."""
    return AccountKey(rule.scope, rule.unit, rule.window.period, window_edges(rule.window, now)[0])


def window_edges(window: Window, now: int) -> tuple[int, int | None]:
    """Where the window around *now* begins and ends, found by walking along the clock."""
    if window.period is Period.TOTAL:
        return 0, None
    length_us = _LENGTH_US.get(window.period)
    if length_us is not None:
        return now // length_us * length_us, (now // length_us + 1) * length_us
    return _walk(window.period, window.zone, now // _QUARTER_US)


_walked: dict[tuple[tzinfo, str], tuple[int, int]] = {}


def _walk(period: Period, zone: tzinfo, quarter: int) -> tuple[int, int]:
    # Since 1980 every zone's days have begun at a whole quarter of an hour in UTC, so steps of one
    # quarter miss no midnight. (Clocks that go back over midnight would turn the page back: none
    # has done so since 2010.)
    here = _page(period, zone, quarter)
    if (zone, here) not in _walked:
        first = last = quarter
        while _page(period, zone, first - 1) == here:
            first -= 1
        while _page(period, zone, last) == here:
            last += 1
        _walked[zone, here] = first * _QUARTER_US, last * _QUARTER_US
    return _walked[zone, here]


def _page(period: Period, zone: tzinfo, quarter: int) -> str:
    """The page of a calendar that hangs in *zone*: ``2026-03-29`` or ``2026-03``."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(minutes=15 * quarter)
    day = moment.astimezone(zone).date().isoformat()
    return day if period is Period.DAY else day[:7]
