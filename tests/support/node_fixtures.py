"""The npm clients as a fixture.

A test module that needs them names this module in its ``pytest_plugins``, and gives its tests
fifteen minutes, because the clients may have to be installed first.
"""

import pytest

from tests.support.node_clients import NodeClients, installed_clients


@pytest.fixture(scope="session")
def node_clients() -> NodeClients:
    """What runs the readers in ``tests/clients``."""
    return installed_clients()
