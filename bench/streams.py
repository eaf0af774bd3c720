"""Whole streams through a server process: its processor time, and the delay that it adds."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from itertools import count
from statistics import median, quantiles
from time import perf_counter

import psutil

from chatnest.testing.openai_scripts import completion, usage_of
from chatnest.testing.upstream import MockUpstream, Script

FEW, MANY = 20, 220
CONCURRENCY = 10
BODY = json.dumps({"messages": [{"id": "1", "role": "user", "content": "Hello!"}]}).encode()
ENVIRONMENT = {
    "OPENAI_API_KEY": "unused",
    "CHATNEST_LOG_LEVEL": "error",
    "CHATNEST_BUDGETS": json.dumps(
        [{"scope": "global", "unit": "tokens", "period": "day", "limit": 10**12}]
    ),
}


async def measure_streams(requests: int, runs: int) -> list[tuple[str, float]]:
    """Names and medians: microseconds of processor time, and milliseconds to the first token."""
    async with MockUpstream() as upstream, _server(upstream.base_url) as (process, port):
        load = _Load(port)
        upstream.scripts = _answer(FEW)
        await load.run(requests)
        few: list[float] = []
        many: list[float] = []
        for _ in range(runs):
            upstream.scripts = _answer(FEW)
            few.append(await _cost_us(process, load, requests))
            upstream.scripts = _answer(MANY)
            many.append(await _cost_us(process, load, requests))
        upstream.scripts = _answer(FEW)
        load.first_token_s.clear()
        await load.run(requests, concurrency=1)
        waits_ms = [wait * 1e3 for wait in load.first_token_s]
    per_token = (median(many) - median(few)) / (MANY - FEW)
    return [
        (f"us of processor time a request, {FEW} tokens", median(few)),
        ("us of processor time a further token", per_token),
        ("ms to the first token, one at a time, p50", median(waits_ms)),
        ("ms to the first token, one at a time, p99", quantiles(waits_ms, n=100)[98]),
    ]


async def _cost_us(process: psutil.Process, load: "_Load", requests: int) -> float:
    before = process.cpu_times()
    await load.run(requests)
    after = process.cpu_times()
    spent_s: float = after.user + after.system - before.user - before.system
    return spent_s / requests * 1e6


def _answer(tokens: int) -> Script:
    return completion([" token"] * tokens, usage=usage_of(20, tokens))


class _Load:
    """Asks again and again, each time from another address, so that no rate limit refuses it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._people = count(1)
        self.first_token_s: list[float] = []

    async def run(self, requests: int, concurrency: int = CONCURRENCY) -> None:
        left = iter(range(requests))
        await asyncio.gather(*(self._ask_all(left) for _ in range(concurrency)))

    async def _ask_all(self, left: Iterator[int]) -> None:
        for _ in left:
            await self._ask()

    async def _ask(self) -> None:
        number = next(self._people)
        address = f"127.0.{number // 250 % 250}.{number % 250 + 1}"
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self._port, local_addr=(address, 0)
        )
        head = f"POST /api/chat HTTP/1.1\r\nhost: b\r\ncontent-length: {len(BODY)}\r\n"
        begun = perf_counter()
        head += "content-type: application/json\r\nconnection: close\r\n\r\n"
        writer.write(head.encode() + BODY)
        try:
            await reader.readuntil(b"event: token")
        except asyncio.IncompleteReadError as error:
            raise SystemExit(f"the server refused: {error.partial.decode()}") from error
        self.first_token_s.append(perf_counter() - begun)
        rest = await reader.read(-1)
        assert b"event: done" in rest, rest[-200:]
        writer.close()


@asynccontextmanager
async def _server(base_url: str) -> AsyncGenerator[tuple[psutil.Process, int], None]:
    flags = ("--provider", "openai", "--base-url", base_url, "--port", "0")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "chatnest", "serve", *flags),
        env={**os.environ, **ENVIRONMENT},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        line = (await process.stdout.readline()).decode()
        port = int(line.partition("http://127.0.0.1:")[2].split()[0])
        yield psutil.Process(process.pid), port
    finally:
        process.terminate()
        await process.wait()
