"""Connections that are never made, and how many sockets are on their way to one."""

import socket
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

SOCKETS = Path("/proc/net/tcp")
SYN_SENT = "02"
MORE_THAN_QUEUE = 4

shows_sockets = pytest.mark.skipif(
    not SOCKETS.exists(), reason="only Linux shows its sockets as a file"
)


@contextmanager
def deaf_server() -> Generator[socket.socket, None, None]:
    """A server to which connecting takes for ever: its queue of connections is full."""
    with socket.socket() as server, ExitStack() as queue:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(MORE_THAN_QUEUE):
            one = queue.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(server.getsockname())
        yield server


def connecting_sockets(server: socket.socket) -> int:
    """How many sockets of this machine are still on their way to *server*."""
    port = server.getsockname()[1]
    rows = [line.split() for line in SOCKETS.read_text().splitlines()[1:]]
    return sum(row[2].endswith(f":{port:04X}") and row[3] == SYN_SENT for row in rows)
