"""The model server of the local provider, as a program of its own.

It runs in a child process because making and ending llama.cpp's server holds Python's global lock
for up to seconds, and because a crash in it must not be a crash of ChatNest. It is run by its path
and imports nothing of ChatNest. One JSON object comes in on a line, the server's address goes out
on a line, and the end of the input is the end of the server: it cannot outlive its parent.
"""

import json
import os
import signal
import sys
from collections.abc import Mapping
from typing import Any

_ERRORS_ONLY = 1
# llama.cpp keeps prompts that left their slot; its own bound is 8 GiB.
_PROMPT_CACHE_MIB = 256


def main() -> None:
    """Serve until the input ends."""
    # Ctrl-C and a supervisor's SIGTERM are the parent's to act on: it lets its streams end first.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    # What libraries print on the way must not be taken for the address.
    answer = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    settings = sys.stdin.buffer.readline()
    if not settings:
        return
    server = start(json.loads(settings))
    print(server.listening_address, file=answer, flush=True)
    sys.stdin.buffer.read()
    # Ending the server by itself would wait for its open streams.
    os._exit(0)


def start(settings: Mapping[str, Any]) -> Any:
    """A running server on a free port of this machine alone."""
    # Absent where the extra is not installed, and without types where it is.
    import xllamacpp  # type: ignore[import-untyped, import-not-found, unused-ignore]

    params = xllamacpp.CommonParams()
    params.model.path = settings["model_path"]
    params.model_alias = {settings["model"]}
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [settings["api_key"]]
    params.n_parallel = settings["parallel"]
    # Divided evenly over the slots.
    params.n_ctx = settings["context_window"] * settings["parallel"]
    params.cache_ram_mib = _PROMPT_CACHE_MIB
    params.sse_ping_interval = -1
    params.ui = False
    params.endpoint_slots = False
    params.verbosity = _ERRORS_ONLY
    for threads in (params.cpuparams, params.cpuparams_batch):
        threads.n_threads = settings["threads"]
        # Busy waiting for work would take the processor from ChatNest itself.
        threads.poll = 0
    for name, value in settings["sampling"].items():
        setattr(params.sampling, name, value)
    return xllamacpp.Server(params)


if __name__ == "__main__":
    main()
