"""Accounts in a file: what was used is known to every process, after a restart, and to commands."""

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support.client import Exchange, chat, usage
from tests.support.running import serve_process

pytestmark = pytest.mark.timeout(120)

FILE = "sqlite:///accounts.db"
FIVE_REQUESTS = """
[[budgets]]
scope = "global"
unit = "requests"
period = "total"
limit = 5
"""


async def command(*arguments: str, folder: Path) -> tuple[int, str]:
    """The exit code and the output of ``chatnest`` in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "chatnest", *arguments),
        cwd=folder,
        env={**os.environ, "XDG_DATA_HOME": str(folder / "data")},
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(30):
        output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


async def ask(port: int, text: str = "one two three") -> tuple[int, int]:
    """The status of one chat, and the tokens that it used."""
    async with await chat(port, text) as exchange:
        if await exchange.head() != 200:
            return exchange.status, 0
        events = [event async for event in exchange.events()]
    return exchange.status, int(events[-2].json["totalTokens"])


def statuses(answers: Sequence[tuple[int, int]]) -> list[int]:
    return sorted(status for status, _ in answers)


async def history(port: int) -> list[dict[str, Any]]:
    async with await Exchange.open(port, "/api/usage", method="GET") as exchange:
        days: list[dict[str, Any]] = (await exchange.json())["history"]
        return days


async def test_by_default_what_was_used_is_known_after_a_restart(tmp_path: Path) -> None:
    async with serve_process("--provider", "scripted", folder=tmp_path) as server:
        _, tokens = await ask(server.port)
        before = await usage(server.port)
        await server.terminate()
    assert (tmp_path / "data" / "chatnest" / "ledger.db").is_file()

    async with serve_process("--provider", "scripted", folder=tmp_path) as server:
        assert (await usage(server.port)) == before
        ((today,),) = [day["limits"] for day in await history(server.port)]
        assert today == {"name": "tokens-day", "used": tokens, "held": 0}
    assert before["tokens-day"]["used"] == tokens > 0


async def test_two_workers_have_one_budget_that_commands_can_read(tmp_path: Path) -> None:
    (tmp_path / "chatnest.toml").write_text(f"store = '{FILE}'\n{FIVE_REQUESTS}")
    flags = ("--provider", "scripted", "--workers", "2")
    async with serve_process(*flags, folder=tmp_path) as server:
        answers = await asyncio.gather(*(ask(server.port) for _ in range(12)))
        assert statuses(answers) == [200] * 5 + [429] * 7

        verified = await command("ledger", "verify", folder=tmp_path)
        shown = await command("ledger", "show", "--json", folder=tmp_path)
        used = await command("usage", "--json", folder=tmp_path)
        await server.terminate()

    assert verified[0] == 0, verified
    assert verified[1].endswith("calls 5: every account is the sum of its calls.\n")
    assert shown[0] == 0
    budget = next(each for each in json.loads(shown[1])["accounts"] if each["unit"] == "requests")
    assert (budget["scope"], budget["settled"], budget["held"]) == ("global", 5, 0)
    assert used[0] == 0
    total = json.loads(used[1])["total"]
    assert total["calls"] == 5
    assert total["inputTokens"] + total["outputTokens"] == sum(tokens for _, tokens in answers)
