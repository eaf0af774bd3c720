"""The servers under measurement, each in a file of its own."""

from bench.servers.chatnest import CHATNEST, LEAST
from bench.servers.litellm import LITELLM
from bench.servers.naive import NAIVE
from bench.servers.passthrough import PASS_THROUGH
from bench.servers.portkey import PORTKEY
from bench.servers.server import Server, Setting

SERVERS = (PASS_THROUGH, CHATNEST, LEAST, NAIVE, LITELLM, PORTKEY)

__all__ = ["CHATNEST", "PASS_THROUGH", "SERVERS", "Server", "Setting"]
