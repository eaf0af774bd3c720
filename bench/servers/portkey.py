"""Portkey's gateway, as its npm package starts it."""

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
    environment = {"NODE_ENV": "production", "TRUSTED_CUSTOM_HOSTS": "127.0.0.1,localhost"}
    return Launch(command, environment, headers)


PORTKEY: Final = Server("portkey", "openai", launch_portkey, why_not=why_no_portkey)
