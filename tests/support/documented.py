"""The server that the pages about clients talk to: two models that repeat the question."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

from tests.support.running import serve_process

ADDRESS: Final = "localhost:8000"
"""Where the pages say that it is."""

_CONFIGURATION: Final = """
default_profile = "expanded"

[routes."gpt-4o-mini"]
targets = ["scripted/gpt-4o-mini"]

[routes."claude-haiku-4-5"]
targets = ["scripted/claude-haiku-4-5"]
"""


@asynccontextmanager
async def serving_pages(folder: Path) -> AsyncGenerator[str, None]:
    """Serve it from *folder*; its host and port."""
    (folder / "chatnest.toml").write_text(_CONFIGURATION)
    async with serve_process(folder=folder) as server:
        yield f"127.0.0.1:{server.port}"


@contextmanager
def served_pages(folder: Path) -> Iterator[str]:
    """The same, for those who have no event loop."""
    with asyncio.Runner() as runner:
        server = serving_pages(folder)
        address = runner.run(server.__aenter__())
        try:
            yield address
        finally:
            runner.run(server.__aexit__(None, None, None))


def client_variables(address: str) -> dict[str, str]:
    """What the pages tell their reader to set."""
    return {
        "OPENAI_BASE_URL": f"http://{address}/v1",
        "OPENAI_API_KEY": "any",
        "ANTHROPIC_BASE_URL": f"http://{address}",
        "ANTHROPIC_API_KEY": "any",
        "API_KEY": "any",
    }
