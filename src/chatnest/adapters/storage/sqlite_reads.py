"""What is read from a ledger in SQLite beside the rows of steps: due holds, old ones, and all."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import apsw
import msgspec

from chatnest.adapters.storage.sqlite_statements import HOLD_JSON
from chatnest.domain.budget import Account, Hold
from chatnest.domain.ledger import LedgerPage

# Read in about five milliseconds, and decoded in one: nobody notices a page.
_PAGE: Final = 500

_ACCOUNT_JSON: Final = """json_object(
    'key', json_object('scope', scope, 'unit', unit, 'period', period, 'start', start_us),
    'limit', "limit", 'settled', settled, 'held', held, 'carried', carried)"""

_DUE: Final = f"""
SELECT json_group_array({HOLD_JSON}) FROM (
    SELECT * FROM holds WHERE expires_at_us <= ? ORDER BY expires_at_us LIMIT ?)
"""

_CLOSED: Final = f"""
SELECT json_group_array({HOLD_JSON}) FROM (
    SELECT * FROM journal WHERE closed_at_us < ? ORDER BY closed_at_us LIMIT ?)
"""

_ACCOUNT_PAGE: Final = f"""
SELECT json_group_array({_ACCOUNT_JSON}) FROM (
    SELECT * FROM accounts WHERE (scope, unit, period, start_us) > (?, ?, ?, ?)
    ORDER BY scope, unit, period, start_us LIMIT {_PAGE})
"""

_HOLD_PAGE: Final = f"""
SELECT json_group_array(json_array(number, {HOLD_JSON})) FROM (
    SELECT * FROM holds WHERE number > ? ORDER BY number LIMIT {_PAGE})
"""

_JOURNAL_PAGE: Final = f"""
SELECT json_group_array(json_array(number, {HOLD_JSON})) FROM (
    SELECT * FROM journal WHERE (created_at_us, number) > (?, ?)
    ORDER BY created_at_us, number LIMIT {_PAGE})
"""

_accounts_decoder: Final = msgspec.json.Decoder(list[Account])
_holds_decoder: Final = msgspec.json.Decoder(list[Hold])
_numbered_decoder: Final = msgspec.json.Decoder(list[tuple[int, Hold]])


def due_holds(database: apsw.Connection, now: int, most: int) -> Sequence[Hold]:
    """See :meth:`chatnest.domain.ports.LedgerReads.due_holds`."""
    return _holds_decoder.decode(_json(database, _DUE, now, most))


def closed_holds(database: apsw.Connection, before: int, most: int) -> Sequence[Hold]:
    """See :meth:`chatnest.domain.ports.LedgerReads.closed_holds`."""
    return _holds_decoder.decode(_json(database, _CLOSED, before, most))


def pages(database: apsw.Connection, since: int) -> Iterator[LedgerPage]:
    """All rows, but closed holds made before *since*; *database* is in one read transaction.

    Each page starts after the last row of the one before: nothing is open between two of them
    but the transaction.
    """
    yield from _account_pages(database)
    yield from _hold_pages(database)
    yield from _journal_pages(database, since)


def _account_pages(database: apsw.Connection) -> Iterator[LedgerPage]:
    last: tuple[Any, ...] = ("", "", "", -1)
    while accounts := _accounts_decoder.decode(_json(database, _ACCOUNT_PAGE, *last)):
        yield LedgerPage(accounts=accounts)
        key = accounts[-1].key
        last = key.scope, key.unit.value, key.period.value, key.start


def _hold_pages(database: apsw.Connection) -> Iterator[LedgerPage]:
    last = 0
    while holds := _numbered_decoder.decode(_json(database, _HOLD_PAGE, last)):
        yield LedgerPage(holds=[hold for _, hold in holds])
        last, _ = holds[-1]


def _journal_pages(database: apsw.Connection, since: int) -> Iterator[LedgerPage]:
    # Numbers begin with one: the first page begins with the instant itself.
    last = since, 0
    while holds := _numbered_decoder.decode(_json(database, _JOURNAL_PAGE, *last)):
        yield LedgerPage(holds=[hold for _, hold in holds])
        number, hold = holds[-1]
        last = hold.created_at, number


def _json(database: apsw.Connection, statement: str, *values: Any) -> Any:
    return database.execute(statement, values).get
