"""Calls an OpenAI-compatible server as the openai SDK would. Importing this imports the SDK."""

from functools import partial

import httpx2
import openai

from chatnest.adapters.providers.connections import Connections
from chatnest.adapters.providers.error_words import error_words
from chatnest.adapters.providers.openai_request import request_body
from chatnest.adapters.providers.openai_servers import quirks_of
from chatnest.adapters.providers.openai_stream import AnswerDecoder
from chatnest.adapters.providers.sdk_endpoint import SdkEndpoint
from chatnest.adapters.providers.sse_client import EventStreamClient, Wire


def completions_client(
    api_key: str, base_url: str | None, connections: Connections
) -> EventStreamClient:
    """Streams chat completions. *base_url* None: what the SDK's environment says, or its default.

    Raises:
        ConfigurationError: the base URL or the environment's proxy cannot be used.
    """

    def sdk(http_client: httpx2.Client) -> openai.OpenAI:
        return openai.OpenAI(
            api_key=api_key, base_url=base_url, max_retries=0, http_client=http_client
        )

    endpoint = SdkEndpoint(sdk, "/chat/completions", secret=api_key)
    body = partial(request_body, server=quirks_of(str(endpoint.url)))
    return EventStreamClient(endpoint, Wire(body, AnswerDecoder, error_words), connections)
