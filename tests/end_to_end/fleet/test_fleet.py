"""Four servers admit at once against one ledger: a budget holds as if there were one of them."""

from pathlib import Path

import pytest

from chatnest.adapters.tokenizers import BpeTokenCounter
from chatnest.domain.budget import HoldState, Unit
from tests.end_to_end.fleet.ledger import charged_tokens
from tests.end_to_end.fleet.load import ask_all, endings
from tests.end_to_end.fleet.servers import OUTPUT_CAP, configuration, fleet
from tests.end_to_end.fleet.stores import StoreUnderTest
from tests.end_to_end.fleet.upstream import CountedUpstream, prompt_of

pytestmark = pytest.mark.timeout(120)

SERVERS = 4
CHATS = range(400)
ROOM = 101
MODEL = "gpt-4o-mini"


def most_prompt_tokens() -> int:
    """What an admission holds for a prompt: by its bytes, since nothing is counted before."""
    counter = BpeTokenCounter()
    overhead = counter.overhead(MODEL)
    return counter.bound(MODEL, prompt_of(0)) + overhead.per_message + overhead.per_request


@pytest.mark.parametrize("unit", [Unit.REQUESTS, Unit.TOKENS])
async def test_four_servers_let_through_what_one_budget_has_room_for_and_not_one_more(
    unit: Unit, any_store: StoreUnderTest, tmp_path: Path
) -> None:
    ledger = any_store.ledger
    upstream = CountedUpstream(OUTPUT_CAP)
    # Every call settles what it held: whenever a chat is judged, the room is for whole chats.
    upstream.prompt_tokens = most_prompt_tokens()
    each = 1 if unit is Unit.REQUESTS else upstream.prompt_tokens + OUTPUT_CAP

    async with upstream, ledger.watched() as exceeded:
        settings = configuration(
            any_store.url, upstream.base_url, budgets=[(str(unit), ROOM * each)]
        )
        async with fleet(tmp_path, SERVERS, settings) as nodes:
            outcomes = await ask_all([node.port for node in nodes], CHATS)
            books = await ledger.settled_books()

    assert endings(outcomes) == {"done": ROOM, "budget_exhausted": len(CHATS) - ROOM}
    assert {outcome.status for outcome in outcomes if not outcome.is_whole} == {429}
    assert upstream.call_count == ROOM
    assert exceeded == []
    assert books.of_everybody(unit).settled == ROOM * each
    assert [hold.state for hold in books.holds.values()] == [HoldState.SETTLED] * ROOM
    assert {charged_tokens(hold) for hold in books.holds.values()} == {
        upstream.billable(a) for a in upstream.calls
    }
    code, words = await ledger.verify()
    assert code == 0, words
