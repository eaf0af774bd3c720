"""An answer that breaks off is not taken for a whole one, whoever reads it, nor paid for twice."""

import pytest

from chatnest.adapters.providers.scripted import Script
from tests.end_to_end.clients.all_clients import Client
from tests.end_to_end.clients.asking import QUESTION, Ask, Case, Outcome
from tests.end_to_end.clients.failures import BROKEN
from tests.end_to_end.clients.shown import agrees, end_shown, failure_shown
from tests.end_to_end.clients.stage import Site, Stage, open_site

pytest_plugins = ["tests.support.node_fixtures"]

# The clients may have to be installed first.
pytestmark = pytest.mark.timeout(900)


async def broken(
    site: Site, ask: Ask, *, stream: bool, retries: int | None = None
) -> dict[str, tuple[Outcome, Stage]]:
    """What is seen of every way to break off, and by whom it was served."""
    stages = {
        name: await site.stage([each.script, Script()], trouble=each.trouble, **each.settings)
        for name, each in BROKEN.items()
    }
    cases = [Case(url=stage.url, stream=stream, retries=retries) for stage in stages.values()]
    outcomes = await ask(cases)
    return dict(zip(stages, zip(outcomes, stages.values(), strict=True), strict=True))


async def test_a_stream_that_breaks_off_shows_what_came_what_it_cost_and_why(
    client: Client, ask: Ask
) -> None:
    async with open_site() as site:
        for name, (outcome, stage) in (await broken(site, ask, stream=True)).items():
            each = BROKEN[name]
            if client.retries_silence and not each.said:
                assert (outcome.text, outcome.error, stage.requests) == (QUESTION, None, 2)
                continue
            assert agrees(outcome, end_shown(client, each)), (name, outcome)
            assert (outcome.text, outcome.finish) == (each.said, client.ends.failed), name
            assert stage.requests == 1, name
            charged = await stage.settled_tokens()
            assert sum(outcome.usage or ()) == (charged if client.sees_usage_of_failures else 0)
            assert charged > 0


async def test_an_answer_in_one_piece_that_breaks_off_is_an_error_with_a_status(
    client: Client, ask: Ask
) -> None:
    if client.has_pieces_only:
        return
    async with open_site() as site:
        for name, (outcome, stage) in (await broken(site, ask, stream=False, retries=0)).items():
            assert agrees(outcome, failure_shown(client, BROKEN[name])), (name, outcome)
            assert (outcome.text, stage.requests) == ("", 1), name


async def test_an_answer_in_one_piece_that_broke_off_is_asked_for_again_where_that_helps(
    client: Client, ask: Ask
) -> None:
    if client.has_pieces_only:
        return
    async with open_site() as site:
        for name, (outcome, stage) in (await broken(site, ask, stream=False)).items():
            each = BROKEN[name]
            assert stage.requests == (1 + each.is_retried + each.stays), (name, outcome)
            if each.is_retried and not each.stays:
                assert (outcome.text, outcome.error) == (QUESTION, None), name
            else:
                assert agrees(outcome, failure_shown(client, each)), (name, outcome)
