"""What a server under measurement is, and how it is run."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

KEYS = 128
"""Callers in turns: no one of them reaches its sixty requests a minute."""


@dataclass(frozen=True, slots=True)
class Setting:
    """Where a server is to listen, whom it is to ask, and a *folder* of its own for its files.

    *store*, *workers* and *callers* are for servers that have such things.
    """

    port: int
    origin: str
    folder: Path
    store: str | None = None
    workers: int = 1
    callers: int = KEYS


@dataclass(frozen=True, slots=True)
class Launch:
    """How a server is started, and what a request to it carries: *headers*, and one of *keys*."""

    command: Sequence[str]
    environment: Mapping[str, str]
    headers: Mapping[str, str]
    keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Server:
    """A server under measurement.

    It is asked in *dialect*. *why_not* says why it cannot be run here.
    """

    name: str
    dialect: str
    launch: Callable[[Setting], Launch]
    why_not: Callable[[], str | None] = lambda: None
    starts_within_s: float = 60


def python_server(module: str) -> Callable[[Setting], Launch]:
    """Starts *module* of this package, which takes its port and the upstream's address."""

    def launch(setting: Setting) -> Launch:
        command = (sys.executable, "-m", module, str(setting.port), setting.origin)
        return Launch(command, {}, {})

    return launch
