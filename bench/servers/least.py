"""ChatNest with the least that it can be run with, to see what its guards cost.

Off are: keys, a budget in money, and accounts that outlive the process. Its rules cannot be
switched off: each request is counted, trimmed, admitted against accounts in memory, and settled.

    python -m bench.servers.least PORT ORIGIN
"""

import os
import sys
from decimal import Decimal
from itertools import cycle

import uvicorn
from litestar import Litestar

from bench.dialects import MODEL
from bench.servers.server import KEYS
from chatnest import BudgetConfig, ChatNestConfig, ChatNestPlugin, Principal, ProfileConfig
from chatnest.app.garbage import collect_less
from chatnest.app.server import uvicorn_settings


def main() -> None:
    """Serve until the process is ended."""
    port, origin = sys.argv[1:]
    os.environ["OPENAI_API_KEY"] = "unused"
    everybody = BudgetConfig(scope="global", unit="tokens", period="day", limit=Decimal(10**12))
    config = ChatNestConfig(
        provider="openai",
        model=MODEL,
        base_url=f"{origin}/v1",
        store="memory://",
        port=int(port),
        budgets=(everybody,),
        profiles={
            "balanced": ProfileConfig(
                max_output_tokens=1_000,
                tokens_per_request=16_000,
                tokens_per_day=500_000,
                requests_per_minute=60,
                concurrent_streams=1_000,
            )
        },
    )
    people = cycle([Principal(f"user:{number}") for number in range(KEYS)])
    plugin = ChatNestPlugin(config, resolve_principal=lambda connection: next(people))
    # Without what Litestar logs by default: a line for each call, through a thread of its own.
    app = Litestar(plugins=[plugin], on_startup=[collect_less], logging_config=None)
    settings = uvicorn_settings(config, app)
    settings.port = config.port
    uvicorn.Server(settings).run()


if __name__ == "__main__":
    main()
