"""Each client in turn, and what it takes to have it ask."""

import pytest

from tests.end_to_end.clients.all_clients import CLIENTS, Client
from tests.end_to_end.clients.asking import Ask
from tests.support.node_clients import NodeClients


@pytest.fixture(params=CLIENTS, ids=lambda client: str(client.name))
def client(request: pytest.FixtureRequest) -> Client:
    """Every client."""
    chosen: Client = request.param
    return chosen


@pytest.fixture
def ask(client: Client, request: pytest.FixtureRequest) -> Ask:
    """Has the client ask."""

    def npm_clients() -> NodeClients:
        clients: NodeClients = request.getfixturevalue("node_clients")
        return clients

    return client.ask(npm_clients)
