"""The anthropic provider: its keys, its addresses, and that its answers are Anthropic's.

How its calls travel is in ``test_sse_client``, and what it keeps in the contract suite.
"""

import builtins
import subprocess
import sys
from typing import Any

import anthropic
import httpx2
import pytest

from chatnest.adapters.providers.anthropic import AnthropicProvider
from chatnest.adapters.providers.sdk_endpoint import SdkEndpoint
from chatnest.domain.capabilities import Capabilities
from chatnest.domain.errors import ConfigurationError, Failure, FailureKind
from chatnest.domain.events import TextDelta, UsageReported
from chatnest.domain.usage import TokenUsage
from chatnest.testing.anthropic_scripts import completion, error_object, refusal, usage_of
from chatnest.testing.upstream import MockUpstream
from tests.adapters.providers.http_calls import CALL, KEY, STOP, error_of, events_of

VARIABLES = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL")


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever Anthropic's own tools have set on this machine."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def address_of(upstream: MockUpstream) -> str:
    return upstream.base_url.removesuffix("/v1")


async def test_an_answer_is_streamed_with_its_usage() -> None:
    async with MockUpstream(completion(("Hello", " you"), usage=usage_of(9, 2))) as upstream:
        provider = AnthropicProvider(api_key=KEY, base_url=address_of(upstream), trust_env=False)
        assert await events_of(provider) == [
            TextDelta("Hello"),
            TextDelta(" you"),
            UsageReported(TokenUsage(9, 2)),
            STOP,
        ]
        await provider.aclose()
    (exchange,) = upstream.exchanges
    assert (exchange.method, exchange.path) == ("POST", "/v1/messages")
    assert exchange.json["max_tokens"] == CALL.max_output_tokens
    assert exchange.json["stream"] is True


async def test_the_details_of_an_error_say_more_than_its_type() -> None:
    error = error_object("enforced_spend_limit_reached", "rate_limit_error")
    async with MockUpstream(refusal(429, error, retry_after="60")) as upstream:
        provider = AnthropicProvider(api_key=KEY, base_url=address_of(upstream), trust_env=False)
        raised = await error_of(provider)
        await provider.aclose()
    assert isinstance(raised.__cause__, anthropic.EnforcedSpendLimitReachedError)
    assert raised.failure == Failure(
        FailureKind.QUOTA_EXHAUSTED, 429, "enforced_spend_limit_reached", 60.0, billable=False
    )


@pytest.mark.parametrize(
    ("given", "api_key", "auth_token", "sent"),
    [
        (f" {KEY}\n", None, None, KEY),
        (KEY, "sk-other", "token", KEY),
        (None, KEY, "token", KEY),
        (None, None, KEY, KEY),
        (None, "", KEY, KEY),
        (None, None, None, "none"),
    ],
)
async def test_the_key_is_the_given_one_or_the_environments(
    monkeypatch: pytest.MonkeyPatch,
    given: str | None,
    api_key: str | None,
    auth_token: str | None,
    sent: str,
) -> None:
    for name, value in zip(VARIABLES, (api_key, auth_token), strict=False):
        if value is not None:
            monkeypatch.setenv(name, value)
    async with MockUpstream(completion()) as upstream:
        provider = AnthropicProvider(api_key=given, base_url=address_of(upstream), trust_env=False)
        await events_of(provider)
        await provider.aclose()
    assert upstream.exchanges[0].headers["authorization"] == f"Bearer {sent}"


async def test_the_address_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    async with MockUpstream(completion()) as upstream:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", address_of(upstream))
        provider = AnthropicProvider(api_key=KEY, trust_env=False)
        await events_of(provider)
        await provider.aclose()
    assert len(upstream.exchanges) == 1


def test_the_usual_address_is_anthropics() -> None:
    def sdk(http_client: httpx2.Client) -> anthropic.Anthropic:
        return anthropic.Anthropic(api_key=KEY, http_client=http_client)

    url = SdkEndpoint(sdk, "/v1/messages", secret=KEY).url
    assert str(url) == "https://api.anthropic.com/v1/messages"


def test_without_a_key_there_is_no_provider() -> None:
    for key in (None, "", " \n"):
        with pytest.raises(ConfigurationError, match="set ANTHROPIC_API_KEY"):
            AnthropicProvider(api_key=key)


def test_it_has_its_own_name_or_a_given_one() -> None:
    provider = AnthropicProvider(api_key=KEY, trust_env=False)
    assert (provider.name, repr(provider)) == ("anthropic", "AnthropicProvider(name='anthropic')")
    assert AnthropicProvider(name="claude", api_key=KEY, trust_env=False).name == "claude"


def test_it_takes_tools_and_pictures_and_a_person_first() -> None:
    capabilities = AnthropicProvider(api_key=KEY, trust_env=False).capabilities
    assert capabilities == Capabilities(True, True, wire="anthropic", user_first=True)


def test_a_missing_sdk_is_a_matter_of_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    importing = builtins.__import__

    def without_sdk(name: str, *rest: Any, **named: Any) -> Any:
        if name.partition(".")[0] == "anthropic":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return importing(name, *rest, **named)

    module = "chatnest.adapters.providers.anthropic_client"
    monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setattr(builtins, "__import__", without_sdk)
    with pytest.raises(ConfigurationError, match=r"pip install 'chatnest\[anthropic\]'"):
        AnthropicProvider(api_key=KEY)


def test_neither_provider_imports_the_other_ones_sdk() -> None:
    code = (
        "import sys\n"
        "from chatnest.adapters.providers.openai import OpenAIProvider as O\n"
        "from chatnest.adapters.providers.anthropic import AnthropicProvider as A\n"
        "provider, other = {'openai': (O, 'anthropic'), 'anthropic': (A, 'openai')}[sys.argv[1]]\n"
        "provider(api_key='k')\n"
        "sys.exit(other in sys.modules)"
    )
    for sdk in ("openai", "anthropic"):
        assert subprocess.run((sys.executable, "-c", code, sdk), check=False).returncode == 0
