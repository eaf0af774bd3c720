"""How rows are kept in Redis: the names of their keys, and what is under them.

Every key of a ledger begins with its name in braces, which puts all of them on one node of a
cluster. Rows are strings, to be read with ``redis-cli``::

    {chatnest}:account:day:1767225600000000:tokens:ann    <version> {"key":…,"settled":7,…}
    {chatnest}:rate:ann:requests                          <version> {"mark":…,"count":0}
    {chatnest}:hold:<id>                     <version> <state> <instant> {"id":…,"lines":[…],…}

The instant of a hold is when it is due, or was closed, in 20 digits so that text sorts as numbers
do; ``-`` where it was closed nobody knows when. Beside the rows there are:

    {chatnest}:due        sorted set of the open holds, as <instant>:<id>
    {chatnest}:closed     sorted set of the closed holds, as <instant>:<id>
    {chatnest}:changes    sorted set of all accounts and holds by the number of their last change
    {chatnest}:sequence   the number of the last change
    {chatnest}:rewritten  how often history was changed: closed holds, or accounts, forgotten
    {chatnest}:schema     the version of all this
    {chatnest}:turn       who has the ledger to itself, for a moment
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

import msgspec

from chatnest.adapters.storage.compare_and_set import Key, Row, Versioned
from chatnest.adapters.storage.hold_json import decode_hold, encode_hold
from chatnest.domain.budget import Account, AccountKey, Hold, HoldState
from chatnest.domain.errors import StoreUnavailableError
from chatnest.domain.ledger import Change, RateKey
from chatnest.domain.rate_limit import RateState

T = TypeVar("T")

# A rate state has no expiry that a store knows of. A month, the longest that a quota is expected to
# look back, has 31 days and perhaps a clock change.
RATES_KEPT_MS: Final = 32 * 24 * 3_600 * 1_000

_encoder: Final = msgspec.json.Encoder()
_account_decoder: Final = msgspec.json.Decoder(Account)
_rate_decoder: Final = msgspec.json.Decoder(RateState)


def name_of(key: Key) -> str:
    """The key of a row without the ledger's prefix; different for different *key*."""
    match key:
        case AccountKey():
            # The scope comes last: it may have any signs in it, and the others have no colon.
            return f"account:{key.period}:{key.start}:{key.unit}:{key.scope}"
        case RateKey():
            scope = key.scope.replace("%", "%25").replace(":", "%3A")
            return f"rate:{scope}:{key.name}"
        case str():
            return f"hold:{key}"


def instant(us: int) -> str:
    """*us*, which is not negative, so that texts are in the order of the numbers."""
    return f"{us:020d}"


def commit_arguments(
    named: Sequence[Key], versions: Mapping[Key, str], change: Change[Any], version: str
) -> list[str | bytes | int]:
    """The last arguments of the commit script: what each row must be, and what it becomes."""
    written = _written(change, version)
    values = [written.get(key, b"") for key in named]
    writes = len(values) - values.count(b"")
    return [len(version), writes, *[versions.get(key, "") for key in named], *values]


def read_rows(named: Sequence[Key], values: Sequence[bytes | None]) -> dict[Key, Versioned]:
    """The rows that there are, of those that were *named*.

    Raises:
        StoreUnavailableError: a row cannot be read.
    """
    return {
        key: _versioned(key, value)
        for key, value in zip(named, values, strict=True)
        if value is not None
    }


def read_hold(value: bytes) -> Hold:
    """The hold in *value*.

    Raises:
        StoreUnavailableError: it cannot be read.
    """
    return _decoded(decode_hold, value, 3)


def read_account(value: bytes) -> Account:
    """The account in *value*.

    Raises:
        StoreUnavailableError: it cannot be read.
    """
    return _decoded(_account_decoder.decode, value, 1)


def _written(change: Change[Any], version: str) -> dict[Key, bytes]:
    """The value of each row that is written; a dash for one that is deleted."""
    encode, front = _encoder.encode, f"{version} ".encode()
    written: dict[Key, bytes] = {}
    for account in change.accounts:
        written[account.key] = front + encode(account)
    for key, state in change.rates:
        written[key] = front + encode(state)
    for hold in change.holds:
        written[hold.id] = b"%b%b %b" % (front, _place(hold), encode_hold(hold))
    forgotten: tuple[Key, ...] = (*change.forgotten_accounts, *change.forgotten_holds)
    for gone in forgotten:
        written[gone] = b"-"
    return written


def _place(hold: Hold) -> bytes:
    at = hold.expires_at if hold.state is HoldState.HELD else hold.closed_at
    return f"{hold.state} {'-' if at is None else instant(at)}".encode()


def _versioned(key: Key, value: bytes) -> Versioned:
    version = value[: value.find(b" ")].decode()
    return Versioned(_row(key, value), version)


def _row(key: Key, value: bytes) -> Row:
    match key:
        case AccountKey():
            return read_account(value)
        case RateKey():
            return _decoded(_rate_decoder.decode, value, 1)
        case str():
            return read_hold(value)


def _decoded(decode: Callable[[bytes], T], value: bytes, words: int) -> T:
    """The JSON in *value* after its first *words*."""
    try:
        return decode(value.split(b" ", words)[words])
    except (IndexError, msgspec.MsgspecError) as error:
        raise StoreUnavailableError("a row of the ledger in Redis cannot be read") from error
