"""Folding steps, example by example; and what a step may change."""

from dataclasses import replace

import pytest

from chatnest.domain.budget import Account, AccountKey, Unit
from chatnest.domain.folding import Done, Raised, fold, union
from chatnest.domain.ledger import Change, Keys, RateKey, Rows, checked
from chatnest.domain.rate_limit import RateState
from chatnest.domain.windows import Period
from chatnest.testing.ledger_cases import forgetting, open_hold, writing

KEY = AccountKey("ann", Unit.TOKENS, Period.TOTAL, 0)
RATE = RateKey("ann", "requests")
KEYS = Keys((KEY,), (RATE,), ("h",))
EMPTY = Rows({}, {}, {})
BOTH = Rows({KEY: Account(KEY, 1)}, {}, {"h": open_hold("h", 1)})


def test_a_step_sees_what_the_one_before_it_wrote_and_forgot() -> None:
    steps = [
        writing([Account(KEY, 1)], (), [open_hold("h", 1)]),
        (KEYS, lambda rows: Change(rows)),
        forgetting((KEY,), ("h",)),
        (KEYS, lambda rows: Change(rows)),
    ]
    change = fold(steps)(EMPTY)
    assert change.result == (Done(None), Done(BOTH), Done(None), Done(EMPTY))


def test_a_step_sees_only_the_rows_that_it_named() -> None:
    steps = [writing([Account(KEY, 1)]), (Keys(), lambda rows: Change(rows))]
    assert fold(steps)(BOTH).result[1] == Done(EMPTY)


def test_a_stored_row_that_is_forgotten_is_a_change() -> None:
    change = fold([forgetting((KEY,), ("h",))])(BOTH)
    assert (change.forgotten_accounts, change.forgotten_holds) == ((KEY,), ("h",))


def test_a_row_that_was_made_and_forgotten_is_no_change() -> None:
    steps = [writing([Account(KEY, 1)], (), [open_hold("h", 1)]), forgetting((KEY,), ("h",))]
    change = fold(steps)(EMPTY)
    assert replace(change, result=()) == Change(())


def test_a_row_that_was_forgotten_and_made_again_is_written() -> None:
    steps = [forgetting((KEY,), ("h",)), writing([Account(KEY, 2)], (), [open_hold("h", 2)])]
    change = fold(steps)(BOTH)
    assert (change.accounts, change.holds) == ((Account(KEY, 2),), (open_hold("h", 2),))
    assert (change.forgotten_accounts, change.forgotten_holds) == ((), ())


def test_a_row_that_was_written_and_then_forgotten_is_forgotten() -> None:
    steps = [writing([Account(KEY, 2)], (), [open_hold("h", 2)]), forgetting((KEY,), ("h",))]
    change = fold(steps)(BOTH)
    assert (change.accounts, change.holds) == ((), ())
    assert (change.forgotten_accounts, change.forgotten_holds) == ((KEY,), ("h",))


def test_a_step_that_fails_changes_nothing_and_the_next_one_runs() -> None:
    error = LookupError("the step's own")

    def fail(rows: Rows) -> Change[None]:
        raise error

    steps = [(KEYS, fail), writing([Account(KEY, 2)])]
    change = fold(steps)(BOTH)
    assert change.result == (Raised(error), Done(None))
    assert change.accounts == (Account(KEY, 2),)


def test_a_step_that_breaks_the_rules_fails_as_a_whole() -> None:
    change: Change[None] = Change(None, (Account(KEY, 2),), (), (open_hold("stray", 2),))
    folded = fold([(KEYS, lambda rows: change)])(BOTH)
    (outcome,) = folded.result
    assert isinstance(outcome, Raised)
    assert isinstance(outcome.error, ValueError)
    assert folded.accounts == ()


def test_no_steps_are_no_change() -> None:
    assert fold([])(BOTH) == Change(())
    assert union([]) == Keys()


ALLOWED = [
    Change(None),
    Change(None, (Account(KEY, 1),), ((RATE, RateState(1)),), (open_hold("h", 1),)),
    Change(None, forgotten_accounts=(KEY,), forgotten_holds=("h",)),
]


@pytest.mark.parametrize("change", ALLOWED)
def test_a_change_of_named_rows_is_passed_on_as_it_is(change: Change[None]) -> None:
    assert checked(KEYS, change) is change


OTHER = replace(KEY, scope="bob")
STRAY = [
    Change(None, accounts=(Account(OTHER, 1),)),
    Change(None, rates=((RateKey("bob", "requests"), RateState(1)),)),
    Change(None, holds=(open_hold("other", 1),)),
    Change(None, forgotten_accounts=(OTHER,)),
    Change(None, forgotten_holds=("other",)),
]


@pytest.mark.parametrize("change", STRAY)
def test_a_row_that_was_not_named_is_refused(change: Change[None]) -> None:
    with pytest.raises(ValueError, match="named"):
        checked(KEYS, change)


def test_a_key_of_another_kind_names_nothing() -> None:
    with pytest.raises(ValueError, match="named"):
        checked(Keys(rates=(RATE,), holds=("ann",)), Change(None, holds=(open_hold("h", 1),)))
