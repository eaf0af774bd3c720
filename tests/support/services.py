"""Servers that tests need: found on the machine, started for a test, or asked for in vain."""

import asyncio
import os
import signal
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NoReturn

import pytest

# Read when this module is first imported: the tests themselves run without such variables.
POSTGRES_URL: Final = os.environ.get("CHATNEST_TEST_POSTGRES_URL")
REDIS_URL: Final = os.environ.get("CHATNEST_TEST_REDIS_URL")
REQUIRED: Final = os.environ.get("CHATNEST_REQUIRE_SERVICES", "") not in ("", "0")


def without(service: str, why: str) -> NoReturn:
    """Skip a test that needs *service*; fail it where services are required."""
    reason = f"no {service}: {why}"
    if REQUIRED:
        pytest.fail(f"{reason} (CHATNEST_REQUIRE_SERVICES is set)", pytrace=False)
    pytest.skip(reason)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class OwnServer:
    """A server process of one test, on one port and one data folder, however often it restarts."""

    def __init__(self, command: Sequence[str], port: int, log: Path) -> None:
        self.port = port
        self._command = command
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self, limit_s: float = 20) -> None:
        """Start the process and wait until it takes connections."""
        process = self._process = self._spawn()
        async with asyncio.timeout(limit_s):
            while not await self.answers():
                if process.poll() is not None:
                    raise AssertionError(f"the server ended: {self._log.read_text()[-2_000:]}")
                await asyncio.sleep(0.02)

    def _spawn(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(self._command, stdout=log, stderr=log)

    async def answers(self) -> bool:
        """Whether the server takes connections; a subclass may ask for more than that."""
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        writer.close()
        await asyncio.wait((asyncio.ensure_future(writer.wait_closed()),))
        return True

    async def stop(self, by: signal.Signals = signal.SIGTERM, limit_s: float = 20) -> None:
        """End the process by a signal and wait for that; nothing where it has ended already."""
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.send_signal(by)
        try:
            await asyncio.to_thread(process.wait, limit_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    async def kill(self) -> None:
        """End the process as a power cut would, as far as it can see."""
        await self.stop(signal.SIGKILL)
