"""The two SDKs, and the errors that they make of responses."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType

import anthropic
import httpx2
import openai
import pytest

from chatnest.adapters.providers import anthropic_stream, error_words
from chatnest.adapters.providers.sdk_endpoint import Sdk, SdkEndpoint
from chatnest.adapters.providers.sdk_errors import failure_of
from chatnest.domain.errors import Failure

REQUEST = httpx2.Request("POST", "http://provider.test/")
NOTHING: Mapping[str, str] = {}


@dataclass(frozen=True)
class SdkCase:
    """One SDK, and the errors that it makes itself of a response."""

    package: ModuleType
    root: type[Exception]
    endpoint: SdkEndpoint
    error_words: error_words.ErrorWords

    def error(
        self, status: int, body: object = None, headers: Mapping[str, str] = NOTHING
    ) -> Exception:
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        return self.endpoint.error(status, raw, json.dumps(body).encode())


def openai_sdk(http_client: httpx2.Client) -> Sdk:
    return openai.OpenAI(api_key="k", max_retries=0, http_client=http_client)


def anthropic_sdk(http_client: httpx2.Client) -> Sdk:
    return anthropic.Anthropic(api_key="k", max_retries=0, http_client=http_client)


OPENAI = SdkCase(
    openai,
    openai.OpenAIError,
    SdkEndpoint(openai_sdk, "/chat/completions", secret="k"),
    error_words.error_words,
)
ANTHROPIC = SdkCase(
    anthropic,
    anthropic.AnthropicError,
    SdkEndpoint(anthropic_sdk, "/v1/messages", secret="k"),
    anthropic_stream.error_words,
)
SDKS = (OPENAI, ANTHROPIC)
both = pytest.mark.parametrize("sdk", SDKS, ids=["openai", "anthropic"])


def failure_in(sdk: SdkCase, error: Exception) -> Failure:
    return failure_of(error, sdk.error_words)
