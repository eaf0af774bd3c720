"""Which store a URL means, and what it needs to work; the one place that reads such URLs.

    memory://                                in this process, gone when it ends
    sqlite:///ledger.db                      a file in the working directory
    sqlite:////var/lib/chatnest/ledger.db    a file anywhere
    postgresql://user:password@host/db       also postgres://
    redis://:password@host/0                 also rediss://, valkey://, valkeys://, and each with
                                             +cluster; unix:///run/redis.sock

``?ledger=NAME`` keeps several ledgers apart on one server: it is the schema in PostgreSQL and the
prefix of every key in Redis. It is taken off before a driver sees the URL.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from urllib.parse import quote, unquote, urlsplit

import platformdirs

from chatnest.adapters.storage import MemoryStore, SqliteStore
from chatnest.app.config import ChatNestConfig
from chatnest.app.config_values import without_credentials
from chatnest.domain.errors import ConfigurationError
from chatnest.domain.ports import Clock, LedgerStore, Randomness

MEMORY_URL = "memory://"
DEFAULT_LEDGER = "chatnest"

_LEDGER = re.compile(r"[a-z_][a-z0-9_]{0,40}")
_KNOWN = "memory://, sqlite:///ledger.db, postgresql://user:password@host/database or redis://host"
_ENCODED = "Write the signs : / ? # @ % in a user or password as %3A %2F %3F %23 %40 %25."


class StoreKind(StrEnum):
    """The stores that there are."""

    MEMORY = "memory"
    SQLITE = "sqlite"
    POSTGRES = "postgres"
    REDIS = "redis"


# Each scheme, and the one that the driver knows.
_SCHEMES: Mapping[str, tuple[StoreKind, str]] = MappingProxyType(
    {
        "memory": (StoreKind.MEMORY, "memory"),
        "sqlite": (StoreKind.SQLITE, "sqlite"),
        "postgresql": (StoreKind.POSTGRES, "postgresql"),
        "postgres": (StoreKind.POSTGRES, "postgresql"),
        "redis": (StoreKind.REDIS, "redis"),
        "rediss": (StoreKind.REDIS, "rediss"),
        "redis+cluster": (StoreKind.REDIS, "redis+cluster"),
        "rediss+cluster": (StoreKind.REDIS, "rediss+cluster"),
        "valkey": (StoreKind.REDIS, "redis"),
        "valkeys": (StoreKind.REDIS, "rediss"),
        "valkey+cluster": (StoreKind.REDIS, "redis+cluster"),
        "valkeys+cluster": (StoreKind.REDIS, "rediss+cluster"),
        "unix": (StoreKind.REDIS, "unix"),
    }
)
# The module that a store imports, and the extra that installs it.
_DRIVERS: Mapping[StoreKind, tuple[str, str]] = MappingProxyType(
    {StoreKind.POSTGRES: ("asyncpg", "postgres"), StoreKind.REDIS: ("redis", "redis")}
)


@dataclass(frozen=True, slots=True)
class StoreChoice:
    """One store: *address* is the file of SQLite, or the URL that a driver is given."""

    kind: StoreKind
    address: str
    ledger: str = DEFAULT_LEDGER

    @property
    def is_shared(self) -> bool:
        """Whether several processes see the same accounts in it."""
        return self.kind is not StoreKind.MEMORY

    @property
    def shown(self) -> str:
        """The URL for people to read, without credentials."""
        if self.kind is StoreKind.SQLITE:
            return sqlite_url(Path(self.address))
        ledger = "" if self.ledger == DEFAULT_LEDGER else f"?ledger={self.ledger}"
        return f"{without_credentials(self.address)}{ledger}"

    def require(self) -> None:
        """Pass where the store's driver is installed.

        Raises:
            ConfigurationError: it is not; the message says how to install it.
        """
        module, extra = _DRIVERS.get(self.kind, (None, None))
        if module is not None and find_spec(module) is None:
            raise ConfigurationError(
                f"store: {module} is not installed; run pip install 'chatnest[{extra}]'."
            )


def choose_store(config: ChatNestConfig) -> StoreChoice:
    """The store that *config* names; without one the accounts stay in memory.

    Raises:
        ConfigurationError: see :func:`read_store_url`.
    """
    return read_store_url(config.store or MEMORY_URL)


def user_store_url() -> str:
    """Where the commands keep accounts unless they are told otherwise: a file of this user."""
    return sqlite_url(_user_file())


def sqlite_url(file: Path) -> str:
    """The URL of the SQLite store in *file*."""
    return "sqlite:///" + quote(file.as_posix(), safe="/:")


def read_store_url(url: str) -> StoreChoice:
    """The store that *url* means.

    Raises:
        ConfigurationError: it means none; the message says how it should look, and shows neither
            user nor password.
    """
    scheme, separator, rest = url.partition("://")
    known = _SCHEMES.get(scheme.lower())
    if not separator or known is None:
        raise _refused(f"there is no store {without_credentials(url)!r}. Use {_KNOWN}")
    kind, driver_scheme = known
    match kind:
        case StoreKind.MEMORY:
            return _in_memory(rest)
        case StoreKind.SQLITE:
            return StoreChoice(kind, _file(rest))
        case StoreKind.POSTGRES | StoreKind.REDIS:
            return _on_server(kind, f"{driver_scheme}://{rest}")


def open_store(choice: StoreChoice, clock: Clock, randomness: Randomness) -> LedgerStore:
    """The store itself; it connects to nothing until it is first used.

    Raises:
        ConfigurationError: its driver is not installed, or the user's folder cannot be made.
    """
    choice.require()
    match choice.kind:
        case StoreKind.MEMORY:
            return MemoryStore(clock)
        case StoreKind.SQLITE:
            return SqliteStore(_in_a_folder(Path(choice.address)), clock)
        case StoreKind.POSTGRES:
            # Its driver is slow to import, and may not be installed; so is the next one's.
            from chatnest.adapters.storage.postgres import PostgresStore

            return PostgresStore(choice.address, clock, randomness, ledger=choice.ledger)
        case StoreKind.REDIS:
            from chatnest.adapters.storage.redis import RedisStore

            return RedisStore(choice.address, clock, randomness, ledger=choice.ledger)


def _user_file() -> Path:
    return platformdirs.user_data_path("chatnest", appauthor=False) / "ledger.db"


def _in_a_folder(file: Path) -> Path:
    """*file*, after making the user's own data folder for it: any other folder must be there."""
    if file == _user_file():
        try:
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise _refused(
                f"the folder of your own data, {file.parent}, cannot be made ({error.strerror}). "
                "Choose another place with --store sqlite:////path/ledger.db"
            ) from error
    return file


