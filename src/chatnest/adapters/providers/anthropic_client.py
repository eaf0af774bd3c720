"""Calls Anthropic's Messages as the anthropic SDK would. Importing this imports the SDK."""

import anthropic
import httpx2

from chatnest.adapters.providers.anthropic_request import request_body
from chatnest.adapters.providers.anthropic_stream import AnswerDecoder, error_words
from chatnest.adapters.providers.connections import Connections
from chatnest.adapters.providers.sdk_endpoint import SdkEndpoint
from chatnest.adapters.providers.sse_client import EventStreamClient, Wire

WIRE = Wire(request_body, AnswerDecoder, error_words)


def messages_client(
    api_key: str, base_url: str | None, connections: Connections
) -> EventStreamClient:
    """Streams messages. *base_url* None: what the SDK's environment says, or its default.

    Raises:
        ConfigurationError: the base URL or the environment's proxy cannot be used.
    """

    def sdk(http_client: httpx2.Client) -> anthropic.Anthropic:
        return anthropic.Anthropic(
            api_key=api_key,
            base_url=base_url,
            max_retries=0,
            http_client=http_client,
            # No request of its is a call.
            open_telemetry=False,
        )

    endpoint = SdkEndpoint(sdk, "/v1/messages", secret=api_key)
    return EventStreamClient(endpoint, WIRE, connections)
