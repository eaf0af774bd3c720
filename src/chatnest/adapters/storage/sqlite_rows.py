"""Rows to and from SQLite: those that a step names, and those that it changed."""

from collections.abc import Callable, Mapping, Sequence
from itertools import chain, zip_longest
from typing import Any, Final

import apsw
import msgspec

from chatnest.adapters.storage import sqlite_statements as statements
from chatnest.adapters.storage.hold_json import encode_lines
from chatnest.domain.budget import Account, AccountKey, Hold, HoldState
from chatnest.domain.ledger import Change, Keys, RateKey, Rows
from chatnest.domain.rate_limit import RateState

_Row = tuple[Any, ...]

_NO_USAGE: Final = (None, None, None, None, None)

_accounts_decoder: Final = msgspec.json.Decoder(list[tuple[int, int | None, int, int, int]])
_rates_decoder: Final = msgspec.json.Decoder(list[tuple[int, int, int]])
_holds_decoder: Final = msgspec.json.Decoder(list[Hold])


def load(database: apsw.Connection, keys: Keys) -> Rows:
    """The rows at *keys* that there are."""
    accounts: dict[AccountKey, Account] = {}
    rates: dict[RateKey, RateState] = {}
    holds: dict[str, Hold] = {}
    some = statements.some
    kinds = some(keys.accounts), some(keys.rates), some(keys.holds)
    for account_keys, rate_keys, ids in zip_longest(*kinds, fillvalue=()):
        found = _found(database, account_keys, rate_keys, ids)
        # Under the caller's own keys: those are found again without being compared.
        for place, limit, settled, held, carried in _accounts_decoder.decode(found[0]):
            key = account_keys[place]
            accounts[key] = Account(key, limit, settled, held, carried)
        for place, mark, count in _rates_decoder.decode(found[1]):
            rates[rate_keys[place]] = RateState(mark, count)
        holds.update({hold.id: hold for hold in _holds_decoder.decode(found[2])})
    return Rows(accounts, rates, holds)


def write(database: apsw.Connection, stored: Mapping[str, Hold], change: Change[Any]) -> None:
    """Write *change*, which was made from the holds in *stored*.

    A hold lies in one table while it is open and in another afterwards; one that changes sides
    is taken away where it was.
    """
    opened, closed = _leaving(stored, change)
    _put(database, statements.holds_dropped, [(hold_id,) for hold_id in opened])
    _put(database, statements.entries_dropped, [(hold_id,) for hold_id in closed])
    _put(database, statements.accounts_put, [_account_row(each) for each in change.accounts])
    _put(database, statements.rates_put, [_rate_row(*each) for each in change.rates])
    holds = [_call_row(hold) for hold in change.holds if _is_open(hold)]
    _put(database, statements.holds_put, holds)
    entries = [_call_row(hold) for hold in change.holds if not _is_open(hold)]
    _put(database, statements.entries_put, entries)
    forgotten = [_key_row(key) for key in change.forgotten_accounts]
    _put(database, statements.accounts_dropped, forgotten)


def _found(
    database: apsw.Connection,
    accounts: Sequence[AccountKey],
    rates: Sequence[RateKey],
    holds: Sequence[str],
) -> Any:
    """A JSON text for the rows of each kind."""
    places = [statements.places_for(len(named)) for named in (accounts, rates, holds)]
    values = [
        *_filled([_key_row(key) for key in accounts], 4 * places[0]),
        *_filled([(key.scope, key.name) for key in rates], 2 * places[1]),
        *_filled([(hold_id,) for hold_id in holds], places[2]),
    ]
    # The one row alone is waited for, not that there is no other.
    return next(database.execute(statements.rows_named(*places), values))


def _filled(rows: Sequence[_Row], size: int) -> list[Any]:
    values = list(chain.from_iterable(rows))
    return values + [None] * (size - len(values))


def _put(database: apsw.Connection, statement: Callable[[int], str], rows: Sequence[_Row]) -> None:
    for some in statements.some(rows):
        database.execute(statement(len(some)), tuple(chain.from_iterable(some)))


def _leaving(stored: Mapping[str, Hold], change: Change[Any]) -> tuple[list[str], list[str]]:
    """The open holds, and the closed ones, that are to be taken out of their table."""
    leaving = [stored[hold_id] for hold_id in change.forgotten_holds if hold_id in stored]
    for hold in change.holds:
        before = stored.get(hold.id)
        if before is not None and _is_open(before) != _is_open(hold):
            leaving.append(before)
    opened = [hold.id for hold in leaving if _is_open(hold)]
    closed = [hold.id for hold in leaving if not _is_open(hold)]
    return opened, closed


def _is_open(hold: Hold) -> bool:
    return hold.state is HoldState.HELD


def _key_row(key: AccountKey) -> _Row:
    # Members are strings: their values are the same, but take longer to get.
    return key.scope, key.unit, key.period, key.start


def _account_row(account: Account) -> _Row:
    key = account.key
    return (
        key.scope,
        key.unit,
        key.period,
        key.start,
        account.limit,
        account.settled,
        account.held,
        account.carried,
    )


def _rate_row(key: RateKey, state: RateState) -> _Row:
    return key.scope, key.name, state.mark, state.count


def _call_row(hold: Hold) -> _Row:
    return (
        hold.id,
        hold.request_id,
        hold.principal,
        hold.profile,
        hold.provider,
        hold.model,
        hold.state,
        hold.outcome,
        hold.created_at,
        hold.expires_at,
        hold.closed_at,
        hold.output_cap,
        *_usage_values(hold),
        hold.cost_nano_usd,
        hold.estimated,
        encode_lines(hold.lines),
    )


def _usage_values(hold: Hold) -> tuple[int | None, ...]:
    usage = hold.usage
    if usage is None:
        return _NO_USAGE
    return (
        usage.input_tokens,
        usage.output_tokens,
        usage.cached_input_tokens,
        usage.cache_write_tokens,
        usage.reasoning_tokens,
    )
