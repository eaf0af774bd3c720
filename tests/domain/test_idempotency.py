"""One idempotency key is one call and one charge, whoever sends it again and when."""

import asyncio
from dataclasses import replace

import pytest

from chatnest.adapters.storage.memory import MemoryStore
from chatnest.domain.admission import Refusal, RefusalCode
from chatnest.domain.answer import Answer
from chatnest.domain.errors import StoreUnavailableError
from chatnest.domain.events import Finished, FinishReason, TextDelta, UsageReported
from chatnest.domain.requests import Principal
from chatnest.domain.usage import TokenUsage
from chatnest.domain.windows import US_PER_S
from chatnest.testing.clock import ManualClock
from tests.domain.chat_world import ALICE, World, drive, leave_after, request, turns

ANSWERED = (TextDelta("yes"), UsageReported(TokenUsage(5, 1)), Finished(FinishReason.STOP))


async def open_keyed(
    world: World, key: str = "k", principal: Principal = ALICE
) -> Answer | Refusal:
    asked = replace(request("one two three"), idempotency_key=key)
    return await world.service.open(principal, asked)


async def answer_keyed(world: World, key: str = "k") -> Answer:
    answer = await open_keyed(world, key)
    assert isinstance(answer, Answer), answer
    return answer


def is_duplicate(outcome: Answer | Refusal) -> bool:
    return isinstance(outcome, Refusal) and outcome.code is RefusalCode.DUPLICATE


async def test_a_key_that_is_being_answered_is_refused() -> None:
    world = World()
    answer = await answer_keyed(world)
    assert is_duplicate(await open_keyed(world))
    await answer.aclose()


async def test_a_key_that_was_answered_is_refused_and_charged_once() -> None:
    world = World()
    world.provider.script.append(ANSWERED)
    await drive(world, await answer_keyed(world))
    assert is_duplicate(await open_keyed(world))
    assert await world.tokens() == (6, 0)
    assert len(world.provider.calls) == 1


async def test_keys_are_each_callers_own() -> None:
    world = World()
    answers = [
        await open_keyed(world, key, principal)
        for key, principal in (("a", ALICE), ("b", ALICE), ("a", Principal("user:bob")))
    ]
    for answer in answers:
        assert isinstance(answer, Answer)
        await answer.aclose()


async def test_a_refused_request_has_used_no_key() -> None:
    world = World()
    too_large = replace(request("word " * 5_000), idempotency_key="k")
    assert isinstance(await world.service.open(ALICE, too_large), Refusal)
    await (await answer_keyed(world)).aclose()


async def test_two_nodes_at_the_same_moment_make_one_call() -> None:
    clock = ManualClock()
    store = MemoryStore(clock)
    nodes = [World(store=store, clock=clock, node=node) for node in ("a", "b")]
    outcomes = await asyncio.gather(*[open_keyed(node) for node in nodes])
    assert sorted(is_duplicate(outcome) for outcome in outcomes) == [False, True]
    for outcome in outcomes:
        if isinstance(outcome, Answer):
            await outcome.aclose()


async def test_a_duplicate_neither_keeps_nor_frees_the_others_hold() -> None:
    world = World()
    answer = await answer_keyed(world)
    other = asyncio.create_task(open_keyed(world))
    await asyncio.sleep(0)
    other.cancel()
    await asyncio.gather(other, return_exceptions=True)
    await turns()
    assert (await world.tokens())[1] > 0
    await answer.aclose()


async def test_a_lost_reply_does_not_take_back_what_another_holds() -> None:
    class Losing(MemoryStore):
        lost = False

        async def transact(self, keys, step):  # type: ignore[no-untyped-def]  # passed through
            done = await super().transact(keys, step)
            if self.lost:
                self.lost = False
                raise StoreUnavailableError("the reply was lost")
            return done

    clock = ManualClock()
    store = Losing(clock)
    world = World(store=store, clock=clock)
    answer = await answer_keyed(world)
    store.lost = True
    with pytest.raises(StoreUnavailableError):
        await open_keyed(world)
    await clock.run_for(US_PER_S)
    assert (await world.tokens())[1] > 0
    await answer.aclose()


async def test_a_reader_who_left_has_used_the_key() -> None:
    world = World()
    await leave_after(await answer_keyed(world), 0)
    assert is_duplicate(await open_keyed(world))
