"""What a client is told to do, and what it then had to show: the same for every client."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

QUESTION: Final = "How far is Oslo from Bergen?"
WEATHER: Final = "weather"
WEATHER_RESULT: Final = "rain"


@dataclass(frozen=True, kw_only=True)
class Case:
    """One conversation with the server at ``url``.

    ``retries`` None leaves the client as it comes. ``leave_after`` pieces of an answer the client
    hangs up. With ``tools`` it runs what is called, and asks again with what came of it.
    """

    url: str
    stream: bool = True
    question: str = QUESTION
    model: str = "scripted"
    profile: str | None = None
    temperature: float | None = None
    key: str = "no-key"
    headers: dict[str, str] = field(default_factory=dict)
    retries: int | None = None
    tools: bool = False
    leave_after: int | None = None

    def to_json(self) -> dict[str, Any]:
        """The case as a client in another process is told of it."""
        return asdict(self)


@dataclass
class Outcome:
    """What the client's user sees.

    ``finish`` is in the client's own words; ``usage`` is tokens in and out. ``error`` has what the
    client's error has of ``name``, ``status``, ``type``, ``code`` and ``message``. ``left_at_ms``
    is when the client hung up, in milliseconds since the Unix epoch.
    """

    text: str = ""
    reasoning: str = ""
    calls: list[list[str]] = field(default_factory=list)
    finish: str | None = None
    usage: list[int] | None = None
    error: dict[str, Any] | None = None
    left_at_ms: float | None = None


Ask = Callable[[Sequence[Case]], Awaitable[list[Outcome]]]
"""Has one client go through all cases at the same time; an outcome for each, in their order."""
