"""What a token and a request may cost, counted in calls of the product's functions.

A clock in a shared machine's test run tells nothing; these numbers are the same wherever they are
counted. A change that makes one smaller lowers its bound with it. Where one grows, the table in the
failure says what was added.
"""

from tests.bench.counting import FEW, MANY, Calls, stage
from tests.bench.hop import HoppingProvider

PER_TOKEN_ALONE = 25.5
"""For a token that comes by itself, as most do: a read, a batch and a write of its own."""

PER_TOKEN_AT_ONCE = 1.0
"""For a further token of those that come in one read."""

PER_REQUEST = 645
"""For a request with an answer of twenty tokens in one piece, and for settling it."""


def slope(few: Calls, many: Calls) -> float:
    return (many.total() - few.total()) / (MANY - FEW)


def added(few: Calls, many: Calls) -> str:
    """What the further tokens called, for whoever reads a failure."""
    return str(Calls(many - few))


async def test_a_token_that_comes_alone_costs_no_more_calls_than_it_did() -> None:
    async with stage() as warm:
        few, many = await warm.one_by_one(FEW), await warm.one_by_one(MANY)
    assert 1 < slope(few, many) <= PER_TOKEN_ALONE, added(few, many)


async def test_a_token_among_others_costs_no_more_calls_than_it_did() -> None:
    async with stage() as warm:
        few, many = await warm.at_once(FEW), await warm.at_once(MANY)
    assert 0.5 < slope(few, many) <= PER_TOKEN_AT_ONCE, added(few, many)


async def test_a_request_costs_no_more_calls_than_it_did() -> None:
    async with stage() as warm:
        calls = await warm.at_once(FEW)
    assert FEW < calls.total() <= PER_REQUEST, str(calls)


async def test_one_more_layer_for_each_token_is_noticed() -> None:
    async with stage(HoppingProvider) as warm:
        few, many = await warm.one_by_one(FEW), await warm.one_by_one(MANY)
    assert slope(few, many) > PER_TOKEN_ALONE
