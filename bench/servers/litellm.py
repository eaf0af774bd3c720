"""LiteLLM's proxy with one worker: no database, no budgets, no keys."""

import json
from typing import Final

from bench.dialects import MODEL
from bench.servers.peers import LITELLM_PROGRAM, why_no_litellm
from bench.servers.server import Launch, Server, Setting


def launch_litellm(setting: Setting) -> Launch:
    """Its own command line, with a configuration of one model."""
    answers = {"model": f"openai/{MODEL}", "api_base": f"{setting.origin}/v1", "api_key": "unused"}
    configuration = {"model_list": [{"model_name": MODEL, "litellm_params": answers}]}
    path = setting.folder / "litellm.yaml"
    path.write_text(json.dumps(configuration))  # JSON is YAML too.
    command = (
        *(str(LITELLM_PROGRAM), "--config", str(path), "--host", "127.0.0.1"),
        *("--port", str(setting.port), "--num_workers", "1", "--telemetry", "False"),
    )
    environment = {
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_LOG": "ERROR",
        "PYTHONPATH": "",
    }
    return Launch(command, environment, {"authorization": "Bearer unused"})


LITELLM: Final = Server(
    "litellm", "openai", launch_litellm, why_not=why_no_litellm, starts_within_s=180
)
