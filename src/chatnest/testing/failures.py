"""Every way in which a provider's server is known to fail, as scripts for the mock upstream.

Each row says what happens on the wire, what that is to be taken for, and what is to become of it:
the tests play all of them against every provider, and the documentation shows them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from chatnest.domain.errors import FailureKind
from chatnest.domain.retry import RETRY_TABLE, Verdict
from chatnest.testing.upstream import Cut, End, Head, Pause, Reset, Script, Stall, Step, Write


class AnswerWire(Protocol):
    """What a module of scripts has for one wire, as ``chatnest.testing.openai_scripts``."""

    def completion(
        self, tokens: Sequence[str] = ..., *, done: bool = ..., finish_reason: str | None = ...
    ) -> tuple[Step, ...]:
        """A whole answer."""

    def text(self, token: str) -> Write:
        """A chunk with one token of text."""

    def event(self, fields: Mapping[str, object]) -> Write:
        """A chunk of *fields*."""

    def error_object(
        self, code: str | None = ..., error_type: str | None = ...
    ) -> dict[str, object]:
        """The object that error responses and errors inside a stream carry."""

    def refusal(
        self, status: int, error: Mapping[str, object] | None = ..., **headers: str
    ) -> tuple[Step, ...]:
        """An error response."""


class Charged(StrEnum):
    """What of a failed attempt is charged."""

    NOTHING = "nothing"
    PROMPT = "the prompt"
    SEEN = "the prompt and what came"


@dataclass(frozen=True, slots=True)
class UpstreamFailure:
    """One way to fail: what the provider *does*, and what becomes of the call.

    ``script`` plays it on a wire; None: nobody listens. ``kind`` None: it is no failure to the
    client, whose answer is ended at its cap. ``streamed``: a delta has come before. ``waits`` is
    for a Retry-After beyond every deadline.
    """

    does: str
    kind: FailureKind | None
    charged: Charged
    script: Callable[[AnswerWire], Script] | None
    streamed: bool = False
    waits: bool = False

    @property
    def verdict(self) -> Verdict:
        """What may be done about it; nothing once a delta has come."""
        if self.kind is None or self.streamed:
            return Verdict.GIVE_UP
        return RETRY_TABLE[self.kind]

    @property
    def calls_alone(self) -> int | None:
        """How often the only target is called; None: as often as is allowed."""
        return None if self.verdict is Verdict.RETRY and not self.waits else 1

    @property
    def calls_beside_another(self) -> tuple[int, int]:
        """How often this target and another one, which works, are called."""
        return (1, 0) if self.verdict is Verdict.GIVE_UP else (1, 1)


def _answered(
    status: int, code: str | None = None, error_type: str | None = None
) -> Callable[[AnswerWire], Script]:
    return lambda wire: wire.refusal(status, wire.error_object(code, error_type))


def _begun(wire: AnswerWire, *then: Step) -> Script:
    """The beginning of an answer with two tokens in it, and *then* something else."""
    whole = wire.completion(("Hello", " there"), done=False, finish_reason=None)
    return (*[step for step in whole if not isinstance(step, End)], Pause(1_000), *then)


def _endless(wire: AnswerWire) -> Script:
    words = [step for number in range(5_000) for step in (wire.text(f" w{number}"), Pause(2_000))]
    return _begun(wire, *words)


_BROKEN: Final = Write(b"data: {\n\n")
_PAGE: Final = Head(200, (("content-type", "text/html"),), b"<h1>It works!</h1>")

FAILURES: Final[tuple[UpstreamFailure, ...]] = (
    UpstreamFailure("refuses the connection", FailureKind.CONNECTION, Charged.NOTHING, None),
    UpstreamFailure(
        "resets the connection before its headers",
        FailureKind.CONNECTION,
        Charged.PROMPT,
        lambda wire: (Reset(),),
    ),
    UpstreamFailure(
        "closes the connection before its headers",
        FailureKind.CONNECTION,
        Charged.PROMPT,
        lambda wire: (Cut(),),
    ),
    UpstreamFailure("answers 429", FailureKind.RATE_LIMITED, Charged.NOTHING, _answered(429)),
    UpstreamFailure(
        "answers 429 and asks to wait beyond the deadline",
        FailureKind.RATE_LIMITED,
        Charged.NOTHING,
        lambda wire: wire.refusal(429, wire.error_object(), retry_after="600"),
        waits=True,
    ),
    UpstreamFailure(
        "answers 429 because its account is empty",
        FailureKind.QUOTA_EXHAUSTED,
        Charged.NOTHING,
        _answered(429, "insufficient_quota", "insufficient_quota"),
    ),
    UpstreamFailure("answers 400", FailureKind.INVALID_REQUEST, Charged.NOTHING, _answered(400)),
    UpstreamFailure(
        "answers 400 because the prompt is too long",
        FailureKind.CONTEXT_LENGTH,
        Charged.NOTHING,
        _answered(400, "context_length_exceeded", "invalid_request_error"),
    ),
    UpstreamFailure(
        "answers 400 because of its content filter",
        FailureKind.CONTENT_FILTER,
        Charged.NOTHING,
        _answered(400, "content_policy_violation", "invalid_request_error"),
    ),
    UpstreamFailure("answers 401", FailureKind.AUTHENTICATION, Charged.NOTHING, _answered(401)),
    UpstreamFailure("answers 403", FailureKind.AUTHENTICATION, Charged.NOTHING, _answered(403)),
    UpstreamFailure("answers 404", FailureKind.NOT_FOUND, Charged.NOTHING, _answered(404)),
    UpstreamFailure("answers 408", FailureKind.TIMEOUT, Charged.PROMPT, _answered(408)),
    UpstreamFailure("answers 500", FailureKind.SERVER_ERROR, Charged.NOTHING, _answered(500)),
    UpstreamFailure("answers 503", FailureKind.OVERLOADED, Charged.NOTHING, _answered(503)),
    UpstreamFailure("answers 504", FailureKind.TIMEOUT, Charged.PROMPT, _answered(504)),
    UpstreamFailure("answers 529", FailureKind.OVERLOADED, Charged.NOTHING, _answered(529)),
    UpstreamFailure(
        "stalls before its headers", FailureKind.TIMEOUT, Charged.PROMPT, lambda wire: (Stall(),)
    ),
    UpstreamFailure(
        "stalls before its first token",
        FailureKind.TIMEOUT,
        Charged.PROMPT,
        lambda wire: (Head(), Stall()),
    ),
    UpstreamFailure(
        "stalls in the middle",
        FailureKind.TIMEOUT,
        Charged.SEEN,
        lambda wire: _begun(wire, Stall()),
        streamed=True,
    ),
    UpstreamFailure(
        "is cut off before its first token",
        FailureKind.INTERRUPTED,
        Charged.PROMPT,
        lambda wire: (Head(), Cut()),
    ),
    UpstreamFailure(
        "is cut off in the middle",
        FailureKind.INTERRUPTED,
        Charged.SEEN,
        lambda wire: _begun(wire, Cut()),
        streamed=True,
    ),
    UpstreamFailure(
        "is reset in the middle",
        FailureKind.INTERRUPTED,
        Charged.SEEN,
        lambda wire: _begun(wire, Reset()),
        streamed=True,
    ),
    UpstreamFailure(
        "ends its body in the middle",
        FailureKind.INTERRUPTED,
        Charged.SEEN,
        lambda wire: _begun(wire, End()),
        streamed=True,
    ),
    UpstreamFailure(
        "sends an error instead of its first token",
        FailureKind.OVERLOADED,
        Charged.PROMPT,
        lambda wire: (Head(), wire.event(wire.error_object(None, "overloaded_error")), End()),
    ),
    UpstreamFailure(
        "sends an error in the middle",
        FailureKind.OVERLOADED,
        Charged.SEEN,
        lambda wire: _begun(wire, wire.event(wire.error_object(None, "overloaded_error")), End()),
        streamed=True,
    ),
    UpstreamFailure(
        "begins with what cannot be read",
        FailureKind.MALFORMED,
        Charged.PROMPT,
        lambda wire: (Head(), _BROKEN, End()),
    ),
    UpstreamFailure(
        "sends what cannot be read in the middle",
        FailureKind.MALFORMED,
        Charged.SEEN,
        lambda wire: _begun(wire, _BROKEN, End()),
        streamed=True,
    ),
    UpstreamFailure(
        "answers with a page of something else",
        FailureKind.MALFORMED,
        Charged.PROMPT,
        lambda wire: (_PAGE,),
    ),
    UpstreamFailure("goes on past its cap", None, Charged.SEEN, _endless, streamed=True),
)
