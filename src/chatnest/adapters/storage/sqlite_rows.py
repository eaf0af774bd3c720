"""Rows to and from SQLite: those that a step names, and those that it changed.

Rows are read as one JSON text, which becomes objects without a line of Python for each of them;
and while SQLite makes that text, the event loop has the interpreter for itself.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import apsw
import msgspec

from chatnest.adapters.storage.hold_json import encode_lines
from chatnest.domain.budget import Account, AccountKey, Hold, HoldState
from chatnest.domain.ledger import Change, Keys, RateKey, Rows
from chatnest.domain.rate_limit import RateState

ACCOUNT_JSON: Final = """json_object(
    'key', json_object('scope', scope, 'unit', unit, 'period', period, 'start', start_us),
    'limit', "limit", 'settled', settled, 'held', held, 'carried', carried)"""

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

_RATE_JSON: Final = """json_array(
    json_object('scope', scope, 'name', name), json_object('mark', mark_us, 'count', count))"""

# CROSS JOIN: the few rows that are asked for come first, however small SQLite takes a table for.
_NAMED_ACCOUNTS: Final = f"""
SELECT json_group_array({ACCOUNT_JSON}) FROM (
    SELECT accounts.* FROM json_each(?) AS named CROSS JOIN accounts
    ON scope = named.value ->> 'scope' AND unit = named.value ->> 'unit'
    AND period = named.value ->> 'period' AND start_us = named.value ->> 'start')
"""

_NAMED_RATES: Final = f"""
SELECT json_group_array({_RATE_JSON}) FROM (
    SELECT rates.* FROM json_each(?) AS named CROSS JOIN rates
    ON scope = named.value ->> 'scope' AND name = named.value ->> 'name')
"""

_NAMED_HOLDS: Final = f"""
SELECT json_group_array({HOLD_JSON}) FROM (
    SELECT holds.* FROM json_each(?1) AS named CROSS JOIN holds ON holds.id = named.value
    UNION ALL
    SELECT journal.* FROM json_each(?1) AS named CROSS JOIN journal ON journal.id = named.value)
"""

_CALL_COLUMNS: Final = """
    id, request_id, principal, profile, provider, model, state, outcome, created_at_us,
    expires_at_us, closed_at_us, output_cap_tokens, input_tokens, output_tokens,
    cached_input_tokens, cache_write_tokens, reasoning_tokens, cost_nano_usd, estimated, lines
"""
_CALL_VALUES: Final = ", ".join("?" * 20)
_PUT_HOLD: Final = f"REPLACE INTO holds ({_CALL_COLUMNS}) VALUES ({_CALL_VALUES})"
_PUT_ENTRY: Final = f"REPLACE INTO journal ({_CALL_COLUMNS}) VALUES ({_CALL_VALUES})"
_PUT_ACCOUNT: Final = "REPLACE INTO accounts VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_PUT_RATE: Final = "REPLACE INTO rates VALUES (?, ?, ?, ?)"

_DROP_ACCOUNT: Final = (
    "DELETE FROM accounts WHERE scope = ? AND unit = ? AND period = ? AND start_us = ?"
)
_DROP_HOLDS: Final = "DELETE FROM holds WHERE id IN (SELECT value FROM json_each(?))"
_DROP_ENTRIES: Final = "DELETE FROM journal WHERE id IN (SELECT value FROM json_each(?))"

_NO_USAGE: Final = (None, None, None, None, None)

_encoder: Final = msgspec.json.Encoder()
_accounts_decoder: Final = msgspec.json.Decoder(list[Account])
_rates_decoder: Final = msgspec.json.Decoder(list[tuple[RateKey, RateState]])
_holds_decoder: Final = msgspec.json.Decoder(list[Hold])


def load(database: apsw.Connection, keys: Keys) -> Rows:
    """The rows at *keys* that there are."""
    accounts = _named(database, _NAMED_ACCOUNTS, keys.accounts)
    rates = _named(database, _NAMED_RATES, keys.rates)
    holds = _named(database, _NAMED_HOLDS, keys.holds)
    return Rows(
        {account.key: account for account in _accounts_decoder.decode(accounts)},
        dict(_rates_decoder.decode(rates)),
        {hold.id: hold for hold in _holds_decoder.decode(holds)},
    )


def write(database: apsw.Connection, stored: Mapping[str, Hold], change: Change[Any]) -> None:
    """Write *change*, which was made from the holds in *stored*.

    A hold lies in one table while it is open and in another afterwards; one that changes sides
    is taken away where it was.
    """
    _drop(database, _leaving(stored, change), stored)
    _put(database, _PUT_ACCOUNT, map(_account_row, change.accounts))
    _put(database, _PUT_RATE, (_rate_row(key, state) for key, state in change.rates))
    _put(database, _PUT_HOLD, (_call_row(hold) for hold in change.holds if _is_open(hold)))
    _put(database, _PUT_ENTRY, (_call_row(hold) for hold in change.holds if not _is_open(hold)))
    _put(database, _DROP_ACCOUNT, map(_key_row, change.forgotten_accounts))


def _named(database: apsw.Connection, statement: str, keys: Sequence[object]) -> Any:
    if not keys:
        return b"[]"
    return database.execute(statement, (_encoder.encode(keys).decode(),)).get


def _leaving(stored: Mapping[str, Hold], change: Change[Any]) -> list[str]:
    """The holds that are to be taken out of the table that they are in."""
    moved = [
        hold.id
        for hold in change.holds
        if hold.id in stored and _is_open(stored[hold.id]) != _is_open(hold)
    ]
    return [*moved, *(hold_id for hold_id in change.forgotten_holds if hold_id in stored)]


def _drop(database: apsw.Connection, leaving: Iterable[str], stored: Mapping[str, Hold]) -> None:
    opened: list[str] = []
    closed: list[str] = []
    for hold_id in leaving:
        (opened if _is_open(stored[hold_id]) else closed).append(hold_id)
    if opened:
        database.execute(_DROP_HOLDS, (_encoder.encode(opened).decode(),))
    if closed:
        database.execute(_DROP_ENTRIES, (_encoder.encode(closed).decode(),))


def _put(database: apsw.Connection, statement: str, rows: Iterable[tuple[Any, ...]]) -> None:
    database.executemany(statement, rows)


def _is_open(hold: Hold) -> bool:
    return hold.state is HoldState.HELD


def _key_row(key: AccountKey) -> tuple[Any, ...]:
    return key.scope, key.unit.value, key.period.value, key.start


def _account_row(account: Account) -> tuple[Any, ...]:
    key = account.key
    return (
        key.scope,
        key.unit.value,
        key.period.value,
        key.start,
        account.limit,
        account.settled,
        account.held,
        account.carried,
    )


def _rate_row(key: RateKey, state: RateState) -> tuple[Any, ...]:
    return key.scope, key.name, state.mark, state.count


def _call_row(hold: Hold) -> tuple[Any, ...]:
    return (
        hold.id,
        hold.request_id,
        hold.principal,
        hold.profile,
        hold.provider,
        hold.model,
        hold.state.value,
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
