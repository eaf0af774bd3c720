"""Each client's user learns why there is no answer, and it asks again only where that can help."""

import pytest

from tests.end_to_end.clients.all_clients import Client
from tests.end_to_end.clients.asking import QUESTION, Ask, Case, Outcome
from tests.end_to_end.clients.refusals import REFUSALS
from tests.end_to_end.clients.shown import agrees, refusal_shown, requests_by_default
from tests.end_to_end.clients.stage import open_site

pytest_plugins = ["tests.support.node_fixtures"]

# The clients may have to be installed first.
pytestmark = pytest.mark.timeout(900)


async def refused(ask: Ask, *, retries: int | None, stream: bool) -> dict[str, tuple[Outcome, int]]:
    """What is seen of every refusal, and how many requests that took."""
    async with open_site() as site:
        stages = {
            name: await site.stage(
                each.scripts,
                trouble=each.trouble,
                provider_name=each.provider_name,
                **each.settings,
            )
            for name, each in REFUSALS.items()
        }
        outcomes = await ask(
            [
                Case(url=stage.url, retries=retries, stream=stream, **REFUSALS[name].asked)
                for name, stage in stages.items()
            ]
        )
        return {
            name: (outcome, stage.requests)
            for (name, stage), outcome in zip(stages.items(), outcomes, strict=True)
        }


async def test_a_client_without_retries_shows_each_refusal(client: Client, ask: Ask) -> None:
    shown = await refused(ask, retries=0, stream=client.has_pieces_only)
    for name, (outcome, requests) in shown.items():
        expected = refusal_shown(client, REFUSALS[name])
        assert agrees(outcome, expected), (name, outcome, expected)
        assert (outcome.text, outcome.usage, requests) == ("", None, 1), name


async def test_a_client_as_it_comes_asks_again_where_that_helps_and_is_answered(
    client: Client, ask: Ask
) -> None:
    for name, (outcome, requests) in (await refused(ask, retries=None, stream=True)).items():
        expected = requests_by_default(client, REFUSALS[name])
        assert requests == expected, (name, outcome)
        if expected == 2:
            assert (outcome.text, outcome.error) == (QUESTION, None), name
        else:
            assert agrees(outcome, refusal_shown(client, REFUSALS[name])), (name, outcome)
