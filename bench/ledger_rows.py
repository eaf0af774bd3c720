"""Rows by the million in a ledger: as SQL, since no load makes so many."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import apsw

_COPIES = (
    "WITH RECURSIVE copies (copy) AS"
    " (SELECT 1 UNION ALL SELECT copy + 1 FROM copies WHERE copy < ?)"
)


def fill_journal(file: Path, size: int) -> None:
    """Add *size* copies of a call to the journal of the SQLite ledger *file*, which has one."""
    with closing(apsw.Connection(str(file))) as database:
        found = database.execute("SELECT name FROM pragma_table_info('journal')")
        columns = [name for (name,) in found if name != "number"]
        database.execute(
            f"{_COPIES} INSERT INTO journal ({', '.join(columns)})"
            f" SELECT {copied(columns, 'lower(hex(randomblob(16)))')}"
            " FROM copies CROSS JOIN (SELECT * FROM journal LIMIT 1)",
            (size,),
        )
        database.pragma("wal_checkpoint(TRUNCATE)")


def fill_accounts(file: Path, size: int) -> None:
    """Add the accounts of *size* more callers, like those of one, to the SQLite ledger *file*."""
    with closing(apsw.Connection(str(file))) as database:
        database.execute(
            f"{_COPIES} INSERT INTO accounts"
            " SELECT scope || '-' || copy, unit, period, start_us, \"limit\", 0, 0, 0"
            " FROM copies CROSS JOIN (SELECT * FROM accounts WHERE scope <> 'global' LIMIT 1)",
            (size,),
        )
        database.pragma("wal_checkpoint(TRUNCATE)")


def copied(columns: Sequence[str], new_id: str) -> str:
    """What a copy has in *columns*: an id of its own, and each a second older than the last."""
    changed = {
        "id": new_id,
        "created_at_us": "created_at_us - copy * 1000000",
        "closed_at_us": "closed_at_us - copy * 1000000",
    }
    return ", ".join(changed.get(column, column) for column in columns)
