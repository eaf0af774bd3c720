"""Statements that read or write many rows at once.

SQLite lets go of the interpreter for each row that it returns and for each statement that it
ends, and a busy event loop gives it back late. So one statement writes some rows of a kind, and
one reads some of every kind: as one row, with a JSON text for each kind.

Statements differ by their number of rows. There are few of them, each prepared once.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Final, TypeVar

T = TypeVar("T")

# More take as long for each row, and every number of rows is a statement that is kept.
_ROWS: Final = 16

_NONE: Final = "'[]'"

HOLD_JSON: Final = """json_object(
    'id', id, 'request_id', request_id, 'principal', principal, 'profile', profile,
    'provider', provider, 'model', model, 'lines', json(lines), 'output_cap', output_cap_tokens,
    'created_at', created_at_us, 'expires_at', expires_at_us, 'state', state,
    'closed_at', closed_at_us,
    'usage', iif(input_tokens IS NULL, NULL, json_object(
        'input_tokens', input_tokens, 'output_tokens', output_tokens,
        'cached_input_tokens', cached_input_tokens, 'cache_write_tokens', cache_write_tokens,
        'reasoning_tokens', reasoning_tokens)),
    'cost_nano_usd', cost_nano_usd, 'estimated', json(iif(estimated, 'true', 'false')),
    'outcome', outcome)"""

CALL_COLUMNS: Final = """
    id, request_id, principal, profile, provider, model, state, outcome, created_at_us,
    expires_at_us, closed_at_us, output_cap_tokens, input_tokens, output_tokens,
    cached_input_tokens, cache_write_tokens, reasoning_tokens, cost_nano_usd, estimated, lines
"""


def some(rows: Sequence[T]) -> Iterable[Sequence[T]]:
    """*rows* in parts that one statement takes."""
    if len(rows) <= _ROWS:
        return (rows,) if rows else ()
    return (rows[first : first + _ROWS] for first in range(0, len(rows), _ROWS))


def places_for(count: int) -> int:
    """How many places a question for *count* rows has: fewer numbers make fewer statements."""
    return 1 << (count - 1).bit_length() if count else 0


# CROSS JOIN: the few rows that are asked for come first, however small SQLite takes a table for.
@cache
def rows_named(accounts: int, rates: int, holds: int) -> str:
    """Reads what there is at so many keys of each kind; those that are NULL name nothing.

    An account, or a rate state, is told as the place of its key in the question and its numbers.
    """
    before = accounts * 4 + rates * 2
    ids = ", ".join([f"(?{before + place})" for place in range(1, holds + 1)])
    found_accounts = f"""(
        SELECT json_group_array(json_array(column1, "limit", settled, held, carried))
        FROM (VALUES {_placed(accounts, 4)}) CROSS JOIN accounts
        ON scope = column2 AND unit = column3 AND period = column4 AND start_us = column5)"""
    found_rates = f"""(
        SELECT json_group_array(json_array(column1, mark_us, count))
        FROM (VALUES {_placed(rates, 2)}) CROSS JOIN rates
        ON scope = column2 AND name = column3)"""
    found_holds = f"""(
        SELECT json_group_array({HOLD_JSON}) FROM (
            SELECT holds.* FROM (VALUES {ids}) CROSS JOIN holds ON id = column1
            UNION ALL
            SELECT journal.* FROM (VALUES {ids}) CROSS JOIN journal ON id = column1))"""
    return f"""
        SELECT {found_accounts if accounts else _NONE}, {found_rates if rates else _NONE},
            {found_holds if holds else _NONE}
    """


@cache
def accounts_put(count: int) -> str:
    """Writes *count* accounts."""
    return f"REPLACE INTO accounts VALUES {_values(count, 8)}"


@cache
def rates_put(count: int) -> str:
    """Writes *count* rate states."""
    return f"REPLACE INTO rates VALUES {_values(count, 4)}"


@cache
def holds_put(count: int) -> str:
    """Writes *count* open holds."""
    return f"REPLACE INTO holds ({CALL_COLUMNS}) VALUES {_values(count, 20)}"


@cache
def entries_put(count: int) -> str:
    """Writes *count* closed holds."""
    return f"REPLACE INTO journal ({CALL_COLUMNS}) VALUES {_values(count, 20)}"


@cache
def holds_dropped(count: int) -> str:
    """Takes *count* open holds away."""
    return f"DELETE FROM holds WHERE id IN ({_parameters(count)})"


@cache
def entries_dropped(count: int) -> str:
    """Takes *count* closed holds away."""
    return f"DELETE FROM journal WHERE id IN ({_parameters(count)})"


@cache
def accounts_dropped(count: int) -> str:
    """Takes the accounts at *count* keys away."""
    return f"""
        DELETE FROM accounts
        WHERE (scope, unit, period, start_us) IN (VALUES {_values(count, 4)})
    """


def _placed(count: int, width: int) -> str:
    """*count* rows of parameters, with the place of each before it."""
    return ", ".join([f"({place}, {_parameters(width)})" for place in range(count)])


def _values(count: int, width: int) -> str:
    return ", ".join([f"({_parameters(width)})"] * count)


def _parameters(count: int) -> str:
    return ", ".join("?" * count)
