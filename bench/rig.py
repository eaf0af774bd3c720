"""What every scenario works with: the mock upstream, a load generator, and servers under way."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from typing import Any, Final, TypeVar

from bench.jobs import Job, Outcome
from bench.machine import Cores
from bench.programs import BrokenError, LoadGenerator, MockUpstream, Program, free_port
from bench.scripts import Script
from bench.servers import Server, Setting
from bench.servers.server import KEYS, Launch
from bench.sizes import FEW, Size

T = TypeVar("T")

AT_ONCE: Final = 10
WARM_UP: Final = 40
# A ChatNest caller has sixty requests at once, and then one a second.
_BURST: Final = 50


class Callers:
    """The callers of one server, who take turns; none asks more often than its rate allows."""

    def __init__(self, number: int = KEYS) -> None:
        self._number = number
        self._asked = 0
        self._room = float(number * _BURST)
        self._at = monotonic()

    def take(self, requests: int) -> int:
        """The number of the first of so many *requests*, once all of them are allowed."""
        self._refill()
        if requests > self._room:
            sleep((requests - self._room) / self._number)
            self._refill()
        self._room -= requests
        first = self._asked + 1
        self._asked += requests
        return first

    def _refill(self) -> None:
        """Each may ask once more for every second, and saves no more than a burst."""
        now = monotonic()
        self._room = min(self._number * _BURST, self._room + self._number * (now - self._at))
        self._at = now


@dataclass(frozen=True, slots=True)
class Subject:
    """A server that runs, and what requests to it look like."""

    name: str
    port: int
    dialect: str
    launch: Launch
    program: Program | None = None
    callers: Callers = field(default_factory=Callers)

    def job(self, script: Script, requests: int, concurrency: int = AT_ONCE, **more: Any) -> Job:
        """A job of so many requests; callers go on where the last job has left off."""
        return Job(
            port=self.port,
            dialect=self.dialect,
            script=script,
            requests=requests,
            concurrency=min(concurrency, requests),
            headers=dict(self.launch.headers),
            keys=self.launch.keys,
            first=self.callers.take(requests),
            **more,
        )

    def speaking(self, dialect: str) -> "Subject":
        """The same server, asked in another dialect."""
        return replace(self, name=f"{self.name}, {dialect}", dialect=dialect)

    @property
    def running(self) -> Program:
        """The server's process."""
        assert self.program is not None
        return self.program


class Rig:
    """Upstream and load generator on the cores that servers leave; a context."""

    def __init__(self, size: Size, folder: Path, notes: list[str]) -> None:
        self.size = size
        self.notes = notes
        self.cores = Cores()
        self._folder = folder
        self._stack = ExitStack()
        self._busiest = 0.0

    def __enter__(self) -> "Rig":
        self.upstream = self._stack.enter_context(MockUpstream(self.cores.others()))
        self.load = self._stack.enter_context(LoadGenerator(self.cores.others()))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        if self._busiest > 0.9:
            self.note(
                f"upstream and load generator took up to {self._busiest:.0%} of their processor: "
                "figures of requests a second may be theirs and not the server's"
            )

    @property
    def itself(self) -> Subject:
        """The upstream, asked without anything between."""
        return Subject("upstream", self.upstream.port, "openai", Launch((), {}, {}))

    def note(self, what: str) -> None:
        """Say something that belongs to the figures."""
        print(f"  {what}", flush=True)
        self.notes.append(what)

    @contextmanager
    def serving(
        self, server: Server, *, folder: Path | None = None, **setting: Any
    ) -> Iterator[Subject]:
        """*server*, up and warm.

        Raises:
            BrokenError: it does not start, or does not answer.
        """
        with TemporaryDirectory(prefix=f"{server.name.split(',')[0]}-", dir=self._folder) as own:
            port = free_port()
            where = Setting(port, self.upstream.origin, folder or Path(own), **setting)
            launch = server.launch(where)
            with Program(
                launch.command,
                cores=self.cores.server(where.workers),
                environment=launch.environment,
                log=Path(own, "server.log"),
            ) as program:
                program.wait_for_port(port, server.starts_within_s)
                program.wait_until_quiet()
                callers = Callers(where.callers)
                subject = Subject(server.name, port, server.dialect, launch, program, callers)
                self.ask(subject, FEW, WARM_UP)
                # The first requests may have asked for more than their answers: a vocabulary.
                program.wait_until_quiet()
                yield subject

    @contextmanager
    def all_serving(self, servers: Sequence[Server]) -> Iterator[list[Subject]]:
        """Those of *servers* that run here; of the others it is noted why they do not."""
        with ExitStack() as stack:
            subjects: list[Subject] = []
            for server in servers:
                reason = server.why_not()
                try:
                    if reason is None:
                        subjects.append(stack.enter_context(self.serving(server)))
                except (BrokenError, OSError) as error:
                    reason = str(error)
                if reason is not None:
                    self.note(f"{server.name} is left out: {reason}")
            yield subjects

    def ask(self, subject: Subject, script: Script, requests: int, **more: Any) -> Outcome:
        """Have *subject* asked so often, and all of it answered as it should be.

        Raises:
            BrokenError: something was not.
        """
        busy = self.upstream.processor_time_ns
        outcome = self.load.do(subject.job(script, requests, **more))
        checked(outcome, subject)
        busy = self.upstream.processor_time_ns - busy
        self._busiest = max(self._busiest, (busy + outcome.cpu_ns) / max(outcome.elapsed_ns, 10**8))
        return outcome

    def cost_us(self, subject: Subject, script: Script, requests: int, **more: Any) -> float:
        """Processor time of the server for each of so many requests."""
        before = subject.running.processor_time_ns
        self.ask(subject, script, requests, **more)
        return (subject.running.processor_time_ns - before) / requests / 1e3

    def in_turns(
        self, subjects: Sequence[Subject], measure: Callable[[Subject], T]
    ) -> dict[str, list[T]]:
        """Each of *subjects* once in each run; one that breaks is left out, which is noted."""
        left = list(subjects)
        measured: dict[str, list[T]] = {subject.name: [] for subject in subjects}
        for _ in range(self.size.runs):
            for subject in tuple(left):
                try:
                    measured[subject.name].append(measure(subject))
                except BrokenError as error:
                    self.note(f"{subject.name} is left out: {error}")
                    left.remove(subject)
                    del measured[subject.name]
        return measured

    def affordable(self, subject: Subject, script: Script, **more: Any) -> int:
        """How many requests a run has, where it is not to take too long."""
        few = max(2, self.size.requests // 20)
        cost_s = self.cost_us(subject, script, few, **more) / 1e6
        return max(few, min(self.size.requests, round(self.size.run_s / cost_s)))


def checked(outcome: Outcome, subject: Subject) -> Outcome:
    """*outcome*, in which nothing went wrong.

    Raises:
        BrokenError: something did.
    """
    if outcome.errors:
        told = "; ".join(f"{why} ({times} times)" for why, times in outcome.errors.items())
        log = "" if subject.program is None else subject.program.last_words
        raise BrokenError(f"{subject.name}: {told}. {log}".strip())
    return outcome
