"""How rows go to PostgreSQL and come back: JSON in both directions.

The arguments of the functions in ``postgres_commit_1.sql``, and what those return.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import asyncpg
import msgspec

from chatnest.adapters.storage.compare_and_set import Key, Versioned
from chatnest.domain.budget import Account, AccountKey, Hold, HoldState
from chatnest.domain.errors import StoreUnavailableError
from chatnest.domain.ledger import Change, Keys, RateKey
from chatnest.domain.rate_limit import RateState
from chatnest.domain.usage import TokenUsage

T = TypeVar("T")
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Current:
    """What ``current_rows`` returns."""

    accounts: list[tuple[Account, str]]
    rates: list[tuple[RateKey, RateState, str]]
    holds: list[tuple[Hold, str]]


_encoder: Final = msgspec.json.Encoder()
_current_decoder: Final = msgspec.json.Decoder(_Current)
_holds_decoder: Final = msgspec.json.Decoder(list[Hold])
_accounts_decoder: Final = msgspec.json.Decoder(list[Account])


def unique(keys: Keys) -> Keys:
    """*keys*, each once."""
    return Keys(_once(keys.accounts), _once(keys.rates), _once(keys.holds))


def is_empty(change: Change[Any]) -> bool:
    """Whether *change* writes and forgets nothing."""
    return not (
        change.accounts
        or change.rates
        or change.holds
        or change.forgotten_accounts
        or change.forgotten_holds
    )


def key_arguments(keys: Keys) -> tuple[str, str, list[str]]:
    """The arguments of ``current_rows``."""
    return (
        _json([_account_key(key) for key in keys.accounts]),
        _json([_rate_key(key) for key in keys.rates]),
        list(keys.holds),
    )


def commit_arguments(
    keys: Keys, versions: Mapping[Key, str], change: Change[Any], version: str
) -> tuple[Any, ...]:
    """The arguments of ``commit_rows``; *keys* has each key once."""
    accounts = _named_accounts(keys, versions, change)
    rates = _named_rates(keys, versions, change)
    forgets = any(row["action"] == "forget" for row in (*accounts, *rates))
    ids, expected = list(keys.holds), [versions.get(hold_id) for hold_id in keys.holds]
    rows = _hold_lists(keys, versions, change, version)
    return version, len(versions), _json(accounts), _json(rates), forgets, ids, expected, *rows


def read_current(data: str) -> dict[Key, Versioned]:
    """The rows that ``current_rows`` returned.

    Raises:
        StoreUnavailableError: they cannot be read.
    """
    current = _decoded(_current_decoder, data)
    found: dict[Key, Versioned] = {}
    for account, version in current.accounts:
        found[account.key] = Versioned(account, version)
    for key, state, version in current.rates:
        found[key] = Versioned(state, version)
    for hold, version in current.holds:
        found[hold.id] = Versioned(hold, version)
    return found


def read_holds(rows: Sequence[asyncpg.Record]) -> list[Hold]:
    """The holds in the only column of *rows*.

    Raises:
        StoreUnavailableError: one cannot be read.
    """
    return _decoded(_holds_decoder, _array(rows))


def read_accounts(rows: Sequence[asyncpg.Record]) -> list[Account]:
    """The accounts in the only column of *rows*.

    Raises:
        StoreUnavailableError: one cannot be read.
    """
    return _decoded(_accounts_decoder, _array(rows))


def _once(keys: Iterable[T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(keys))


def _json(rows: object) -> str:
    return _encoder.encode(rows).decode()


def _array(rows: Sequence[asyncpg.Record]) -> str:
    return f"[{','.join([row[0] for row in rows])}]"


def _decoded(decoder: msgspec.json.Decoder[T], data: str) -> T:
    try:
        return decoder.decode(data)
    except (msgspec.MsgspecError, ValueError) as error:
        raise StoreUnavailableError("a row of the ledger in PostgreSQL cannot be read") from error


def _action(is_written: bool, is_kept: bool) -> str:
    if is_written:
        return "write"
    return "keep" if is_kept else "forget"


def _account_key(key: AccountKey) -> Row:
    return {"scope": key.scope, "unit": key.unit, "period": key.period, "start_us": key.start}


def _named_accounts(keys: Keys, versions: Mapping[Key, str], change: Change[Any]) -> list[Row]:
    written = {account.key: account for account in change.accounts}
    forgotten = set(change.forgotten_accounts)
    return [
        _account_key(key)
        | _account_values(written.get(key) or Account(key, None))
        | {
            "expected": versions.get(key),
            "action": _action(key in written, key in versions and key not in forgotten),
        }
        for key in keys.accounts
    ]


def _account_values(account: Account) -> Row:
    return {
        "limit": account.limit,
        "settled": account.settled,
        "held": account.held,
        "carried": account.carried,
    }


def _rate_key(key: RateKey) -> Row:
    return {"scope": key.scope, "name": key.name}


def _named_rates(keys: Keys, versions: Mapping[Key, str], change: Change[Any]) -> list[Row]:
    written = dict(change.rates)
    return [
        _rate_key(key)
        | _rate_values(written.get(key) or RateState(0))
        | {"expected": versions.get(key), "action": _action(key in written, key in versions)}
        for key in keys.rates
    ]


def _rate_values(state: RateState) -> Row:
    return {"mark_us": state.mark, "count": state.count}


def _hold_lists(
    keys: Keys, versions: Mapping[Key, str], change: Change[Any], version: str
) -> tuple[Any, ...]:
    """The last arguments of ``commit_rows``: may_be_closed, claims, opened, closed, gone."""
    missing = [hold_id for hold_id in keys.holds if hold_id not in versions]
    written = {hold.id: _hold_row(hold, version) for hold in change.holds}
    open_ids = {hold.id for hold in change.holds if hold.state is HoldState.HELD}
    claims = [written.get(hold_id) or _no_call(hold_id, version) for hold_id in missing]
    passing = [hold_id for hold_id in missing if hold_id not in open_ids]
    stored = [hold_id for hold_id in written if hold_id in versions]
    opened = [written[hold_id] for hold_id in stored if hold_id in open_ids]
    closed = [row for hold_id, row in written.items() if hold_id not in open_ids]
    gone = dict.fromkeys((*passing, *stored, *change.forgotten_holds))
    return bool(passing), _some(claims), _some(opened), _some(closed), list(gone) or None


def _some(rows: Sequence[Row]) -> str | None:
    return _json(rows) if rows else None


def _no_call(hold_id: str, version: str) -> Row:
    """A row that holds the place of *hold_id* within a transaction, and is seen by nobody."""
    return _hold_row(Hold(hold_id, "", "", "", "", "", (), 0, 0, 0), version)


def _hold_row(hold: Hold, version: str) -> Row:
    return {
        "id": hold.id,
        "request_id": hold.request_id,
        "principal": hold.principal,
        "profile": hold.profile,
        "provider": hold.provider,
        "model": hold.model,
        "state": hold.state,
        "outcome": hold.outcome,
        "created_at_us": hold.created_at,
        "expires_at_us": hold.expires_at,
        "closed_at_us": hold.closed_at,
        "output_cap_tokens": hold.output_cap,
        "cost_nano_usd": hold.cost_nano_usd,
        "estimated": hold.estimated,
        "lines": hold.lines,
        "version": version,
    } | _usage_values(hold.usage)


def _usage_values(usage: TokenUsage | None) -> Row:
    if usage is None:
        return {}
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cached_input_tokens": usage.cached_input_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
    }
