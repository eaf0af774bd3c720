"""What a ledger in PostgreSQL is asked, as SQL with the name of its schema in it."""

from dataclasses import dataclass
from typing import Final

from chatnest.adapters.storage.postgres_schema import turn_key

# Whoever reads a snapshot may be slow; a minute between two pages is no sign of life any more.
_BEGIN_SNAPSHOT: Final = """
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SET LOCAL idle_in_transaction_session_timeout = '60s'
"""
_NOW: Final = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"


@dataclass(frozen=True, slots=True)
class Statements:
    """The statements for one ledger; each that reads rows returns them as JSON, one in a row."""

    commit_rows: str
    current_rows: str
    due: str
    old: str
    accounts: str
    open_holds: str
    entries: str
    begin_turn: str
    begin_snapshot: str = _BEGIN_SNAPSHOT
    now: str = _NOW


def statements(ledger: str) -> Statements:
    """The statements for *ledger*, which is the name of a schema."""
    schema = f'"{ledger}"'
    hold = f"SELECT {schema}.hold_json(holds) FROM {schema}.holds"
    entry = f"SELECT {schema}.hold_json({schema}.as_hold(journal)) FROM {schema}.journal"
    return Statements(
        commit_rows=f"SELECT {schema}.commit_rows({_numbered(12)})",
        current_rows=f"SELECT {schema}.current_rows({_numbered(3)})",
        due=f"{hold} WHERE expires_at_us <= $1 ORDER BY expires_at_us LIMIT $2",
        old=f"{entry} WHERE closed_at_us < $1 ORDER BY closed_at_us LIMIT $2",
        accounts=f"SELECT {schema}.account_json(accounts) FROM {schema}.accounts",
        open_holds=hold,
        entries=f"{entry} WHERE created_at_us >= $1 ORDER BY created_at_us",
        begin_turn=f"BEGIN; SELECT pg_advisory_xact_lock({turn_key(ledger)})",
    )


def _numbered(count: int) -> str:
    return ", ".join(f"${number}" for number in range(1, count + 1))
