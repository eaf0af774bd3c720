"""The benchmark's own processes: an upstream that does as it is asked, and honest clients."""

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from bench.dialects import DIALECTS, Dialect, question
from bench.jobs import Job, Leaving, Outcome
from bench.programs import LoadGenerator, MockUpstream
from bench.scripts import TOKEN, TOKENS, Script, script_in
from bench.upstream_answers import ANTHROPIC, OPENAI, whole
from chatnest.adapters.providers.openai_stream import AnswerDecoder
from chatnest.adapters.providers.sse import EventDecoder
from chatnest.domain.events import Finished, FinishReason, TextDelta, UsageReported
from chatnest.domain.usage import TokenUsage

AT_ONCE = Script(20)
SILENT = Script(5, 60_000)
WITHIN_S = 20


@pytest.fixture(scope="module")
def upstream() -> Iterator[MockUpstream]:
    with MockUpstream(os.sched_getaffinity(0)) as started:
        yield started


@pytest.fixture(scope="module")
def load() -> Iterator[LoadGenerator]:
    with LoadGenerator(os.sched_getaffinity(0)) as started:
        yield started


def job(upstream: MockUpstream, script: Script, **more: object) -> Job:
    fields: dict[str, object] = {"dialect": "openai", "requests": 4, "concurrency": 2, **more}
    return Job(port=upstream.port, script=script, **fields)  # type: ignore[arg-type]


@contextmanager
def forgotten(upstream: MockUpstream) -> Iterator[None]:
    upstream.hang_up()
    upstream.forget()
    yield


def test_clients_keep_their_connections(upstream: MockUpstream, load: LoadGenerator) -> None:
    outcome = load.do(job(upstream, AT_ONCE, requests=10, concurrency=2))
    assert (outcome.answered, outcome.connections) == (10, 2)


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=list(DIALECTS))
def test_a_question_in_any_dialect_carries_its_script_and_tag(dialect: Dialect) -> None:
    script = Script(220, 10, 30, 4)
    before, after = question(dialect, history=7, prompt_bytes=1_000)
    body = before + script.asked_for(17).encode() + after
    assert script_in(body) == (script, 17)
    messages = json.loads(body)["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant"] * 3 + ["user"]
    assert 1_000 <= len(json.dumps(messages[-1])) < 1_200


def test_a_script_is_found_wherever_it_stands_and_only_where_it_does() -> None:
    assert script_in(b"nothing of the kind") is None
    assert script_in(b"mock-3-0") == (Script(3), 0)


def test_chatnest_reads_in_an_openai_answer_what_was_asked_for() -> None:
    head, _, body = whole(OPENAI, 3).partition(b"\r\n\r\n")
    decoder = AnswerDecoder()
    events = decoder.decode(EventDecoder().feed(without_chunks(body)))
    texts = [event.text for event in events if isinstance(event, TextDelta)]
    assert texts == [TOKENS[0], TOKENS[1], TOKENS[0]]
    assert events[-2:] == [UsageReported(TokenUsage(20, 3)), Finished(FinishReason.STOP)]
    assert b"transfer-encoding: chunked" in head


def without_chunks(body: bytes) -> bytes:
    data = b""
    while body:
        size, _, rest = body.partition(b"\r\n")
        length = int(size, 16)
        data, body = data + rest[:length], rest[length + 2 :]
    return data


def test_an_anthropic_answer_has_its_tokens_and_its_usage() -> None:
    answer = whole(ANTHROPIC, 7)
    assert answer.count(TOKEN) == 7
    assert b'"usage":{"output_tokens":7}' in answer
    assert answer.index(b"message_start") < answer.index(TOKEN) < answer.index(b"message_stop")


@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
@pytest.mark.parametrize(
    "script", [AT_ONCE, Script(20, 0, 0, 1), Script(20, 1, 5), Script(20, 1, 0, 4)]
)
def test_every_answer_comes_with_all_of_its_tokens(
    upstream: MockUpstream, load: LoadGenerator, dialect: str, script: Script
) -> None:
    with forgotten(upstream):
        outcome = load.do(job(upstream, script, dialect=dialect))
        record = upstream.record()
    assert (outcome.answered, outcome.tokens, outcome.errors) == (4, 80, {})
    assert (record.asked, record.finished, record.tokens) == (4, 4, 80)
    assert len(outcome.first_token_ns) == 4
    if script.first_ms:
        # The event loop's timers count in milliseconds.
        assert min(outcome.first_token_ns) >= (script.first_ms - 1) * 1e6


def test_a_server_that_is_not_there_is_an_error_and_no_figure(load: LoadGenerator) -> None:
    outcome = load.do(Job(port=1, dialect="openai", script=AT_ONCE, requests=2, concurrency=1))
    assert (outcome.answered, sum(outcome.errors.values())) == (0, 2)


@pytest.mark.parametrize(
    ("script", "leaving"),
    [
        (Script(900, 10), Leaving(3)),
        (SILENT, Leaving(1, pause_ms=20)),
        (Script(5, 0, 60_000, 1), Leaving(0, pause_ms=20)),
    ],
    ids=["in the middle", "in a silence", "before the first token"],
)
def test_when_clients_leave_both_sides_tell_the_moment_and_the_tokens(
    upstream: MockUpstream, load: LoadGenerator, script: Script, leaving: Leaving
) -> None:
    with forgotten(upstream):
        outcome = load.do(job(upstream, script, leaving=leaving, first=100))
        seen = closed_answers(upstream, 4)
    assert {left.tag for left in outcome.left} == seen.keys() == {100, 101, 102, 103}
    for left in outcome.left:
        tokens, left_ns = seen[left.tag]
        assert left_ns > left.left_ns
        assert leaving.after_tokens <= left.tokens <= tokens
        assert tokens < script.tokens


def closed_answers(upstream: MockUpstream, number: int) -> dict[int, tuple[int, int]]:
    until(lambda: len(upstream.record().left) == number)
    return {left.tag: (left.tokens, left.left_ns) for left in upstream.record().left}


def until(condition: Callable[[], bool]) -> None:
    """Ask *condition* until it holds: it is about another process."""
    latest = time.monotonic() + WITHIN_S
    while not condition():
        assert time.monotonic() < latest
        time.sleep(0.005)


def test_streams_stay_open_until_their_job_is_stopped(
    upstream: MockUpstream, load: LoadGenerator
) -> None:
    with forgotten(upstream):
        load.begin(job(upstream, SILENT, requests=6, concurrency=6, staying=True))
        until(lambda: len(upstream.record().open) == 6)
        outcome: Outcome = load.stop()
        seen = closed_answers(upstream, 6)
    assert (outcome.open_at_stop, outcome.errors) == (6, {})
    assert len(seen) == 6


def test_an_upstream_that_hangs_up_is_noticed(upstream: MockUpstream, load: LoadGenerator) -> None:
    with forgotten(upstream):
        load.begin(job(upstream, SILENT, requests=2, concurrency=2, staying=True))
        until(lambda: len(upstream.record().open) == 2)
        upstream.hang_up()
        until(lambda: not upstream.record().open)
        outcome = load.stop()
    assert outcome.open_at_stop == 0
    assert outcome.errors == {"the connection was closed before the end": 2}
