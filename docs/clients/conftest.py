"""Runs the Python of the pages about clients, against a server of their own."""

from collections.abc import Iterator

import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

from tests.support.documented import client_variables, served_pages


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the server is."""
    with served_pages(tmp_path_factory.mktemp("pages")) as address:
        yield address


@pytest.fixture
def variables(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the pages tell their reader to set."""
    for name, value in client_variables(address).items():
        monkeypatch.setenv(name, value)


pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser()], pattern="*.md", fixtures=["variables"]
).pytest()
