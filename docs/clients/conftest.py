"""Runs the Python of the pages about clients, against a server of their own."""

from collections.abc import Iterator

import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

from tests.support.documented import client_variables, served_pages


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What the variables of the SDKs point at."""
    folder = tmp_path_factory.mktemp("pages")
    with served_pages(folder) as address, pytest.MonkeyPatch.context() as patch:
        for name, value in client_variables(address).items():
            patch.setenv(name, value)
        yield


pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser()], pattern="*.md", fixtures=["server"]
).pytest()