def _in_memory(rest: str) -> StoreChoice:
    if rest:
        raise _refused("memory:// takes nothing after it. Write memory:// alone")
    return StoreChoice(StoreKind.MEMORY, MEMORY_URL)


def _file(rest: str) -> str:
    shape = "Write sqlite:///ledger.db for a file here, or sqlite:////var/lib/ledger.db"
    host, slash, path = rest.partition("/")
    if host or not slash:
        raise _refused(f"sqlite:// needs three slashes, and four before a full path. {shape}")
    if "?" in path:
        raise _refused(f"sqlite:// takes no options (a ? in a name is %3F). {shape}")
    try:
        name = unquote(path, errors="strict")
    except UnicodeDecodeError as error:
        raise _refused(f"the file's name is not UTF-8 where it has %. {shape}") from error
    if name == ":memory:":
        raise _refused("a SQLite file is needed. Write memory:// for accounts in memory")
    if not name or name.endswith(("/", "\\")) or "\0" in name:
        raise _refused(f"sqlite:// must name a file. {shape}")
    return name


def _on_server(kind: StoreKind, url: str) -> StoreChoice:
    if not _is_readable(url):
        raise _refused(f"the host or port of the {kind} URL cannot be read. {_ENCODED}")
    base, _, query = url.partition("?")
    options = [option.partition("=") for option in query.split("&") if option]
    ledgers = [value for name, _, value in options if name == "ledger"]
    if len(ledgers) > 1 or not all(map(_LEDGER.fullmatch, ledgers)):
        raise _refused(
            "?ledger= must be one name of at most 41 small letters, digits and _, which does not "
            "begin with a digit"
        )
    rest = "&".join("".join(option) for option in options if option[0] != "ledger")
    address = f"{base}?{rest}" if rest else base
    return StoreChoice(kind, address, *ledgers)


def _is_readable(url: str) -> bool:
    """Whether *url* has hosts and ports where they belong, whatever else is in it."""
    try:
        parts = urlsplit(url)
        for host in parts.netloc.rpartition("@")[2].split(","):
            _ = urlsplit(f"//{host}").port
    except ValueError:
        return False
    return "@" not in parts.path and not parts.fragment


def _refused(why: str) -> ConfigurationError:
    return ConfigurationError(f"store: {why}.")
