"""What the pages about clients say in JavaScript and in the shell works as it stands there.

Their Python is run where they are.
"""

import asyncio
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.support.documented import ADDRESS, client_variables, serving_pages
from tests.support.node_clients import NodeClients
from tests.support.services import without

pytest_plugins = ["tests.support.node_fixtures"]
# The clients may have to be installed first.
pytestmark = pytest.mark.timeout(900)

PAGES = Path(__file__).parent.parent.parent / "docs" / "clients"
ANSWER = "How far is Oslo from Bergen?"


def blocks(language: str) -> Iterator[tuple[str, str]]:
    """Every block of *language*, with its page's name."""
    for page in sorted(PAGES.glob("*.md")):
        for block in re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.M | re.S):
            yield page.stem, block


JAVASCRIPT = list(blocks("js"))
# What only sets variables is done by the test.
SHELL = [(page, block) for page, block in blocks("sh") if block.startswith("curl")]


def test_there_is_javascript_for_every_client_that_has_it() -> None:
    assert {page for page, _ in JAVASCRIPT} == {
        "openai",
        "anthropic",
        "ai_sdk",
        "ag_ui",
        "chatnest",
    }
    assert {page for page, _ in SHELL} == {"curl"}


@contextmanager
def module(clients: NodeClients, text: str) -> Iterator[Path]:
    """*text* as a module in the folder of the clients, so that they are found by their names."""
    with TemporaryDirectory(dir=clients.folder) as folder:
        script = Path(folder, "block.mjs")
        script.write_text(text)
        yield script


async def test_each_block_of_javascript_prints_its_answer(
    node_clients: NodeClients, tmp_path: Path
) -> None:
    async with serving_pages(tmp_path) as address:
        for page, block in JAVASCRIPT:
            with module(node_clients, block.replace(ADDRESS, address)) as script:
                printed = await node_clients.run(script, environment=client_variables(address))
            expected = "tokens-day" if "/api/usage" in block else ANSWER
            assert expected in printed, (page, printed)


async def test_each_line_for_the_shell_prints_its_answer(tmp_path: Path) -> None:
    async with serving_pages(tmp_path) as address:
        for _, block in SHELL:
            process = await asyncio.create_subprocess_exec(
                *("sh", "-e", "-c", block.replace(ADDRESS, address)),
                env={**os.environ, **client_variables(address)},
                stdout=asyncio.subprocess.PIPE,
            )
            async with asyncio.timeout(60):
                printed, _ = await process.communicate()
            if process.returncode == 127:
                without("curl", "it is not on the path")
            assert process.returncode == 0, printed
            expected = {"How", "Bergen?"} if "messages" in block else {"gpt-4o-mini", "tokens-day"}
            assert all(word in printed.decode() for word in expected), printed
