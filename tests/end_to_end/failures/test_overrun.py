"""A server that ignores the cap is left at the cap: its answer ends there, and so does the bill."""

import asyncio
from pathlib import Path

import pytest

from chatnest import ProfileConfig
from chatnest.domain.budget import HoldState
from chatnest.testing.upstream import Script, Step, Wait
from tests.end_to_end.failures.stage import ASKED, Entry, Server, Told, stage
from tests.end_to_end.failures.wires import COUNTER, WIRES, Wire
from tests.support.client import Event, chat

CAP = 40
WORDS = tuple(f" word{number}" for number in range(4 * CAP))


@pytest.mark.parametrize("wire", WIRES, ids=str)
async def test_an_answer_past_its_cap_ends_there_with_length_and_is_written_no_further(
    wire: Wire, tmp_path: Path
) -> None:
    read = [asyncio.Event() for _ in WORDS]
    server = Server(wire, in_step(wire, read))
    profiles = {"balanced": ProfileConfig(max_output_tokens=CAP)}
    async with stage(tmp_path, server, profiles=profiles) as app:
        events: list[Event] = []
        async with await chat(app.port, ASKED) as client:
            async for event in client.events():
                events.append(event)
                if event.name == "token":
                    read[len(events) - 2].set()
        told = Told.by(events)
        (exchange,) = app.upstreams[0].exchanges
        await exchange.connection.gone.wait()
        journal, used = await app.journal(), await app.used()

    assert exchange.json["max_tokens"] == CAP
    assert (told.last.name, told.usage["finishReason"]) == ("done", "length")
    # Every word was read before the next was written, so that nothing else was under way.
    longest = await words_within(wire, CAP)
    assert told.text == "".join(WORDS[: longest + 1])
    assert exchange.tokens_written == longest + 1
    tokens = await wire.prompt_tokens(ASKED) + await wire.tokens(told.text)
    assert journal == [Entry(server.target("first"), "length", HoldState.SETTLED, tokens)]
    assert used == told.usage["totalTokens"] == tokens


def in_step(wire: Wire, read: list[asyncio.Event]) -> Script:
    """An answer that goes on for ever, each word of it written when the one before was read."""
    steps: list[Step] = [*wire.begun()]
    for word, event in zip(WORDS, read, strict=True):
        steps += (wire.scripts.text(word), Wait(event))
    return steps


async def words_within(wire: Wire, cap: int) -> int:
    """How many words can be *cap* tokens: where they are only estimated, the most."""
    most = cap * (100 + COUNTER.overestimate_percent(wire.model)) // 100
    counts = [await wire.tokens("".join(WORDS[:number])) for number in range(len(WORDS))]
    return max(number for number, count in enumerate(counts) if count <= most)
