"""The tables of a ledger in SQLite, and how those of an older version come forward.

They are made to be read by people too: ``sqlite3 ledger.db 'SELECT * FROM calls'``. Instants are
integers, in microseconds since the Unix epoch; the views show them as text.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, TypeVar

import apsw

from chatnest.adapters.storage.schema import migrations_to_run
from chatnest.domain.errors import ConfigurationError

T = TypeVar("T")

# "Nest" in ASCII: how ``file`` and everybody else can tell a ledger from other SQLite files.
APPLICATION_ID: Final = 0x4E657374

# A call is one row with the same columns while it is open (holds) and afterwards (journal). Of
# usage either none is known or all, apart from what a provider does not tell, which is zero.
_CALL: Final = """
    id TEXT NOT NULL UNIQUE,
    request_id TEXT NOT NULL,
    principal TEXT NOT NULL,
    profile TEXT NOT NULL,
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    state TEXT NOT NULL,
    outcome TEXT,
    created_at_us INTEGER NOT NULL,
    expires_at_us INTEGER NOT NULL,
    closed_at_us INTEGER,
    output_cap_tokens INTEGER NOT NULL,
    input_tokens INTEGER,
    output_tokens INTEGER,
    cached_input_tokens INTEGER,
    cache_write_tokens INTEGER,
    reasoning_tokens INTEGER,
    cost_nano_usd INTEGER,
    estimated INTEGER NOT NULL,
    lines TEXT NOT NULL
"""

# A key of its own for every call: rows are appended, where an id at random would spread over all
# pages of a large table what now spreads over those of one index.
_HOLDS: Final = f"CREATE TABLE holds (number INTEGER PRIMARY KEY, {_CALL}) STRICT"
_JOURNAL: Final = f"CREATE TABLE journal (number INTEGER PRIMARY KEY, {_CALL}) STRICT"

_ACCOUNTS: Final = """
CREATE TABLE accounts (
    scope TEXT NOT NULL,
    unit TEXT NOT NULL,
    period TEXT NOT NULL,
    start_us INTEGER NOT NULL,
    "limit" INTEGER,
    settled INTEGER NOT NULL,
    held INTEGER NOT NULL,
    carried INTEGER NOT NULL,
    PRIMARY KEY (scope, unit, period, start_us)
) STRICT, WITHOUT ROWID
"""

_RATES: Final = """
CREATE TABLE rates (
    scope TEXT NOT NULL,
    name TEXT NOT NULL,
    mark_us INTEGER NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (scope, name)
) STRICT, WITHOUT ROWID
"""


def _as_text(column: str) -> str:
    """*column* in UTC, to the millisecond."""
    return f"strftime('%Y-%m-%d %H:%M:%f', {column} / 1000000.0, 'unixepoch')"


_SHOWN: Final = f"""
    {_as_text("created_at_us")} AS created_at, {_as_text("closed_at_us")} AS closed_at,
    principal, profile, provider, model, state, outcome, input_tokens, output_tokens,
    cost_nano_usd / 1e9 AS cost_usd, estimated, request_id, id
"""

_CALLS: Final = f"""
CREATE VIEW calls AS
SELECT {_SHOWN} FROM journal UNION ALL SELECT {_SHOWN} FROM holds
"""

_BALANCES: Final = f"""
CREATE VIEW balances AS
SELECT scope, unit, period, {_as_text("start_us")} AS "start", "limit", settled, held,
    max(0, "limit" - settled - held) AS remaining
FROM accounts
"""

Migrations = Mapping[int, Sequence[str]]

# What makes each version of the one before it; a version that was released never changes.
MIGRATIONS: Final[Migrations] = MappingProxyType(
    {
        1: (
            _ACCOUNTS,
            _RATES,
            _HOLDS,
            "CREATE INDEX holds_by_expiry ON holds (expires_at_us)",
            _JOURNAL,
            "CREATE INDEX journal_by_closing ON journal (closed_at_us)",
            "CREATE INDEX journal_by_creation ON journal (created_at_us)",
            _CALLS,
            _BALANCES,
        )
    }
)


def in_transaction(database: apsw.Connection, work: Callable[[], T]) -> T:
    """What *work* returns; no other connection writes meanwhile, and what it raises undoes it.

    In statements of its own: what ``with database`` sends keeps the interpreter locked, and then
    the thread that it waits for could not end its transaction.
    """
    database.execute("BEGIN IMMEDIATE")
    try:
        result = work()
        database.execute("COMMIT")
    except BaseException:
        # An error may have ended the transaction already.
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise
    return result


def bring_forward(database: apsw.Connection, migrations: Migrations = MIGRATIONS) -> None:
    """Make the tables, or bring those of an older version forward; all of it or nothing.

    Raises:
        ConfigurationError: the file is another application's, or a newer version's.
        apsw.Error: the file cannot be read or written.
    """
    if not _missing(database, migrations):
        return
    in_transaction(database, lambda: _run_missing(database, migrations))


def _run_missing(database: apsw.Connection, migrations: Migrations) -> None:
    # Another process may have done it while this one waited for its turn.
    for version in _missing(database, migrations):
        for statement in migrations[version]:
            database.execute(statement)
        database.execute(f"PRAGMA user_version = {version}")
    database.execute(f"PRAGMA application_id = {APPLICATION_ID}")


def _missing(database: apsw.Connection, migrations: Migrations) -> range:
    application, version, tables = database.execute(
        "SELECT application_id, user_version, (SELECT count(*) FROM sqlite_schema)"
        " FROM pragma_application_id, pragma_user_version"
    ).get
    if application != APPLICATION_ID and (application or version or tables):
        raise ConfigurationError(
            "store: the file is a SQLite database of another application. Name another file."
        )
    return migrations_to_run(version, max(migrations))
