"""What one writes first: Litestar, the openai SDK's stream objects, and ServerSentEvent. No guards.

python -m bench.servers.naive PORT ORIGIN
"""

import sys
from collections.abc import AsyncIterator
from typing import Any, Final

import openai
import uvicorn
from litestar import Litestar, Request, post
from litestar.datastructures import State
from litestar.response import ServerSentEvent

from bench.servers.server import Server, python_server

NAIVE: Final = Server("naive", "openai", python_server("bench.servers.naive"))


@post("/v1/chat/completions", status_code=200)
async def chat(request: Request[Any, Any, State], state: State) -> ServerSentEvent:
    """Stream an answer."""
    body = await request.json()
    return ServerSentEvent(_events(state.client, body["model"], body["messages"]))


async def _events(
    client: openai.AsyncOpenAI, model: str, messages: list[Any]
) -> AsyncIterator[str]:
    stream = await client.chat.completions.create(
        model=model,
        messages=messages,
        stream=True,
        stream_options={"include_usage": True},
    )
    async for chunk in stream:
        yield chunk.model_dump_json()
    yield "[DONE]"


def main() -> None:
    """Serve until the process is ended."""
    port, origin = sys.argv[1:]
    client = openai.AsyncOpenAI(api_key="unused", base_url=f"{origin}/v1")
    app = Litestar([chat], state=State({"client": client}))
    uvicorn.run(app, port=int(port), access_log=False, log_level="warning", backlog=4_096)


if __name__ == "__main__":
    main()
