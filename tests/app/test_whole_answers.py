"""Answers in one piece against a fake server, and the pings of every dialect's streams."""

import asyncio
import json
from typing import Any

import pytest

from chatnest import HttpConfig
from chatnest.adapters.transport.wire import Dialect, Encoder, WholeReply
from chatnest.app.endpoints import endpoints
from chatnest.domain.errors import Failure, FailureKind
from chatnest.domain.windows import US_PER_S
from tests.app.stream_stage import (
    HEADERS,
    HEARTBEAT_S,
    PROMPT_TOKENS,
    SILENT,
    STALL_S,
    Connection,
    Stage,
)
from tests.domain.chat_world import turns
from tests.support.client import Event
from tests.support.dialects import SPEAKERS
from tests.support.provider_dialects import ANTHROPIC, OPENAI, RESPONSES
from tests.support.speaker import HELLO, Speaker

DIALECTS = {endpoint.path: endpoint.dialect for endpoint in endpoints(HttpConfig())}
WHOLE = {speaker.name: speaker for speaker in (OPENAI, RESPONSES, ANTHROPIC)}
each_whole = pytest.mark.parametrize("speaker", WHOLE.values(), ids=WHOLE)
# What the last frames of a stream have in them that was cut, in each dialect.
CUT = {
    "chatnest": ("event: error\n",),
    "openai": ('data: {"error":', "data: [DONE]"),
    "responses": ("event: response.failed\n",),
    "anthropic": ("event: error\n",),
    "ai-sdk": ('"type":"error"', '"finishReason":"error"', "data: [DONE]"),
    "ag-ui": ('"type":"RUN_ERROR"',),
}


def dialect_of(speaker: Speaker) -> Dialect:
    return DIALECTS[speaker.path]


def reply_of(speaker: Speaker, **more: Any) -> Encoder | WholeReply:
    """What writes the answer to a greeting."""
    return dialect_of(speaker).decode(speaker.raw({**speaker.body(HELLO), **more})).reply


def whole_reply(speaker: Speaker) -> WholeReply:
    reply = reply_of(speaker, stream=False, stream_options=None)
    assert not isinstance(reply, Encoder)
    return reply


def sent(connection: Connection) -> tuple[int, dict[str, str], Any]:
    """The status, the headers and the JSON of a response that is complete."""
    head, body = connection.messages
    assert body["more_body"] is False
    headers = {name.decode(): value.decode() for name, value in head["headers"]}
    assert int(headers["content-length"]) == len(body["body"])
    return head["status"], headers, json.loads(body["body"])


@each_whole
async def test_an_answer_in_one_piece_is_sent_once_it_has_ended(speaker: Speaker) -> None:
    stage = Stage(SILENT)
    connection, serving = await stage.start(whole_reply(speaker))
    await turns()
    stage.world.provider.calls[0].say("Yes")
    await stage.run_for(10 * HEARTBEAT_S)
    assert connection.messages == []
    stage.finish()
    await serving

    status, headers, body = sent(connection)
    assert (status, headers["content-type"]) == (200, "application/json")
    assert headers[HEADERS[0][0]] == HEADERS[0][1]
    assert "Yes" in json.dumps(body)
    assert await stage.world.tokens() == (5, 0)
    assert stage.registry.open_streams == 0


@each_whole
async def test_a_client_that_leaves_before_its_whole_answer_stops_the_cost(
    speaker: Speaker,
) -> None:
    stage = Stage()
    connection, serving = await stage.start(whole_reply(speaker))
    await turns()
    stage.world.provider.calls[0].say("a ", "b ")
    await turns()
    connection.gone.set()
    await serving

    assert stage.world.provider.calls[0].closed
    assert await stage.world.tokens() == (PROMPT_TOKENS + 2, 0)
    assert connection.messages == []


@each_whole
async def test_a_server_that_cancels_a_whole_answer_at_once_leaves_no_hold(
    speaker: Speaker,
) -> None:
    stage = Stage()
    _, serving = await stage.start(whole_reply(speaker))
    await asyncio.sleep(0)
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving

    assert (await stage.world.tokens())[1] == 0


