"""Many steps folded into one are those steps one by one, on rows in plain dicts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from chatnest.domain.budget import Account, AccountKey, Unit
from chatnest.domain.folding import Done, Raised, fold, union
from chatnest.domain.ledger import Change, Keys, RateKey, Rows
from chatnest.domain.rate_limit import RateState
from chatnest.domain.windows import Period
from chatnest.testing.ledger_cases import PlainLedger, open_hold

KEYS = [AccountKey(scope, Unit.TOKENS, Period.TOTAL, 0) for scope in "ab"]
RATES = [RateKey("ann", name) for name in "ab"]
HOLDS = ["one", "two"]


@dataclass(frozen=True)
class Act:
    """What one step does to one row: set it to a number, count it on, forget it, or nothing."""

    name: str
    amount: int


@dataclass(frozen=True)
class Plan:
    """A step over all rows; ``named`` are the ones that it says it changes."""

    acts: tuple[Act, ...]
    named: tuple[bool, ...]
    fails: bool

    @property
    def keys(self) -> Keys:
        kept = [
            key for key, named in zip((*KEYS, *RATES, *HOLDS), self.named, strict=True) if named
        ]
        return Keys(
            tuple(key for key in kept if isinstance(key, AccountKey)),
            tuple(key for key in kept if isinstance(key, RateKey)),
            tuple(key for key in kept if isinstance(key, str)),
        )

    def step(self, rows: Rows) -> Change[list[int | None]]:
        """Change the rows, and tell what they were."""
        if self.fails:
            raise LookupError("the step's own")
        accounts, rates, holds = self.acts[:2], self.acts[2:4], self.acts[4:]
        seen_accounts = [settled(rows, key) for key in KEYS]
        seen_rates = [rows.rates[key].mark if key in rows.rates else None for key in RATES]
        seen_holds = [expiry(rows, hold_id) for hold_id in HOLDS]
        return Change(
            [*seen_accounts, *seen_rates, *seen_holds],
            accounts=written(KEYS, accounts, seen_accounts, lambda key, n: Account(key, None, n)),
            rates=written(RATES, rates, seen_rates, lambda key, n: (key, RateState(n))),
            holds=written(HOLDS, holds, seen_holds, open_hold),
            forgotten_accounts=forgotten(KEYS, accounts),
            forgotten_holds=forgotten(HOLDS, holds),
        )


def settled(rows: Rows, key: AccountKey) -> int | None:
    return rows.accounts[key].settled if key in rows.accounts else None


def expiry(rows: Rows, hold_id: str) -> int | None:
    return rows.holds[hold_id].expires_at if hold_id in rows.holds else None


def written(
    keys: Sequence[Any], acts: Sequence[Act], seen: Sequence[int | None], row: Callable[..., Any]
) -> tuple[Any, ...]:
    changed = []
    for key, act, before in zip(keys, acts, seen, strict=True):
        if act.name == "set":
            changed.append(row(key, act.amount))
        if act.name == "count":
            changed.append(row(key, act.amount + (before or 0)))
        if act.name == "twice":
            changed += [row(key, 1), row(key, 2)]
    return tuple(changed)


def forgotten(keys: Sequence[Any], acts: Sequence[Act]) -> tuple[Any, ...]:
    return tuple(key for key, act in zip(keys, acts, strict=True) if act.name == "forget")


def acts() -> st.SearchStrategy[Act]:
    names = ["set", "count", "count", "forget", "leave", "leave"]
    return st.builds(Act, st.sampled_from(names), st.integers(0, 3))


def plans() -> st.SearchStrategy[Plan]:
    """Steps of every kind; most name all rows, a few fail, a few change what they may not."""
    everything = st.just((True,) * 6)
    some = st.tuples(*[st.booleans()] * 6)
    every_act = st.tuples(*[acts()] * 6)
    twice = every_act.map(lambda all_acts: (Act("twice", 0), *all_acts[1:]))
    return st.builds(
        Plan,
        st.one_of(every_act, every_act, every_act, twice),
        st.one_of(everything, everything, some),
        st.sampled_from([False, False, False, True]),
    )


def one_by_one(rows: PlainLedger, plans: Sequence[Plan]) -> list[object]:
    """The results of *plans*, each on what the ones before it left; errors as their type."""
    answers: list[object] = []
    for plan in plans:
        try:
            answers.append(alone(rows, plan))
        except (LookupError, ValueError) as error:
            answers.append(type(error))
    return answers


def alone(rows: PlainLedger, plan: Plan) -> object:
    """Apply *plan* unless it breaks the rules of changes, which are written down once more here."""
    keys = plan.keys
    change = plan.step(rows.rows(keys))
    changed: list[object] = [account.key for account in change.accounts]
    changed += [key for key, _ in change.rates] + [hold.id for hold in change.holds]
    changed += [*change.forgotten_accounts, *change.forgotten_holds]
    for key in changed:
        if key not in (*keys.accounts, *keys.rates, *keys.holds):
            raise ValueError("a step may only change rows whose keys it named")
    for key in changed:
        if changed.count(key) > 1:
            raise ValueError("a step may change a row only once")
    return rows.apply(keys, lambda _: change)


def ledger(numbers: Sequence[int | None]) -> PlainLedger:
    """A ledger with some of the rows there are."""
    plain = PlainLedger()
    plain.accounts = {
        key: Account(key, None, number)
        for key, number in zip(KEYS, numbers[:2], strict=True)
        if number is not None
    }
    plain.rates = {
        key: RateState(number)
        for key, number in zip(RATES, numbers[2:4], strict=True)
        if number is not None
    }
    plain.holds = {
        hold_id: open_hold(hold_id, number)
        for hold_id, number in zip(HOLDS, numbers[4:], strict=True)
        if number is not None
    }
    return plain


starts = st.lists(st.none() | st.integers(0, 3), min_size=6, max_size=6)


@given(numbers=starts, sequence=st.lists(plans(), max_size=6))
def test_folded_steps_are_the_steps_one_by_one(
    numbers: list[int | None], sequence: list[Plan]
) -> None:
    separate, together = ledger(numbers), ledger(numbers)
    expected = one_by_one(separate, sequence)
    transactions = [(plan.keys, plan.step) for plan in sequence]
    outcomes = together.apply(union(transactions), fold(transactions))
    answers = [
        outcome.result if isinstance(outcome, Done) else type(outcome.error) for outcome in outcomes
    ]
    assert answers == expected
    assert (together.accounts, together.rates, together.holds) == (
        separate.accounts,
        separate.rates,
        separate.holds,
    )


@given(numbers=starts, sequence=st.lists(plans(), max_size=6))
def test_a_fold_changes_each_row_once_and_none_that_no_step_changed(
    numbers: list[int | None], sequence: list[Plan]
) -> None:
    transactions = [(plan.keys, plan.step) for plan in sequence]
    keys = union(transactions)
    change = fold(transactions)(ledger(numbers).rows(keys))
    changed: list[object] = [account.key for account in change.accounts]
    changed += [key for key, _ in change.rates] + [hold.id for hold in change.holds]
    changed += [*change.forgotten_accounts, *change.forgotten_holds]
    assert len(set(changed)) == len(changed)
    assert set(changed) <= {*keys.accounts, *keys.rates, *keys.holds}
    if all(isinstance(outcome, Raised) for outcome in change.result):
        assert changed == []


@given(sequence=st.lists(plans(), max_size=6))
def test_the_keys_of_all_are_named_once_each(sequence: list[Plan]) -> None:
    keys = union([(plan.keys, plan.step) for plan in sequence])
    named = [*keys.accounts, *keys.rates, *keys.holds]
    assert len(set(named)) == len(named)
    assert set(named) == {
        key
        for plan in sequence
        for key in (*plan.keys.accounts, *plan.keys.rates, *plan.keys.holds)
    }
