"""The load generator, a process of its own: ``python -m bench.load``.

Each line of standard input is a job; its outcome is a line of standard output.
"""

import asyncio
import gc
import os
import sys
from collections.abc import Iterator
from time import monotonic_ns, process_time_ns
from typing import Final

import msgspec
import uvloop

from bench.dialects import DIALECTS, question
from bench.jobs import Job, Outcome
from bench.load_client import Client

_ADDRESSES: Final = 200 * 200


class Load:
    """One job under way: hands out its requests to its clients, and gathers what they saw."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.outcome = Outcome()
        self.loop = asyncio.get_running_loop()
        self._done = asyncio.Event()
        self._handed_out = 0
        self._busy = 0
        self._waiting: Iterator[Client] = iter(())
        self._not_before = self.loop.time()
        dialect = DIALECTS[job.dialect]
        self._body = question(dialect, history=job.history, prompt_bytes=job.prompt_bytes)
        named = "".join(f"{name}: {value}\r\n" for name, value in job.headers.items())
        self._head = (
            f"POST {job.path or dialect.path} HTTP/1.1\r\nhost: 127.0.0.1:{job.port}\r\n"
            f"content-type: application/json\r\naccept: text/event-stream\r\n{named}"
        )

    async def run(self) -> Outcome:
        """Run it to its end, or until it is stopped where it has none."""
        begun, cpu = monotonic_ns(), process_time_ns()
        clients = [Client(self) for _ in range(min(self.job.concurrency, self.job.requests))]
        self._busy = len(clients)
        self._waiting = iter(clients)
        for _ in range(self.job.opening or len(clients)):
            self.begin_another()
        self.loop.add_reader(sys.stdin.fileno(), self._stop)
        await self._done.wait()
        self.loop.remove_reader(sys.stdin.fileno())
        for client in clients:
            self.outcome.open_at_stop += client.is_reading
            client.close()
        self.outcome.elapsed_ns = monotonic_ns() - begun
        self.outcome.cpu_ns = process_time_ns() - cpu
        return self.outcome

    def next_request(self) -> tuple[int, bytes] | None:
        """The next request and its tag; None where all are handed out."""
        if self._handed_out == self.job.requests:
            return None
        tag = self.job.first + self._handed_out
        self._handed_out += 1
        before, after = self._body
        words = self.job.script.asked_for(tag).encode()
        key = self._key_line(tag)
        length = len(before) + len(words) + len(after)
        head = f"{self._head}{key}content-length: {length}\r\n\r\n".encode()
        return tag, b"".join((head, before, words, after))

    def due_in_s(self) -> float:
        """How long the next request has to wait for its turn."""
        now = self.loop.time()
        at = max(now, self._not_before)
        self._not_before = at + self.job.every_ms / 1e3
        return at - now

    def next_address(self) -> str:
        """Where the next connection comes from: no address runs out of ports."""
        number = self.outcome.connections % _ADDRESSES
        self.outcome.connections += 1
        return f"127.1.{number // 200}.{number % 200 + 1}"

    def begin_another(self) -> None:
        """Let the next client begin, if there is one that has not."""
        client = next(self._waiting, None)
        if client is not None:
            client.begin()

    def client_is_done(self) -> None:
        """A client has nothing more to do."""
        self._busy -= 1
        if not self._busy and not self.job.staying:
            self._done.set()

    def _key_line(self, tag: int) -> str:
        keys = self.job.keys
        return f"authorization: Bearer {keys[tag % len(keys)]}\r\n" if keys else ""

    def _stop(self) -> None:
        sys.stdin.readline()
        self._done.set()


async def _run(job: Job) -> Outcome:
    return await Load(job).run()


def main() -> None:
    """Do what standard input says, until it ends."""
    gc.freeze()
    while line := sys.stdin.readline():
        outcome = uvloop.run(_run(msgspec.json.decode(line, type=Job)))
        os.set_blocking(sys.stdin.fileno(), True)  # The loop watched it, and left it otherwise.
        print(msgspec.json.encode(outcome).decode(), flush=True)
        gc.collect()


if __name__ == "__main__":
    main()
