"""LiteLLM's proxy with one worker: its master key and nothing else; no database, no budgets."""

import json
from secrets import token_hex
from typing import Final

from bench.dialects import MODEL
from bench.servers.peers import LITELLM_PROGRAM, why_no_litellm
from bench.servers.server import Launch, Server, Setting


def launch_litellm(setting: Setting) -> Launch:
    """Its own command line, with a configuration of one model."""
    answers = {"model": f"openai/{MODEL}", "api_base": f"{setting.origin}/v1", "api_key": "unused"}
    configuration = {"model_list": [{"model_name": MODEL, "litellm_params": answers}]}
    key = f"sk-{token_hex(32)}"
    path = setting.folder / "litellm.yaml"
    path.write_text(json.dumps(configuration))  # JSON is YAML too.
    command = (
        *(str(LITELLM_PROGRAM), "--config", str(path), "--host", "127.0.0.1"),
        *("--port", str(setting.port), "--num_workers", "1", "--telemetry", "False"),
    )
    environment = {
        "LITELLM_MASTER_KEY": key,  # It does not start without one.
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_LOG": "ERROR",
        "PYTHONPATH": "",
    }
    return Launch(command, environment, {"authorization": f"Bearer {key}"})


LITELLM: Final = Server(
    "litellm", "openai", launch_litellm, why_not=why_no_litellm, starts_within_s=180
)
