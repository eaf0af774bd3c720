"""Which target a chat goes to: one that has a place, a window, a price and what is asked for."""

import asyncio
from dataclasses import replace

import pytest

from chatnest.domain.admission import Refusal, RefusalCode
from chatnest.domain.answer import Answer
from chatnest.domain.budget import Unit
from chatnest.domain.capabilities import Capabilities
from chatnest.domain.errors import ConfigurationError, InvalidRequestError
from chatnest.domain.messages import ImagePart, Message, Role
from chatnest.domain.requests import ChatRequest
from chatnest.domain.routes import Route, Target
from chatnest.domain.tools import Tool
from chatnest.domain.usage import Price
from chatnest.domain.windows import US_PER_S
from chatnest.testing.clock import ManualClock
from tests.domain.chat_world import (
    ALICE,
    PATIENT,
    PRICE,
    PuppetProvider,
    World,
    leave_after,
    limited,
    request,
    turns,
)
from tests.domain.stubborn_store import StubbornStore
from tests.domain.two_worlds import BUSY, TwoWorlds


async def test_a_target_without_a_free_place_is_passed_over() -> None:
    world = TwoWorlds(most=1)
    answers = [await world.answer() for _ in range(2)]
    assert [answer.admitted.hold.provider for answer in answers] == ["first", "second"]
    for answer in answers:
        await answer.aclose()
    third = await world.answer()
    assert third.admitted.hold.provider == "first"
    await third.aclose()


async def test_who_finds_no_place_waits_for_a_moment_and_is_refused_clearly() -> None:
    world = TwoWorlds(most=1)
    answers = [await world.answer() for _ in range(2)]
    opening = asyncio.create_task(world.open("one two three"))
    await world.clock.run_for(US_PER_S - 1)
    assert not opening.done()
    await world.clock.run_for(1)
    outcome = await opening
    assert isinstance(outcome, Refusal)
    assert (outcome.code, outcome.limit) == (RefusalCode.PROVIDER_BUSY, 1)
    for answer in answers:
        await answer.aclose()


async def test_who_waits_is_served_when_a_place_is_left() -> None:
    world = TwoWorlds(most=1)
    answers = [await world.answer() for _ in range(2)]
    opening = asyncio.create_task(world.open("one two three"))
    await turns()
    await answers[0].aclose()
    outcome = await opening
    assert isinstance(outcome, Answer)
    await outcome.aclose()
    await answers[1].aclose()


@pytest.mark.parametrize("ending", ["refused", "cancelled"])
async def test_a_chat_that_is_not_admitted_leaves_its_place(ending: str) -> None:
    store = StubbornStore(ManualClock())
    world = TwoWorlds(limited(1) if ending == "refused" else PATIENT, most=1, store=store)
    for _ in range(3):
        if ending == "refused":
            assert isinstance(await world.open("one two three"), Refusal)
        else:
            store.gate.clear()
            opening = asyncio.create_task(world.open("one two three"))
            await turns()
            opening.cancel()
            await asyncio.gather(opening, return_exceptions=True)
            store.gate.set()
            await turns()
    free = TwoWorlds(most=1)
    assert isinstance(await free.open("one"), Answer)
    assert world.first.calls == []
    assert world.service._switchboard.route(None).targets[0].calls == 0


async def test_a_reader_who_leaves_during_a_back_off_leaves_every_place() -> None:
    world = TwoWorlds(most=1)
    world.first.script.append(BUSY)
    world.second.script.append(BUSY)
    await leave_after(await world.answer(), 0)
    targets = world.service._switchboard.route(None).targets
    assert [target.calls for target in targets] == [0, 0]
    assert await world.held() == [0, 0]


async def test_a_prompt_that_is_too_long_for_one_window_goes_to_another() -> None:
    world = TwoWorlds(window=30)
    answer = await world.answer("word " * 40)
    assert answer.admitted.hold.provider == "second"
    await answer.aclose()


async def test_a_prompt_that_fits_no_window_is_too_large() -> None:
    world = World(context_window=30)
    outcome = await world.open("word " * 40)
    assert isinstance(outcome, Refusal)
    assert outcome.code is RefusalCode.REQUEST_TOO_LARGE


PICTURE = ImagePart("data:image/png;base64,AA==")


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        (replace(request("hi"), tools=(Tool("find"),)), "tools"),
        (ChatRequest((Message.of_parts(Role.USER, [PICTURE]),)), "messages[0].content"),
        (replace(request("hi"), extra={"top_k": 3}, extra_wire="anthropic"), "top_k"),
    ],
)
async def test_what_a_target_cannot_be_told_goes_to_one_that_can(
    asked: ChatRequest, field: str
) -> None:
    unable = Capabilities(wire="openai")
    world = TwoWorlds(first=unable)
    world.second.capabilities = Capabilities(tools=True, images=True, wire="anthropic")
    answer = await world.service.open(ALICE, asked)
    assert isinstance(answer, Answer), answer
    assert answer.admitted.hold.provider == "second"
    await answer.aclose()

    alone = World()
    alone.provider.capabilities = unable
    with pytest.raises(InvalidRequestError) as refused:
        await alone.service.open(ALICE, asked)
    assert refused.value.field == field


async def test_an_unpriced_target_is_passed_over_where_money_is_limited() -> None:
    class OnlyLarge:
        def price(self, provider: str, model: str) -> Price | None:
            return PRICE if model == "large" else None

    world = TwoWorlds(limited(10**12, Unit.NANO_USD))
    world.service._prices = OnlyLarge()
    answer = await world.answer()
    assert answer.admitted.hold.provider == "second"
    await answer.aclose()


async def test_the_caller_is_told_the_public_name() -> None:
    world = TwoWorlds()
    answer = await world.answer()
    assert answer.started.model == "both"
    assert answer.admitted.hold.model == "small"
    await answer.aclose()


async def test_a_model_that_there_is_not_is_named_with_those_that_there_are() -> None:
    with pytest.raises(InvalidRequestError, match="there is: both") as refused:
        await TwoWorlds().service.open(ALICE, replace(request("hi"), model="third"))
    assert refused.value.field == "model"


def test_routes_that_cannot_work_are_refused() -> None:
    target = Target(PuppetProvider("one"), "m")
    with pytest.raises(ConfigurationError, match="two routes"):
        World(routes=[Route("a", (target,)), Route("a", (target,))])
    with pytest.raises(ConfigurationError, match="at least one route"):
        World(routes=[])
    with pytest.raises(ValueError, match="no target"):
        Route("a", ())
    with pytest.raises(ValueError, match="max_concurrent"):
        Target(PuppetProvider("one"), "m", max_concurrent=0)
