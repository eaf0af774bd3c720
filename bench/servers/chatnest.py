"""ChatNest with everything on, and with the least that it can be run with."""

import sys
from collections.abc import Iterator
from typing import Final

from bench.dialects import MODEL
from bench.servers.server import Launch, Server, Setting, python_server
from chatnest.app.keys import key_digest

_PROFILE: Final = """
[profiles.balanced]
max_output_tokens = 1_000
max_messages = 20
tokens_per_request = 16_000
tokens_per_day = 500_000
requests_per_minute = 60
concurrent_streams = 1_000
"""
# Answers under measurement are silent for longer than a provider's should be.
_PATIENCE: Final = """
[time_limits]
first_token_s = 600
idle_s = 600
total_s = 3_600
drain_s = 0.1
"""
_BUDGETS: Final = """
[[budgets]]
scope = "global"
unit = "tokens"
period = "day"
limit = 1_000_000_000_000

[[budgets]]
scope = "principal"
unit = "usd"
period = "month"
limit = 1_000
"""


def launch_chatnest(setting: Setting) -> Launch:
    """``chatnest serve``: keys, a budget in money, and accounts in SQLite unless *store* says else.

    The file is on the disk of *folder*, and written as it is by default.
    """
    keys = tuple(f"cn_bench_{number}" for number in range(setting.callers))
    path = setting.folder / "chatnest.toml"
    path.write_text("".join(_configuration(setting, keys)))
    command = (sys.executable, "-m", "chatnest", "serve", "--config", str(path))
    return Launch(command, {"OPENAI_API_KEY": "unused"}, {}, keys)


def _configuration(setting: Setting, keys: tuple[str, ...]) -> Iterator[str]:
    store = setting.store or f"sqlite:///{setting.folder}/ledger.sqlite3"
    yield f'provider = "openai"\nmodel = "{MODEL}"\nbase_url = "{setting.origin}/v1"\n'
    yield f'port = {setting.port}\nworkers = {setting.workers}\nstore = "{store}"\n'
    yield 'log_level = "warning"\n'
    yield from (_PROFILE, _PATIENCE, _BUDGETS)
    for key in keys:
        yield f'\n[[auth.keys]]\nname = "{key}"\nsha256 = "{key_digest(key).hex()}"\n'


CHATNEST: Final = Server("chatnest", "chatnest", launch_chatnest)
LEAST: Final = Server("chatnest, least", "chatnest", python_server("bench.servers.least"))
