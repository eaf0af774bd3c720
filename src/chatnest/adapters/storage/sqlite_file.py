"""Opening a ledger's file, and what its errors mean to an operator."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Lock
from typing import Final

import apsw

from chatnest.adapters.storage.sqlite_schema import bring_forward
from chatnest.domain.errors import ChatNestError, ConfigurationError, StoreUnavailableError
from chatnest.domain.ports import Clock

_CACHE_KIB: Final = 64 * 1_024
# More than there are: one for each kind of rows and each number of them.
_STATEMENTS: Final = 512
_ASK_EVERY_S: Final = 0.0005

# Closing any handle of a file ends all locks that this process has on it. The handle that makes
# a file is closed before another thread can have opened that file.
_making: Final = Lock()

_UNAVAILABLE: Final[tuple[tuple[type[apsw.Error], str], ...]] = (
    (apsw.BusyError, "is locked by another process for too long; look who has it open"),
    (apsw.LockedError, "is locked by another process for too long; look who has it open"),
    (apsw.ProtocolError, "is locked by another process for too long; look who has it open"),
    (apsw.FullError, "cannot grow: the disk is full; make room and it goes on by itself"),
    (apsw.ReadOnlyError, "cannot be written; let this user write the file and its folder"),
    (apsw.PermissionsError, "cannot be written; let this user write the file and its folder"),
    (apsw.CantOpenError, "cannot be opened; let this user read and write the file and its folder"),
    (apsw.CorruptError, "is damaged; stop all that use it, and restore a backup"),
    (apsw.IOError, "cannot be read or written; look at the disk"),
)


class _Patience:
    """Asks again every half millisecond while another connection writes, for *busy_us*.

    SQLite's own way sleeps for longer and longer: among busy processes the one that has waited
    longest would look least often, and wait for seconds.
    """

    def __init__(self, busy_us: int, clock: Clock) -> None:
        self._busy_us = busy_us
        self._clock = clock
        self._began_us = 0
        self._asleep = Event()

    def __call__(self, tries: int) -> bool:
        """Whether to ask once more, after a moment; *tries* is how often it was asked before."""
        now_us = self._clock.monotonic_us()
        if tries == 0:
            self._began_us = now_us
        self._asleep.wait(_ASK_EVERY_S)
        return now_us - self._began_us < self._busy_us


class LedgerFile:
    """The file at *path*; each statement waits at most *busy_us* for other processes."""

    def __init__(self, path: Path, clock: Clock, busy_us: int) -> None:
        self._path = path
        self._clock = clock
        self._busy_us = busy_us
        self._identity: tuple[int, int] | None = None

    def open(self) -> apsw.Connection:
        """A connection to the file, which is made the first time where it is missing.

        Raises:
            StoreUnavailableError: it cannot be opened, or is not the one that was there first.
            ConfigurationError: the file is no ledger that this version can work with.
        """
        self.require_in_place()
        if self._identity is None:
            _make(self._path)
        with self.in_plain_words():
            database = _connect(self._path, _Patience(self._busy_us, self._clock))
        self._identity = self._found()
        return database

    def require_in_place(self) -> None:
        """Pass while the file is the one that was opened first.

        Another one would not know what was spent, and the log of the first may still be beside it.

        Raises:
            StoreUnavailableError: it is gone, or another one is in its place.
        """
        if self._identity is not None and self._found() != self._identity:
            raise StoreUnavailableError(
                f"the ledger {self._path.name} was taken away or replaced while it was in use;"
                " put it back, or restart all that use it"
            )

    def _found(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self._path)
        except OSError:
            return None
        return found.st_dev, found.st_ino

    @contextmanager
    def in_plain_words(self) -> Iterator[None]:
        """Translate what SQLite raises; other exceptions pass.

        Raises:
            StoreUnavailableError: the file cannot be worked with at the moment.
            ConfigurationError: it is no SQLite database.
        """
        try:
            yield
        except apsw.Error as error:
            if (meaning := _meaning(self._path, error)) is None:
                raise
            raise meaning from error


def _meaning(path: Path, error: apsw.Error) -> ChatNestError | None:
    if isinstance(error, apsw.NotADBError):
        return ConfigurationError(f"store: {path.name} is no SQLite database. Name another file.")
    for kind, what in _UNAVAILABLE:
        if isinstance(error, kind):
            return StoreUnavailableError(f"the ledger {path.name} {what}")
    return None


def _make(path: Path) -> None:
    """Make the file, which nobody else may read: it says who used what.

    Its folder must be there: one made for a name with a slip in it would hold a second ledger.

    Raises:
        StoreUnavailableError: it cannot be made.
    """
    try:
        with _making:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        return
    except FileNotFoundError as error:
        what = f"the folder of the ledger {path.name} is not there; make it, or name another"
        raise StoreUnavailableError(what) from error
    except OSError as error:
        what = f"the ledger {path.name} cannot be made: {error.strerror}"
        raise StoreUnavailableError(what) from error


def _connect(path: Path, patience: _Patience) -> apsw.Connection:
    database = apsw.Connection(
        os.fspath(path), apsw.SQLITE_OPEN_READWRITE, statementcachesize=_STATEMENTS
    )
    try:
        _set_up(database, patience)
        bring_forward(database)
    except BaseException:
        database.close()
        raise
    return database


def _set_up(database: apsw.Connection, patience: _Patience) -> None:
    database.set_busy_handler(patience)
    if database.readonly("main"):
        raise apsw.ReadOnlyError
    if _switched_to_wal(database, patience) != "wal":
        raise ConfigurationError(
            "store: SQLite cannot share the file between processes there (no WAL). Choose a"
            " folder on a local disk, or another store."
        )
    database.pragma("synchronous", 2)
    database.pragma("cache_size", -_CACHE_KIB)


def _switched_to_wal(database: apsw.Connection, patience: _Patience) -> object:
    """The journal mode after WAL was asked for.

    Of several that switch a new file at once, SQLite tells some that it is locked and does not ask
    their busy handlers first.
    """
    tries = 0
    while True:
        try:
            return database.pragma("journal_mode", "wal")
        except apsw.BusyError:
            if not patience(tries):
                raise
            tries += 1
