"""Each client has its answer: the words, what it cost, how it ended, and what tools came to."""

import pytest

from chatnest import ProfileConfig
from chatnest.adapters.providers.scripted import CallState, Script
from chatnest.domain.events import FinishReason
from chatnest.domain.messages import Role, ToolCall
from tests.end_to_end.clients.all_clients import Client
from tests.end_to_end.clients.asking import QUESTION, WEATHER, WEATHER_RESULT, Ask, Case, Outcome
from tests.end_to_end.clients.stage import Stage, open_site, staged
from tests.support.waiting import until

pytest_plugins = ["tests.support.node_fixtures"]

# The clients may have to be installed first.
pytestmark = pytest.mark.timeout(900)

CLOSED_WITHIN_MS = 50
THOUGHT = "Well then."
CALL = ToolCall("call-1", WEATHER, '{"city":"Oslo"}')
CALLING = Script(text="", tool_calls=(CALL,), finish_reason=FinishReason.TOOL_CALLS)


def manners(client: Client) -> tuple[bool, ...]:
    """Whether the answer is streamed: for a client that can have both, each of them."""
    return (True,) if client.has_pieces_only else (True, False)


async def test_an_answer_comes_with_what_was_thought_used_and_why_it_ended(
    client: Client, ask: Ask
) -> None:
    async with staged(Script(reasoning=THOUGHT)) as stage:
        for outcome in await ask([Case(url=stage.url, stream=how) for how in manners(client)]):
            assert outcome == Outcome(
                text=QUESTION,
                reasoning=THOUGHT if client.sees_thoughts else "",
                finish=client.ends.stop,
                usage=[len(QUESTION.split()), len(f"{THOUGHT} {QUESTION}".split())],
            )
        assert stage.requests == len(manners(client))


async def test_an_answer_that_its_cap_cuts_says_so(client: Client, ask: Ask) -> None:
    profiles = {"balanced": ProfileConfig(max_output_tokens=3)}
    async with staged(profiles=profiles) as stage:
        for outcome in await ask([Case(url=stage.url, stream=how) for how in manners(client)]):
            assert (outcome.text, outcome.finish) == ("How far is", client.ends.length)
            assert outcome.error is None


async def test_a_tool_is_called_and_what_came_of_it_answers_the_question(
    client: Client, ask: Ask
) -> None:
    scripts = [CALLING, Script(text="It rains.")]
    async with open_site() as site:
        stages = [await site.stage(scripts) for _ in manners(client)]
        outcomes = await ask(
            [
                Case(url=stage.url, stream=how, tools=True)
                for stage, how in zip(stages, manners(client), strict=True)
            ]
        )
        for stage, outcome in zip(stages, outcomes, strict=True):
            assert outcome.calls == [[CALL.id, CALL.name, CALL.arguments]]
            assert (outcome.text, outcome.finish, outcome.error) == (
                "It rains.",
                client.ends.stop,
                None,
            )
            assert stage.requests == 2
            check_exchange(stage)


def check_exchange(stage: Stage) -> None:
    """The second call to the provider carries the first one's wish and what came of it."""
    first, second = (each.call for each in stage.provider.calls)
    assert [tool.name for tool in first.tools] == [WEATHER]
    asked, wish, result = second.messages
    assert (asked.role, asked.content) == (Role.USER, QUESTION)
    assert (wish.role, wish.tool_calls) == (Role.ASSISTANT, (CALL,))
    assert result.role is Role.TOOL
    assert (result.tool_call_id, result.content) == (CALL.id, WEATHER_RESULT)


async def test_a_client_that_leaves_closes_the_provider_at_once_and_pays_for_what_came(
    client: Client, ask: Ask
) -> None:
    async with staged(Script(stall_after=3)) as stage:
        (outcome,) = await ask([Case(url=stage.url, leave_after=3)])

        async def is_closed() -> bool:
            return bool(stage.provider.closed_at_ms)

        await until(is_closed)
        assert outcome.text == "How far is"
        assert outcome.left_at_ms is not None
        assert stage.provider.closed_at_ms[0] - outcome.left_at_ms < CLOSED_WITHIN_MS
        (call,) = stage.provider.calls
        assert (call.state, stage.requests) == (CallState.CLOSED_EARLY, 1)
        assert 3 <= await stage.settled_tokens() < call.call.max_output_tokens
