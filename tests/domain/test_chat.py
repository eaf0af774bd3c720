"""What happens before there is a stream: profiles, prompts, prices, and the admission."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from chatnest.domain.admission import Refusal, RefusalCode
from chatnest.domain.answer import Answer
from chatnest.domain.budget import BudgetRule, Hold, HoldState, Unit
from chatnest.domain.errors import Failure, FailureKind, InvalidRequestError
from chatnest.domain.events import Finished, FinishReason, UsageReported
from chatnest.domain.ledger import Change, Keys, Rows
from chatnest.domain.messages import Message, Role
from chatnest.domain.policy import EACH_PRINCIPAL, GLOBAL_SCOPE, ChatPolicy, UnknownPrice
from chatnest.domain.profiles import Wishes
from chatnest.domain.requests import ChatRequest, Principal
from chatnest.domain.usage import TokenUsage
from chatnest.domain.windows import US_PER_S
from chatnest.testing.clock import ManualClock
from tests.domain.chat_world import (
    ALICE,
    DAY,
    PATIENT,
    PROFILE,
    World,
    collect,
    limited,
    request,
    usage_of,
)
from tests.domain.stubborn_store import StubbornStore

BOB = Principal("user:bob")
# "x" is one byte and one word; two tokens around each message, three around all, and a hundred out.
HOLD = 1 + 2 + 3 + 100


def refused(outcome: Answer | Refusal) -> Refusal:
    assert isinstance(outcome, Refusal), outcome
    return outcome


async def sent(
    world: World, chat: ChatRequest, principal: Principal = ALICE
) -> tuple[Message, ...]:
    """The messages that reach the provider."""
    answer = await world.service.open(principal, chat)
    assert isinstance(answer, Answer), answer
    world.provider.script.append((Finished(FinishReason.STOP),))
    await collect(answer)
    return world.provider.calls[-1].call.messages


async def test_the_worst_case_is_held_before_anything_is_called() -> None:
    world = World()
    answer = await world.answer("x")

    assert await world.tokens() == (0, HOLD)
    assert world.provider.calls == []
    await answer.aclose()


async def test_a_refusal_calls_no_provider_and_is_observed() -> None:
    world = World(policy=limited(HOLD - 91))
    refusal = refused(await world.open("x"))

    assert refusal.code is RefusalCode.BUDGET_EXHAUSTED
    assert world.provider.calls == []
    assert world.witness.refusals == [("user:alice", "plain", "budget_exhausted")]
    assert await world.held() == [0, 0, 0]


async def test_room_for_five_admits_exactly_five_of_fifty() -> None:
    profile = replace(PROFILE, min_output_tokens=100)
    world = World(profile=profile, policy=limited(5 * HOLD))
    outcomes = await asyncio.gather(*(world.open("x") for _ in range(50)))

    assert sum(isinstance(outcome, Answer) for outcome in outcomes) == 5


async def test_everybody_together_is_limited_and_so_is_each() -> None:
    profile = replace(PROFILE, min_output_tokens=100)
    each = BudgetRule(EACH_PRINCIPAL, Unit.TOKENS, DAY, 2 * HOLD)
    everybody = BudgetRule(GLOBAL_SCOPE, Unit.TOKENS, DAY, 3 * HOLD)
    world = World(profile=profile, policy=ChatPolicy(budgets=(each, everybody)))
    outcomes = [await world.open("x", principal=who) for who in (ALICE, ALICE, ALICE, BOB, BOB)]

    assert [isinstance(outcome, Answer) for outcome in outcomes] == [True, True, False, True, False]


async def test_a_scope_is_charged_for_those_who_carry_it() -> None:
    profile = replace(PROFILE, min_output_tokens=100)
    world = World(profile=profile, policy=limited(HOLD, scope="team:red"))
    red = (Principal("a", scopes=("team:red",)), Principal("b", scopes=("team:red",)))

    assert isinstance(await world.open("x", principal=red[0]), Answer)
    assert isinstance(await world.open("x", principal=red[1]), Refusal)
    assert isinstance(await world.open("x", principal=BOB), Answer)


async def test_where_less_is_left_the_output_cap_shrinks() -> None:
    world = World(policy=limited(HOLD - 60))
    answer = await world.answer("x")
    world.provider.script.append((Finished(FinishReason.LENGTH),))
    await collect(answer)

    assert world.provider.calls[0].call.max_output_tokens == 40


async def test_a_prompt_is_counted_before_it_is_refused_for_its_bytes() -> None:
    word = "incomprehensibilities"
    by_words, by_bytes = 1 + 2 + 3 + 10, len(word) + 2 + 3 + 10
    world = World(policy=limited(by_words))
    assert by_bytes > by_words

    assert isinstance(await world.open(word), Answer)
    assert world.counter.counted == [word]


async def test_a_prompt_that_fits_by_its_bytes_is_not_counted() -> None:
    world = World()
    await world.answer("x")

    assert world.counter.counted == []


async def test_a_long_history_is_trimmed_and_only_what_may_be_kept_is_counted() -> None:
    world = World()
    texts = [f"{'x' * 400} {index}" for index in range(20)]
    messages = await sent(world, request(*texts))

    assert [message.content for message in messages] == texts[-4:]
    assert set(world.counter.counted) == set(texts[-4:])


async def test_a_question_that_cannot_fit_is_too_large() -> None:
    world = World()
    refusal = refused(await world.open("word " * 990))

    assert refusal.code is RefusalCode.REQUEST_TOO_LARGE
    assert refusal.limit_name == "tokens-request"
    assert world.provider.calls == []
    assert await world.held() == [0, 0]


async def test_a_long_question_eats_into_the_answer_before_it_is_refused() -> None:
    world = World()
    answer = await world.answer("word " * 950)
    world.provider.script.append((Finished(FinishReason.STOP),))
    await collect(answer)

    assert world.provider.calls[0].call.max_output_tokens == 1_000 - 950 - 2 - 3


async def test_a_window_that_the_template_alone_passes_has_no_room_at_all() -> None:
    assert refused(await World(context_window=1).open("x")).limit == 0


async def test_a_refusal_that_counting_cannot_avert_costs_one_round_trip() -> None:
    store = StubbornStore(clock := ManualClock())
    world = World(policy=limited(5), clock=clock, store=store)
    refused(await world.open("incomprehensibilities"))

    assert store.asked == 1


async def test_the_context_window_of_the_model_is_a_limit_too() -> None:
    world = World(context_window=50)

    assert refused(await world.open("word " * 60)).code is RefusalCode.REQUEST_TOO_LARGE
    assert isinstance(await world.open("word " * 30), Answer)


async def test_an_unknown_profile_is_named_with_those_there_are() -> None:
    with pytest.raises(InvalidRequestError, match="plain") as caught:
        await World().service.open(ALICE, replace(request("x"), profile="golden"))
    assert caught.value.field == "profile"


async def test_a_profile_that_is_not_the_callers_is_refused() -> None:
    world = World()
    limited_caller = Principal("user:eve", profiles=frozenset({"other"}))

    assert refused(await world.open("x", principal=limited_caller)).code is (
        RefusalCode.NOT_ALLOWED
    )


async def test_usage_is_told_under_the_profiles_of_the_caller_alone() -> None:
    world = World()
    with pytest.raises(InvalidRequestError) as caught:
        await world.service.usage(Principal("user:eve", profiles=frozenset({"other"})), "plain")
    assert caught.value.field == "profile"


async def test_a_client_may_lower_its_numbers_and_not_raise_them() -> None:
    world = World(profile=replace(PROFILE, min_output_tokens=100))
    tight = replace(request("x"), wishes=Wishes(tokens_per_day=HOLD - 1))
    wide = replace(request("x"), wishes=Wishes(tokens_per_day=10**9, max_output_tokens=10**9))

    assert isinstance(await world.service.open(ALICE, tight), Refusal)
    assert isinstance(await world.service.open(ALICE, wide), Answer)
    assert await world.tokens() == (0, HOLD)


async def test_a_model_that_there_is_not_is_an_error() -> None:
    with pytest.raises(InvalidRequestError) as caught:
        await World().service.open(ALICE, replace(request("x"), model="model-2"))
    assert caught.value.field == "model"


@pytest.mark.parametrize("allowed", [True, False])
async def test_a_clients_system_prompt_is_used_only_where_it_is_allowed(allowed: bool) -> None:
    profile = replace(PROFILE, system_prompt="Be kind.")
    world = World(profile=profile, policy=ChatPolicy(client_system_prompt=allowed))
    messages = await sent(world, replace(request("x"), system_prompt="Be rude."))

    prompts = [message.content for message in messages if message.role is Role.SYSTEM]
    assert prompts == ["Be kind.", "Be rude."][: 2 if allowed else 1]


async def test_a_system_message_is_a_system_prompt_by_another_door() -> None:
    chat = ChatRequest((Message(Role.SYSTEM, "Be rude."), Message(Role.USER, "x")))
    with pytest.raises(InvalidRequestError) as caught:
        await World().service.open(ALICE, chat)
    assert caught.value.field == "messages[0].role"

    allowing = World(policy=ChatPolicy(client_system_prompt=True))
    assert await sent(allowing, chat) == chat.messages


@pytest.mark.parametrize(
    ("unknown_price", "admitted"), [(UnknownPrice.REFUSE, False), (UnknownPrice.IGNORE, True)]
)
async def test_an_unknown_price_is_not_zero_where_money_is_limited(
    unknown_price: UnknownPrice, admitted: bool
) -> None:
    policy = replace(limited(10**12, Unit.NANO_USD), unknown_price=unknown_price)
    world = World(policy=policy, price=None)

    assert isinstance(await world.open("x"), Answer) is admitted


async def test_an_unknown_price_does_not_matter_where_only_tokens_are_limited() -> None:
    assert isinstance(await World(price=None).open("x"), Answer)


async def test_money_is_limited_by_the_worst_case() -> None:
    worst = (1 + 2 + 3) * 1_000 + 100 * 4_000
    profile = replace(PROFILE, min_output_tokens=100)

    exact = World(profile=profile, policy=limited(worst, Unit.NANO_USD))
    assert isinstance(await exact.open("x"), Answer)
    less = World(profile=profile, policy=limited(worst - 1, Unit.NANO_USD))
    assert refused(await less.open("x")).limit_name == "nano_usd-day"


async def test_a_slot_is_free_again_when_its_stream_ends() -> None:
    world = World(profile=replace(PROFILE, concurrent_streams=1))
    first = await world.answer("x")

    assert refused(await world.open("x")).code is RefusalCode.TOO_MANY_STREAMS
    await first.aclose()
    assert isinstance(await world.open("x"), Answer)


async def test_dead_holds_are_charged_at_their_worst_case_once_they_are_due() -> None:
    world = World()
    await world.answer("x")
    lease_us = world.policy.time_limits.lease_us
    world.clock.advance(lease_us - 1)
    assert await world.service.charge_dead_holds() == 0

    world.clock.advance(1)
    assert await world.service.charge_dead_holds() == 1
    assert await world.service.charge_dead_holds() == 0
    assert await world.tokens() == (HOLD, 0)


async def test_an_answer_is_charged_to_the_day_that_held_it() -> None:
    world = World()
    answer = await world.answer("x")
    day_us = 24 * 3_600 * US_PER_S
    world.clock.set_wall(world.clock.now() + day_us)
    world.provider.script.append((UsageReported(TokenUsage(3, 4)), Finished(FinishReason.STOP)))
    await collect(answer)

    assert await world.tokens() == (0, 0)
    world.clock.set_wall(world.clock.now() - day_us)
    assert await world.tokens() == (7, 0)


async def test_the_journal_says_who_what_and_how_it_ended() -> None:
    world = World()
    answer = await world.answer("x")
    world.provider.script.append((UsageReported(TokenUsage(3, 4)), Finished(FinishReason.LENGTH)))
    await collect(answer)

    hold = await stored_hold(world, "id-1.1")
    assert hold.state is HoldState.SETTLED
    assert (hold.principal, hold.profile, hold.provider, hold.model) == (
        "user:alice",
        "plain",
        "puppet",
        "model-1",
    )
    assert (hold.outcome, hold.usage, hold.cost_nano_usd) == ("length", TokenUsage(3, 4), 19_000)


async def test_the_journal_says_what_went_wrong_and_each_attempt_has_its_own_lease() -> None:
    world = World(policy=PATIENT)
    answer = await world.answer("x")
    lost = Failure(FailureKind.CONNECTION)
    world.provider.script += [lost, Failure(FailureKind.CONTENT_FILTER)]
    collecting = asyncio.create_task(collect(answer))
    await world.clock.run_for(US_PER_S)
    await collecting
    first, second = [await stored_hold(world, f"id-1.{number}") for number in (1, 2)]

    assert (first.outcome, second.outcome) == ("connection", "content_filter")
    assert second.created_at == first.created_at + US_PER_S
    assert second.expires_at == first.expires_at + US_PER_S


async def stored_hold(world: World, hold_id: str) -> Hold:
    def read(rows: Rows) -> Change[Sequence[Hold]]:
        return Change(tuple(rows.holds.values()))

    (hold,) = await world.store.transact(Keys(holds=(hold_id,)), read)
    return hold


async def test_a_midnight_while_the_prompt_is_counted_does_not_split_the_admission() -> None:
    word = "incomprehensibilities"
    world = World(policy=limited(1 + 2 + 3 + 10))
    count = world.counter.count

    async def count_over_midnight(model: str, text: str, *, most: int | None = None) -> int:
        world.clock.set_wall(world.clock.now() + 24 * 3_600 * US_PER_S)
        return await count(model, text)

    world.counter.count = count_over_midnight  # type: ignore[method-assign]  # the test's own
    answer = await world.answer(word)
    world.provider.script.append((UsageReported(TokenUsage(3, 4)), Finished(FinishReason.STOP)))
    told = usage_of(await collect(answer)).balances

    assert {balance.settled for balance in told if balance.rule.unit is Unit.TOKENS} == {7}
