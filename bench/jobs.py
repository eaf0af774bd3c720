"""What a load generator is told to do, and what it tells afterwards."""

import msgspec

from bench.scripts import Script


class Leaving(msgspec.Struct, frozen=True):
    """Clients go away *pause_ms* after so many tokens have come; 0: after the request was sent."""

    after_tokens: int
    pause_ms: int = 0


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """So many *requests* for *script*, *concurrency* of them at a time.

    They begin *every_ms* apart at the least, and no more than *opening* of them, if that is not
    zero, wait for their first token: more would overflow the queue of a server that is slower.
    Each request is the next caller's of *keys* from *first* on, which is also the tag of the first.
    With *leaving* each client goes away; with *staying* the job does not end by itself, but with
    the next line on standard input.
    """

    port: int
    dialect: str
    script: Script
    requests: int
    concurrency: int
    path: str | None = None
    headers: dict[str, str] = {}
    keys: tuple[str, ...] = ()
    first: int = 1
    history: int = 1
    prompt_bytes: int = 0
    every_ms: float = 0
    opening: int = 0
    leaving: Leaving | None = None
    staying: bool = False
    refused_for: str | None = None


class LeftClient(msgspec.Struct, frozen=True):
    """A client that went away, when, and what it had read."""

    tag: int
    left_ns: int
    tokens: int


class Outcome(msgspec.Struct):
    """What became of a job. Times are in nanoseconds, instants on the machine's monotonic clock.

    *answered* came to their end with all of their tokens; *refused* were refused with what the job
    expected in the body. *open_at_stop* had a token and no end when the job was stopped. So many
    *connections* were opened for all of it.
    """

    answered: int = 0
    refused: int = 0
    tokens: int = 0
    bytes_read: int = 0
    open_at_stop: int = 0
    connections: int = 0
    elapsed_ns: int = 0
    cpu_ns: int = 0
    first_token_ns: list[int] = msgspec.field(default_factory=list)
    gap_ns: list[int] = msgspec.field(default_factory=list)
    left: list[LeftClient] = msgspec.field(default_factory=list)
    errors: dict[str, int] = msgspec.field(default_factory=dict)

    def fail(self, why: str) -> None:
        """Count one more failure of this kind."""
        self.errors[why] = self.errors.get(why, 0) + 1
