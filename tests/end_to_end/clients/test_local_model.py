"""Every client has answers of a real model, and all that they used is charged."""

from pathlib import Path

import pytest

from tests.end_to_end.clients.all_clients import CLIENTS
from tests.end_to_end.clients.asking import Case
from tests.support.client import Exchange, usage
from tests.support.node_clients import NodeClients
from tests.support.running import serve_process
from tests.support.waiting import until

pytest_plugins = ["tests.support.node_fixtures"]
# The clients may have to be installed first.
pytestmark = pytest.mark.timeout(900)

SHORT_ANSWERS = """
[profiles.balanced]
max_output_tokens = 24
requests_per_minute = 60
"""
# The same answer each time, and a long one.
CALM = """
[profiles.balanced]
temperature = 0
"""
STORY = "Tell me a long story about the sea."


async def model_of(port: int) -> str:
    """The public name of the only model, as its clients find it."""
    async with await Exchange.open(port, "/v1/models", method="GET") as exchange:
        (model,) = (await exchange.json())["data"]
    return str(model["id"])


async def test_each_client_reads_the_model_and_its_tokens_are_those_that_are_charged(
    node_clients: NodeClients, tmp_path: Path
) -> None:
    (tmp_path / "chatnest.toml").write_text(SHORT_ANSWERS)
    async with serve_process("--provider", "local", folder=tmp_path) as server:
        url, model = f"http://127.0.0.1:{server.port}", await model_of(server.port)
        told = 0
        for client in CLIENTS:
            manners = (True,) if client.has_pieces_only else (True, False)
            cases = [Case(url=url, model=model, stream=stream) for stream in manners]
            for outcome in await client.ask(lambda: node_clients)(cases):
                assert outcome.error is None, (client.name, outcome)
                assert outcome.text.strip(), client.name
                assert outcome.finish in (client.ends.stop, client.ends.length), (
                    client.name,
                    outcome,
                )
                assert outcome.usage is not None
                told += sum(outcome.usage)
        tokens = (await usage(server.port))["tokens-day"]

    assert (tokens["used"], tokens["held"]) == (told, 0)


async def test_each_client_that_leaves_stops_the_model_and_frees_the_rest(
    node_clients: NodeClients, tmp_path: Path
) -> None:
    (tmp_path / "chatnest.toml").write_text(CALM)
    async with serve_process("--provider", "local", folder=tmp_path) as server:
        url, model = f"http://127.0.0.1:{server.port}", await model_of(server.port)

        async def nothing_held() -> bool:
            return not (await usage(server.port))["tokens-day"]["held"]

        for client in CLIENTS:
            before = (await usage(server.port))["tokens-day"]["used"]
            case = Case(url=url, model=model, question=STORY, leave_after=3)
            (outcome,) = await client.ask(lambda: node_clients)([case])
            assert outcome.left_at_ms is not None, (client.name, outcome)
            await until(nothing_held)
            # The model's template and the question are about fifty tokens, the hold hundreds.
            used = (await usage(server.port))["tokens-day"]["used"] - before
            assert 3 < used < 150, client.name
