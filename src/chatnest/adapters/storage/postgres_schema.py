"""The tables of a ledger in PostgreSQL, and how those of an older version come forward.

They are made to be read by people too: ``SELECT * FROM chatnest.calls``. The statements are in the
SQL files beside this module.
"""

from collections.abc import Mapping, Sequence
from importlib.resources import files
from types import MappingProxyType
from typing import Final

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from chatnest.adapters.storage.schema import migrations_to_run
from chatnest.domain.errors import ConfigurationError

Connection = asyncpg.Connection | PoolConnectionProxy
Migrations = Mapping[int, Sequence[str]]

# What makes each version of the one before it; a version that was released never changes.
MIGRATIONS: Final[Migrations] = MappingProxyType(
    {1: ("postgres_schema_1.sql", "postgres_commit_1.sql")}
)

# "Nest" in ASCII, so as not to be in the way of other users of advisory locks.
_LOCKS: Final = 0x4E657374

# Of the catalogue itself: to_regclass may remember that a table was missing before the lock.
_HAS_SCHEMA: Final = "SELECT count(*) FROM pg_catalog.pg_namespace WHERE nspname = $1"
_HAS_VERSION: Final = """
SELECT count(*) FROM pg_catalog.pg_tables WHERE schemaname = $1 AND tablename = 'schema_version'
"""


def turn_key(ledger: str) -> str:
    """The advisory lock of the ledger's turns, as arguments of a function in SQL."""
    return f"{_LOCKS}, '\"{ledger}\".accounts'::regclass::oid::integer"


async def bring_forward(
    connection: Connection, ledger: str, migrations: Migrations = MIGRATIONS
) -> None:
    """Make the tables, or bring those of an older version forward; all of it or nothing.

    Raises:
        ConfigurationError: the schema is another application's, or a newer version's; or it has
            to be made or changed, and the user may not.
        asyncpg.PostgresError: anything else that the server refuses.
    """
    if not await _missing(connection, ledger, migrations):
        return
    try:
        await connection.execute("BEGIN")
        await _migrate(connection, ledger, migrations)
        await connection.execute("COMMIT")
    except asyncpg.InsufficientPrivilegeError as error:
        raise ConfigurationError(
            f"store: the tables of the ledger are to be made or changed in the PostgreSQL schema "
            f"{ledger}, and this user may not. Grant it CREATE on the database, or make it the "
            "owner of the schema; or start ChatNest once as a user who may."
        ) from error
    except (asyncpg.DuplicateTableError, asyncpg.DuplicateObjectError) as error:
        raise ConfigurationError(
            f"store: the PostgreSQL schema {ledger} has tables of another application. Choose "
            "another name for the ledger."
        ) from error


async def _migrate(connection: Connection, ledger: str, migrations: Migrations) -> None:
    await connection.execute(f"SELECT pg_advisory_xact_lock({_LOCKS}, 0)")
    # Another process may have done it while this one waited for its turn.
    for version in await _missing(connection, ledger, migrations):
        if not await connection.fetchval(_HAS_SCHEMA, ledger):
            await connection.execute(f'CREATE SCHEMA "{ledger}"')
        for name in migrations[version]:
            await connection.execute(script(name, ledger))
        await connection.execute(
            f'INSERT INTO "{ledger}".schema_version VALUES ($1, clock_timestamp())', version
        )


def script(name: str, ledger: str) -> str:
    """The SQL in the file of *name*, for *ledger*."""
    text = files("chatnest.adapters.storage").joinpath(name).read_text("utf-8")
    return text.replace("{ledger}", f'"{ledger}"').replace("{turn}", turn_key(ledger))


async def _missing(connection: Connection, ledger: str, migrations: Migrations) -> range:
    found = None
    if await connection.fetchval(_HAS_VERSION, ledger):
        found = await connection.fetchval(f'SELECT max(version) FROM "{ledger}".schema_version')
    return migrations_to_run(found or 0, max(migrations))