@each_whole
async def test_a_shutdown_tells_who_waits_for_a_whole_answer_to_ask_again(
    speaker: Speaker,
) -> None:
    stage = Stage()
    connection, serving = await stage.start(whole_reply(speaker))
    await turns()
    stage.world.provider.calls[0].say("a ")
    await turns()
    stage.registry.begin_drain(US_PER_S)
    await stage.run_for(1)
    await serving

    status, headers, _ = sent(connection)
    assert (status, headers["x-should-retry"], headers["retry-after"]) == (503, "true", "1")
    refused = speaker.refused(status, connection.messages[1]["body"])
    assert refused.text == "The server is shutting down. Please try again."
    assert "server_shutting_down" in refused.words
    assert stage.world.provider.calls[0].closed
    assert await stage.world.tokens() == (PROMPT_TOKENS + 1, 0)


@each_whole
async def test_a_provider_that_fails_is_an_error_with_a_status_of_its_own(
    speaker: Speaker,
) -> None:
    stage = Stage()
    connection, serving = await stage.start(whole_reply(speaker))
    await turns()
    stage.world.provider.calls[0].say("a ")
    stage.world.provider.calls[0].fail(Failure(FailureKind.INTERRUPTED))
    await serving

    status, _, _ = sent(connection)
    assert status == 502
    assert "provider_interrupted" in speaker.refused(status, connection.messages[1]["body"]).words


@each_whole
async def test_a_whole_answer_that_is_not_read_is_dropped_at_the_write_stall_limit(
    speaker: Speaker,
) -> None:
    stage = Stage()
    connection, serving = await stage.start(whole_reply(speaker))
    await turns()
    connection.reading.clear()
    stage.finish()
    await turns()
    assert await stage.world.tokens() == (5, 0)
    await stage.run_for(STALL_S - 1)
    assert not serving.done()
    await stage.run_for(1)
    await serving

    assert connection.messages == []
    assert stage.registry.open_streams == 0


@pytest.mark.parametrize("speaker", SPEAKERS.values(), ids=SPEAKERS)
async def test_every_stream_is_kept_alive_by_what_its_client_leaves_out(speaker: Speaker) -> None:
    stage = Stage(SILENT)
    reply = reply_of(speaker)
    assert isinstance(reply, Encoder)
    connection, serving = await stage.start(reply)
    await stage.run_for(HEARTBEAT_S - 1)
    assert speaker.ping not in connection.text
    await stage.run_for(1 + HEARTBEAT_S)
    assert connection.text.count(speaker.ping) == 2
    stage.world.provider.calls[0].say("Yes, ")
    await stage.run_for(HEARTBEAT_S)
    stage.world.provider.calls[0].say("yes.")
    stage.finish()
    await serving

    assert connection.text.count(speaker.ping) == 3
    told = speaker.read([Event(frame) for frame in connection.text.split("\n\n")[:-1]])
    assert (told.text, told.ended, told.tokens) == ("Yes, yes.", True, (4, 1))


@pytest.mark.parametrize("speaker", SPEAKERS.values(), ids=SPEAKERS)
async def test_every_stream_ends_with_its_wires_error_where_it_is_cut(speaker: Speaker) -> None:
    stage = Stage()
    connection, serving = await stage.start(reply_of(speaker))
    await turns()
    stage.world.provider.calls[0].say("a ")
    await turns()
    stage.registry.begin_drain(US_PER_S)
    await stage.run_for(1)
    await serving

    assert connection.complete
    *frames, nothing = connection.text.split("\n\n")
    assert nothing == ""
    last = frames[-len(CUT[speaker.name]) :]
    assert all(mark in frame for mark, frame in zip(CUT[speaker.name], last, strict=True))
    assert "The server is shutting down. Please try again." in last[0]
    assert await stage.world.tokens() == (PROMPT_TOKENS + 1, 0)
