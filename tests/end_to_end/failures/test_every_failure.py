"""Every failure of the catalogue, on both wires, alone and beside a target that works.

What is to become of each is the catalogue's, which the documentation shows too: nothing here knows
any single one of them.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from chatnest import ProfileConfig, TimeLimitsConfig
from chatnest.domain.budget import HoldState
from chatnest.domain.errors import FailureKind
from chatnest.domain.retry import PUBLIC_ERRORS
from chatnest.testing.failures import FAILURES, Charged, UpstreamFailure
from chatnest.testing.upstream import Stall, Step
from tests.end_to_end.failures.stage import ASKED, ATTEMPTS, Entry, Server, Told, nobody, stage
from tests.end_to_end.failures.wires import WIRES, Wire, other
from tests.support.connecting import deaf_server

ANSWER = "Hello, world!"
ANSWER_TOKENS = (20, 4)
BEGUN = "Hello there"
# Long enough for a server that works, on a machine that has other things to do.
SOON = TimeLimitsConfig(first_token_s=0.5, idle_s=0.5)
SHORT = {"balanced": ProfileConfig(max_output_tokens=40)}


@pytest.fixture
def refusing() -> Iterator[str]:
    with nobody() as origin:
        yield origin


@pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside another"])
@pytest.mark.parametrize("wire", WIRES, ids=str)
@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: failure.does)
async def test_what_becomes_of_a_failure_is_what_the_tables_say(
    failure: UpstreamFailure, wire: Wire, beside: bool, refusing: str, tmp_path: Path
) -> None:
    script = () if failure.script is None else failure.script(wire.scripts)
    failing = Server(wire, script, refusing if failure.script is None else None)
    limits = SOON if Stall() in script else TimeLimitsConfig()
    await play(failure, failing, tmp_path, limits, beside=beside)


@pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside another"])
@pytest.mark.parametrize("wire", WIRES, ids=str)
async def test_a_connection_that_takes_too_long_costs_nothing(
    wire: Wire, beside: bool, tmp_path: Path
) -> None:
    late = UpstreamFailure("takes no connection", FailureKind.TIMEOUT, Charged.NOTHING, None)
    with deaf_server() as deaf:
        failing = Server(wire, origin="http://{}:{}".format(*deaf.getsockname()))
        await play(late, failing, tmp_path, TimeLimitsConfig(connect_s=0.5), beside=beside)


async def play(
    failure: UpstreamFailure,
    failing: Server,
    folder: Path,
    limits: TimeLimitsConfig,
    *,
    beside: bool,
) -> None:
    """See *failure* at the first target, and hold what becomes of it against the tables."""
    wire = failing.wire
    healthy = Server(other(wire), healthy_script(other(wire)))
    servers = (failing, healthy) if beside else (failing,)
    calls = expected_calls(failure, beside=beside)
    async with stage(folder, *servers, limits=limits, profiles=SHORT) as app:
        told = await app.ask()
        journal = await app.journal()
        used = await app.used()
        seen = app.calls

    failed_over = calls[1:] == (1,)
    assert_told(told, None if failed_over else failure)
    assert seen == [0 if failure.script is None else calls[0], *calls[1:]]
    expected = [await failed_attempt(failure, failing, told)] * calls[0]
    if failed_over:
        expected.append(
            Entry(healthy.target("second"), "stop", HoldState.SETTLED, sum(ANSWER_TOKENS))
        )
    assert journal == expected
    assert used == sum(entry.tokens for entry in expected)
    assert told.usage["totalTokens"] == expected[-1].tokens


def healthy_script(wire: Wire) -> tuple[Step, ...]:
    return wire.scripts.completion(usage=wire.scripts.usage_of(*ANSWER_TOKENS))


def expected_calls(failure: UpstreamFailure, *, beside: bool) -> tuple[int, ...]:
    """How often each target is to be called."""
    if beside:
        return failure.calls_beside_another
    return (ATTEMPTS if failure.calls_alone is None else failure.calls_alone,)


async def failed_attempt(failure: UpstreamFailure, failing: Server, told: Told) -> Entry:
    """What the journal is to say of each call of the target that fails."""
    outcome = "length" if failure.kind is None else str(failure.kind)
    target = failing.target("first")
    if failure.charged is Charged.NOTHING:
        return Entry(target, outcome, HoldState.RELEASED, 0)
    tokens = await failing.wire.prompt_tokens(ASKED)
    if failure.charged is Charged.SEEN:
        tokens += await failing.wire.tokens(told.text)
    return Entry(target, outcome, HoldState.SETTLED, tokens)


def assert_told(told: Told, failure: UpstreamFailure | None) -> None:
    """The client got the other target's answer, or what became of *failure*."""
    if failure is None:
        assert (told.last.name, told.text) == ("done", ANSWER)
    elif failure.kind is None:
        assert (told.last.name, told.usage["finishReason"]) == ("done", "length")
        assert told.text.startswith(BEGUN)
    else:
        error = PUBLIC_ERRORS[failure.kind]
        assert (told.last.name, told.text) == ("error", BEGUN if failure.streamed else "")
        assert told.last.json == {
            "message": error.message,
            "code": error.code,
            "retryable": error.retryable,
        }
