"""Rows are made field by field where it is hot: none of a row's fields may get lost on the way."""

from dataclasses import MISSING, fields, replace

from chatnest.domain.budget import (
    Account,
    BudgetRule,
    Demand,
    Hold,
    HoldLine,
    HoldState,
    Reserve,
    Reserved,
    Unit,
    reserve,
)
from chatnest.domain.closing import Settlement, settle
from chatnest.domain.usage import FREE, TokenUsage
from chatnest.domain.windows import Period, Window

NOW = 1_767_225_600_000_000
RULE = BudgetRule("ann", Unit.TOKENS, Window(Period.DAY), 1_000)
ACCOUNT = Account(RULE.account_at(NOW), 1_000, settled=1, held=2, carried=3)
LINE = HoldLine(ACCOUNT.key, 15, charged=15)
USAGE = TokenUsage(5, 6)
HOLD = Hold(
    *("h", "r", "ann", "balanced", "openai", "gpt", (LINE,), 10, NOW, NOW + 9),
    state=HoldState.EXPIRED,
    closed_at=NOW + 10,
    usage=TokenUsage(1, 2),
    cost_nano_usd=7,
    estimated=True,
    outcome="lost",
)


def test_the_rows_of_these_tests_have_no_field_at_its_default() -> None:
    for row in (HOLD, ACCOUNT, LINE):
        for field in fields(row):
            assert field.default_factory is MISSING
            assert getattr(row, field.name) != field.default, field.name


def test_reserving_changes_lines_and_cap_of_a_hold_and_what_its_account_holds() -> None:
    command = Reserve(HOLD, Demand(5, 8, 2, None), (RULE,))
    outcome = reserve({ACCOUNT.key: ACCOUNT}, None, command, NOW)
    lines = (HoldLine(ACCOUNT.key, 13),)
    assert outcome == Reserved(
        replace(HOLD, lines=lines, output_cap=8), (replace(ACCOUNT, held=15),)
    )


def test_settling_changes_a_hold_s_ending_and_charges_and_its_account_s_sums() -> None:
    settlement = Settlement(USAGE, FREE, estimated=False, outcome="stop")
    closed = settle({ACCOUNT.key: ACCOUNT}, HOLD, settlement, NOW + 20)
    assert closed.hold == replace(
        HOLD,
        lines=(replace(LINE, charged=11),),
        state=HoldState.SETTLED,
        closed_at=NOW + 20,
        usage=USAGE,
        cost_nano_usd=0,
        estimated=False,
        outcome="stop",
    )
    assert closed.accounts == (replace(ACCOUNT, settled=1 - 15 + 11),)


def test_settling_an_open_hold_takes_it_off_its_account() -> None:
    opened = replace(HOLD, state=HoldState.HELD, lines=(HoldLine(ACCOUNT.key, 2),))
    settlement = Settlement(USAGE, FREE, estimated=False, outcome="stop")
    closed = settle({ACCOUNT.key: ACCOUNT}, opened, settlement, NOW)
    assert closed.accounts == (replace(ACCOUNT, held=0, settled=12),)
