"""Streams against a fake server: heartbeats, stalls, disconnects and shutdown."""

import asyncio

import pytest

from chatnest.domain.errors import BusyError
from chatnest.domain.events import Finished, FinishReason, TextDelta, UsageReported
from chatnest.domain.usage import TokenUsage
from chatnest.domain.windows import US_PER_S
from tests.app.stream_stage import (
    HEARTBEAT_S,
    PROMPT_TOKENS,
    SILENT,
    STALL_S,
    Connection,
    Stage,
)
from tests.domain.chat_world import turns


async def test_an_answer_is_sent_frame_by_frame_and_ended() -> None:
    stage = Stage()
    stage.world.provider.script.append(
        (TextDelta("Hi"), UsageReported(TokenUsage(4, 1)), Finished(FinishReason.STOP))
    )
    connection, serving = await stage.start()
    await serving

    assert connection.messages[0]["type"] == "http.response.start"
    assert connection.text.startswith('event: start\ndata: \n\nevent: token\ndata: "Hi"\n\n')
    assert connection.text.endswith("event: done\ndata: \n\n")
    assert connection.complete
    assert stage.registry.open_streams == 0


async def test_what_arrives_together_is_written_together() -> None:
    stage = Stage()
    connection, serving = await stage.start()
    await turns()
    before = len(connection.messages)
    stage.world.provider.calls[0].give(TextDelta("a"), TextDelta("b"), TextDelta("c"))
    await turns()

    assert len(connection.messages) == before + 1
    stage.finish()
    await serving


async def test_a_ping_comes_after_each_silence_and_not_before() -> None:
    stage = Stage(SILENT)
    connection, serving = await stage.start()
    await stage.run_for(HEARTBEAT_S - 1)
    assert "ping" not in connection.text
    await stage.run_for(1)
    assert connection.text.count("event: ping\ndata: \n\n") == 1
    await stage.run_for(HEARTBEAT_S - 1)
    stage.world.provider.calls[0].say("x")
    await stage.run_for(HEARTBEAT_S - 1)
    assert connection.text.count("ping") == 1
    await stage.run_for(1)
    assert connection.text.count("ping") == 2
    stage.finish()
    await serving


async def test_a_token_waits_for_a_ping_that_is_being_written() -> None:
    stage = Stage(SILENT)
    connection, serving = await stage.start()
    await turns()
    connection.reading.clear()
    await stage.run_for(HEARTBEAT_S)
    stage.world.provider.calls[0].say("x")
    await turns()
    connection.reading.set()
    stage.finish()
    await serving

    assert connection.text.index("ping") < connection.text.index("token")


async def test_a_client_that_leaves_closes_the_provider_and_settles() -> None:
    stage = Stage()
    connection, serving = await stage.start()
    await turns()
    stage.world.provider.calls[0].say("a ", "b ")
    await turns()
    connection.gone.set()
    await serving

    assert stage.world.provider.calls[0].closed
    assert await stage.world.tokens() == (PROMPT_TOKENS + 2, 0)
    assert not connection.complete


async def test_a_client_that_leaves_at_once_leaves_no_hold() -> None:
    stage = Stage()
    answer = await stage.world.answer("x")
    connection = Connection()
    connection.gone.set()
    await stage.serve(answer, connection)

    assert (await stage.world.tokens())[1] == 0


async def test_a_server_that_cancels_the_request_at_once_leaves_no_hold() -> None:
    stage = Stage()
    answer = await stage.world.answer("x")
    serving = stage.serve(answer, Connection())
    await asyncio.sleep(0)
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving

    assert (await stage.world.tokens())[1] == 0


async def test_a_client_that_stops_reading_is_dropped_at_the_write_stall_limit() -> None:
    stage = Stage()
    connection, serving = await stage.start()
    await turns()
    connection.reading.clear()
    stage.world.provider.calls[0].say("unread ")
    await stage.run_for(STALL_S - 1)
    assert not stage.world.provider.calls[0].closed
    await stage.run_for(1)
    await serving

    assert stage.world.provider.calls[0].closed
    assert await stage.world.tokens() == (PROMPT_TOKENS + 1, 0)


async def test_a_client_that_never_reads_the_headers_is_dropped_too() -> None:
    stage = Stage()
    answer = await stage.world.answer("x")
    connection = Connection()
    connection.reading.clear()
    serving = stage.serve(answer, connection)
    await stage.run_for(STALL_S)
    await serving

    assert await stage.world.tokens() == (0, 0)


async def test_a_draining_process_takes_no_new_chats() -> None:
    stage = Stage()
    stage.registry.check_open()
    stage.registry.begin_drain(US_PER_S)

    with pytest.raises(BusyError):
        stage.registry.check_open()
    stage.registry.begin_drain(9 * US_PER_S)
    assert stage.world.clock.pending == 1


async def test_a_drain_lets_streams_go_on_and_cuts_them_after_its_grace() -> None:
    stage = Stage()
    connection, serving = await stage.start()
    await turns()
    stage.world.provider.calls[0].say("a ")
    await turns()
    stage.registry.begin_drain(2 * US_PER_S)
    await stage.run_for(1)
    stage.world.provider.calls[0].say("b ")
    await turns()
    assert not serving.done()
    await stage.run_for(1)
    await serving

    assert connection.complete
    assert '"code":"server_shutting_down"' in connection.text
    assert await stage.world.tokens() == (PROMPT_TOKENS + 2, 0)


async def test_closing_ends_every_stream_and_waits_for_their_settlement() -> None:
    stage = Stage()
    streams = [await stage.start() for _ in range(5)]
    await turns()
    await stage.registry.close(US_PER_S)

    assert stage.registry.open_streams == 0
    assert stage.registry.draining
    assert all(connection.complete for connection, _ in streams)
    assert await stage.world.tokens() == (5 * PROMPT_TOKENS, 0)
    await asyncio.gather(*(serving for _, serving in streams))


async def test_closing_cancels_streams_whose_client_does_not_read() -> None:
    stage = Stage()
    connection, serving = await stage.start()
    await turns()
    connection.reading.clear()
    stage.world.provider.calls[0].say("unread ")
    await turns()
    closing = asyncio.create_task(stage.registry.close(US_PER_S))
    await stage.run_for(2)
    await closing
    await serving

    assert await stage.world.tokens() == (PROMPT_TOKENS + 1, 0)


async def test_a_chat_that_was_admitted_before_the_cut_and_begins_after_it_says_goodbye() -> None:
    stage = Stage()
    answer = await stage.world.answer("x")
    stage.registry.begin_drain(US_PER_S)
    await stage.run_for(1)
    connection = Connection()
    await stage.serve(answer, connection)

    assert connection.complete
    assert '"code":"server_shutting_down"' in connection.text
    assert stage.world.provider.calls == []


async def test_a_request_that_is_cancelled_twice_before_it_streams_leaves_no_hold() -> None:
    stage = Stage()
    answer = await stage.world.answer("x")
    serving = stage.serve(answer, Connection(), cancelled=True)
    await asyncio.sleep(0)
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    await turns()

    assert all(puppet.closed for puppet in stage.world.provider.calls)
    assert (await stage.world.tokens())[1] == 0
