"""Portkey's gateway, as its npm package starts it.

Its server for Node is pinned to an older one: under those of 2026 it answers every stream with 500.
"""

from typing import Final

from bench.servers.peers import PORTKEY_PROGRAM, why_no_portkey
from bench.servers.server import Launch, Server, Setting


def launch_portkey(setting: Setting) -> Launch:
    """Its server for Node; each request says whom to ask."""
    command = ("node", str(PORTKEY_PROGRAM), f"--port={setting.port}", "--headless")
    headers = {
        "authorization": "Bearer unused",
        "x-portkey-provider": "openai",
        "x-portkey-custom-host": f"{setting.origin}/v1",
    }
    environment = {"TRUSTED_CUSTOM_HOSTS": "127.0.0.1,localhost"}
    return Launch(command, environment, headers)


PORTKEY: Final = Server("portkey", "openai", launch_portkey, why_not=why_no_portkey)
