"""A real server on this machine for the length of a test: in this process, or in one of its own."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import uvicorn
from litestar.types import ASGIApp

STARTS_WITHIN_S = 30
ENDS_WITHIN_S = 30


class _Server(uvicorn.Server):
    """Leaves the signals of the process to the tests."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


@asynccontextmanager
async def running(
    app: ASGIApp, *, lifespan: Literal["on", "off"] = "on"
) -> AsyncGenerator[int, None]:
    """Serve *app* on the test's own loop; the port that it listens on."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        app, log_level="warning", timeout_graceful_shutdown=5, lifespan=lifespan
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        async with asyncio.timeout(STARTS_WITHIN_S):
            while not server.started:
                assert not serving.done(), "the server ended before it had started"
                await asyncio.sleep(0.005)
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        async with asyncio.timeout(ENDS_WITHIN_S):
            await serving


class ServerProcess:
    """``chatnest serve`` in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self.process = process
        self.port = port

    async def terminate(self) -> int:
        """Ask it to end, as an init system does, and wait; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return await self.wait()

    async def wait(self) -> int:
        """Its exit code, once it has ended by itself."""
        async with asyncio.timeout(ENDS_WITHIN_S):
            return await self.process.wait()


@asynccontextmanager
async def serve_process(
    *flags: str,
    folder: Path,
    environment: Mapping[str, str] | None = None,
    log: Path | None = None,
) -> AsyncGenerator[ServerProcess, None]:
    """Run ``chatnest serve --port 0`` with *flags* in *folder* until the context ends.

    The user's data folder, where accounts are kept by default, is inside *folder*. What the
    server logs is added to *log*, if that is given.
    """
    with contextlib.ExitStack() as open_files:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "chatnest", "serve", "--port", "0", *flags),
            cwd=folder,
            env={**os.environ, "XDG_DATA_HOME": str(folder / "data"), **(environment or {})},
            stdout=asyncio.subprocess.PIPE,
            stderr=None if log is None else open_files.enter_context(log.open("ab")),
        )
    try:
        async with asyncio.timeout(STARTS_WITHIN_S):
            port = await _announced_port(process)
        yield ServerProcess(process, port)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _announced_port(process: asyncio.subprocess.Process) -> int:
    assert process.stdout is not None
    while line := (await process.stdout.readline()).decode():
        _, found, rest = line.partition("http://127.0.0.1:")
        if found:
            return int("".join(character for character in rest.split()[0] if character.isdigit()))
    raise AssertionError("the server ended before it said where it listens")
