"""The processes of a measurement: servers, the mock upstream, load generators."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Final, Self

import msgspec
import psutil

from bench.jobs import Job, Outcome
from bench.machine import processor_time_ns, resident_bytes
from bench.upstream import Record

ENDS_WITHIN_S: Final = 20
_TOLD_OF_LOG: Final = 2_000
_QUIET_FOR_S: Final = 0.5


class BrokenError(Exception):
    """Something does not run, or does not do what a measurement supposes."""


class Program:
    """One process, and those that it starts, on *cores*; leaving the context ends it."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        cores: Collection[int],
        environment: Mapping[str, str] | None = None,
        log: Path | None = None,
    ) -> None:
        self._log = log
        with open(log or os.devnull, "ab") as logged, _on(cores):
            self.process = subprocess.Popen(
                command,
                env={**os.environ, **(environment or {})},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE if log is None else logged,
                stderr=None if log is None else logged,
                start_new_session=True,
            )
        self._observed = psutil.Process(self.process.pid)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    @property
    def processor_time_ns(self) -> int:
        """What it has used of processors."""
        return processor_time_ns(self._observed)

    @property
    def resident_bytes(self) -> int:
        """What it has of memory."""
        return resident_bytes(self._observed)

    def end(self) -> None:
        """End the process and its descendants: politely, and then not."""
        with suppress(ProcessLookupError):
            self.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(ENDS_WITHIN_S)
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()

    def wait_for_port(self, port: int, limit_s: float) -> None:
        """Return when something listens on *port*.

        Raises:
            BrokenError: the process has ended, or takes too long.
        """
        until = time.monotonic() + limit_s
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise BrokenError(f"it ended with {self.process.returncode}: {self.last_words}")
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return
            time.sleep(0.05)
        raise BrokenError(f"it does not listen after {limit_s:.0f} s: {self.last_words}")

    def read_line(self) -> str:
        """The next line that it writes.

        Raises:
            BrokenError: it has ended.
        """
        assert self.process.stdout is not None
        line = self.process.stdout.readline().decode()
        if not line.endswith("\n"):
            raise BrokenError("a process of the benchmark has ended")
        return line

    def write_line(self, line: bytes) -> None:
        """Give it a line to read."""
        assert self.process.stdin is not None
        self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()

    def wait_until_quiet(self, limit_s: float = 20) -> None:
        """Return when it has nothing to do: workers that begin later have begun then."""
        until = time.monotonic() + limit_s
        while time.monotonic() < until:
            before = self.processor_time_ns
            time.sleep(_QUIET_FOR_S)
            if self.processor_time_ns - before < _QUIET_FOR_S * 1e9 / 10:
                return

    @property
    def last_words(self) -> str:
        """The end of what it has logged."""
        return "" if self._log is None else self._log.read_text(errors="replace")[-_TOLD_OF_LOG:]


class MockUpstream(Program):
    """The mock upstream's process."""

    def __init__(self, cores: Collection[int]) -> None:
        super().__init__((sys.executable, "-m", "bench.upstream"), cores=cores)
        self.port = int(self.read_line())

    @property
    def origin(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    def record(self) -> Record:
        """What became of the answers that it was asked for."""
        return self._ask("GET", "/record")

    def forget(self) -> None:
        """Begin a new record."""
        self._ask("POST", "/forget")

    def hang_up(self) -> None:
        """Close the connections of all answers that are under way, for whomever they are."""
        self._ask("POST", "/hang-up")

    def _ask(self, method: str, path: str) -> Record:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request(method, path)
        record = msgspec.json.decode(connection.getresponse().read(), type=Record)
        connection.close()
        return record


class LoadGenerator(Program):
    """A load generator's process, which does one job after the other."""

    def __init__(self, cores: Collection[int]) -> None:
        super().__init__((sys.executable, "-m", "bench.load"), cores=cores)

    def do(self, job: Job) -> Outcome:
        """Do *job*, from its beginning to its end."""
        self.begin(job)
        return self.outcome()

    def begin(self, job: Job) -> None:
        """Begin *job*, which stays until it is stopped."""
        self.write_line(msgspec.json.encode(job))

    def stop(self) -> Outcome:
        """Stop what was begun."""
        self.write_line(b"")
        return self.outcome()

    def outcome(self) -> Outcome:
        """What became of the job that was begun, once it is over."""
        return msgspec.json.decode(self.read_line(), type=Outcome)


@contextmanager
def _on(cores: Collection[int]) -> Iterator[None]:
    """Run on *cores* meanwhile: a process that is started inherits it, with all of its threads."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
