"""A fleet: several ``chatnest serve`` processes on one ledger, which may be killed at any time."""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from tests.support.running import ServerProcess, serve_process

# What one answer may have, always: with less room in a budget a chat is refused.
OUTPUT_CAP = 48
_DUMMY_KEY = "sk-of-no-use"
_COMMAND_WITHIN_S = 30


class Node:
    """One server of a fleet, in a process and a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "server.log"
        self._folder = folder
        self._life = AsyncExitStack()
        self._server: ServerProcess | None = None

    @property
    def port(self) -> int:
        """Where it listens; after its end, where it listened."""
        assert self._server is not None, "the server was never started"
        return self._server.port

    async def start(self) -> None:
        """Start the process, and wait until it takes chats."""
        process = serve_process(
            folder=self._folder, environment={"OPENAI_API_KEY": _DUMMY_KEY}, log=self.log
        )
        self._server = await self._life.enter_async_context(process)

    async def kill(self) -> None:
        """End the process with SIGKILL: it writes and says nothing more."""
        await self._life.aclose()


@asynccontextmanager
async def fleet(folder: Path, size: int, configuration: str) -> AsyncGenerator[list[Node], None]:
    """*size* servers with the same *configuration*, in folders of their own in *folder*."""
    nodes = [Node(_configured(folder / f"node-{number}", configuration)) for number in range(size)]
    try:
        async with asyncio.TaskGroup() as starting:
            for node in nodes:
                starting.create_task(node.start())
        yield nodes
    finally:
        for node in nodes:
            await node.kill()


def configuration(
    store: str, upstream: str, *, lease_s: int = 60, budgets: Sequence[tuple[str, int]] = ()
) -> str:
    """The file of a fleet whose ledger is *store*, with *budgets* (unit, limit) for everybody.

    Every chat comes through a trusted proxy from an address of its own (see ``load``), so that no
    limit of a single caller is in its way.
    """
    return "\n".join(
        (
            "provider = 'openai'",
            "log_level = 'warning'",
            f"base_url = '{upstream}'",
            f"store = '{store}'",
            "trusted_proxies = ['127.0.0.1']",
            "[profiles.balanced]",
            f"max_output_tokens = {OUTPUT_CAP}",
            f"min_output_tokens = {OUTPUT_CAP}",
            "[time_limits]",
            f"lease_s = {lease_s}",
            *(_budget(unit, limit) for unit, limit in budgets),
        )
    )


async def run_command(*arguments: str) -> tuple[int, str]:
    """Run ``chatnest`` with *arguments*: its exit code, and all that it wrote."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "chatnest", *arguments),
        env=os.environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(_COMMAND_WITHIN_S):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, output.decode()


def _budget(unit: str, limit: int) -> str:
    # Without an end of its window no test meets midnight.
    return f"[[budgets]]\nscope = 'global'\nunit = '{unit}'\nperiod = 'total'\nlimit = {limit}"


def _configured(folder: Path, configuration: str) -> Path:
    folder.mkdir()
    (folder / "chatnest.toml").write_text(configuration, "utf-8")
    return folder
