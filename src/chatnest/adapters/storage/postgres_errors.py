"""What goes wrong with PostgreSQL, in ChatNest's words: who has to do something, and what."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import asyncpg

from chatnest.domain.errors import ChatNestError, ConfigurationError, StoreUnavailableError

# By SQLSTATE, or by its class: https://www.postgresql.org/docs/current/errcodes-appendix.html
_MISCONFIGURED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "28P01": "PostgreSQL does not accept this user and password. Check both in the store's URL",
        "28": "PostgreSQL does not let this user in. Check the store's URL, and pg_hba.conf",
        "3D000": "there is no such database. Create it, or change the name in the store's URL",
        "42501": (
            "this PostgreSQL user may not use the ledger's schema or tables. Grant it USAGE on the "
            "schema, SELECT, INSERT, UPDATE and DELETE on its tables, and EXECUTE on its functions"
        ),
    }
)
_CHANGED: Final = "the ledger's tables in PostgreSQL are not as this version left them"
_UNAVAILABLE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "25006": "this PostgreSQL server takes no writes: it is a standby, or set to read-only",
        "53100": "the disk of the PostgreSQL server is full",
        "53200": "the PostgreSQL server is out of memory",
        "53300": "the PostgreSQL server takes no more connections",
        "55P03": "other writers keep the ledger's rows locked",
        "57014": "PostgreSQL did not finish in time",
        "57P03": "the PostgreSQL server is starting up or shutting down",
        "57": "the PostgreSQL server is shutting down, or has ended this connection",
        "58": "the PostgreSQL server has trouble with its files",
        "40": "other writers were in the way",
        "3F000": _CHANGED,
        "42": _CHANGED,
        "0A000": _CHANGED,
        "XX000": _CHANGED,
    }
)
DRIVER_ERRORS: Final = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)
# What connections know of the server is no longer so: it is another one, or its tables are. A plan
# of a function that was dropped ends in an internal error.
STALE: Final = frozenset({"25006", "42P01", "42883", "42704", "3F000", "0A000", "XX000"})


def state_of(error: BaseException) -> str:
    """The SQLSTATE that the server gave to *error*; empty where it is none of the server's."""
    known = isinstance(error, asyncpg.PostgresError)
    return str(getattr(error, "sqlstate", None) or "") if known else ""


def translated(error: Exception, where: str) -> Exception:
    """*error* for the core; *where* is the server's address, without credentials.

    What the server said is not passed on: it may repeat what it was sent. A value that it cannot
    keep is a ``ValueError``, and nothing was written.
    """
    state = state_of(error)
    for known in (state, state[:2]):
        if known in _MISCONFIGURED:
            return ConfigurationError(f"store: {_MISCONFIGURED[known]}.")
        if known in _UNAVAILABLE:
            return StoreUnavailableError(_UNAVAILABLE[known])
    if state[:2] == "22" or isinstance(error, asyncpg.DataError):
        return ValueError("PostgreSQL cannot keep a value of this change")
    return _without_state(error, where)


def _without_state(error: Exception, where: str) -> ChatNestError:
    if isinstance(error, asyncpg.TargetServerAttributeNotMatched):
        return StoreUnavailableError(_UNAVAILABLE["25006"])
    if isinstance(error, asyncpg.exceptions.ClientConfigurationError):
        return ConfigurationError("store: the options of the PostgreSQL URL cannot be used.")
    if isinstance(error, TimeoutError):
        return StoreUnavailableError(f"PostgreSQL at {where} did not answer in time")
    return StoreUnavailableError(
        f"PostgreSQL at {where} cannot be reached, or the connection was lost"
    )
