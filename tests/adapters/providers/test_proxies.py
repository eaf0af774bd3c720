"""Which proxy a call goes through, and what a proxy is told."""

from base64 import b64encode
from collections.abc import AsyncIterator

import pytest

from chatnest.adapters.providers.openai import OpenAIProvider
from chatnest.domain.errors import ConfigurationError
from chatnest.testing.openai_scripts import completion, refusal
from chatnest.testing.upstream import MockUpstream
from tests.adapters.providers.http_calls import (
    KEY,
    NOT_SENT,
    STOP,
    error_of,
    events_of,
    every_text_of,
)


@pytest.fixture
async def upstream() -> AsyncIterator[MockUpstream]:
    async with MockUpstream(completion()) as upstream:
        yield upstream


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever proxies this machine has."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


async def test_a_proxy_is_told_its_own_password_with_a_plain_request(
    upstream: MockUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("all_proxy", upstream.base_url.replace("://", "://me:p%40ss@"))
    provider = OpenAIProvider(api_key=KEY, base_url="http://provider.invalid/v1")
    assert (await events_of(provider))[-1] == STOP
    await provider.aclose()
    (exchange,) = upstream.exchanges
    assert exchange.path == "http://provider.invalid/v1/chat/completions"
    assert exchange.headers["proxy-authorization"] == f"Basic {b64encode(b'me:p@ss').decode()}"


async def test_a_proxy_never_sees_the_key_of_an_encrypted_request(
    upstream: MockUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    upstream.scripts = refusal(407)
    proxy = upstream.base_url.removeprefix("http://").removesuffix("/v1")
    monkeypatch.setenv("https_proxy", f"me:pass@{proxy}")
    provider = OpenAIProvider(api_key=KEY, base_url="https://provider.invalid/v1")
    error = await error_of(provider)
    await provider.aclose()
    (exchange,) = upstream.exchanges
    basic = b64encode(b"me:pass").decode()
    assert (exchange.method, exchange.path) == ("CONNECT", "provider.invalid:443")
    assert exchange.headers["proxy-authorization"] == f"Basic {basic}"
    assert "authorization" not in exchange.headers
    assert error.failure == NOT_SENT
    assert KEY not in every_text_of(error)
    assert basic not in every_text_of(error)


async def test_hosts_that_need_no_proxy_are_asked_themselves(
    upstream: MockUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    provider = OpenAIProvider(api_key=KEY, base_url=upstream.base_url)
    assert (await events_of(provider))[-1] == STOP
    await provider.aclose()


def test_a_proxy_that_does_not_speak_http_is_a_matter_of_configuration(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("https_proxy", "socks5://me:pass@127.0.0.1:1080")
    with pytest.raises(ConfigurationError, match="socks5") as raised:
        OpenAIProvider(api_key=KEY)
    assert "pass@" not in str(raised.value)
