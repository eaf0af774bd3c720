"""How a provider keeps its connections. Imports no library for it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Connections:
    """Limits and habits of one provider's connections.

    Beyond *max_connections* a call waits for one, and *connect_timeout_s* bounds that wait
    together with connecting itself. *read_timeout_s* is the longest silence of a server. Without
    *keep_alive* each call has a connection of its own. *trust_env* takes proxies, and the
    certificates to trust, from the environment.
    """

    connect_timeout_s: float = 10.0
    read_timeout_s: float = 600.0
    max_connections: int = 10_000
    keep_alive: bool = True
    trust_env: bool = True
