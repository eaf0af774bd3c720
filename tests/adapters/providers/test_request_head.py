"""What every request to one address begins with."""

import pytest
from yarl import URL

from chatnest.adapters.providers.proxies import Proxy
from chatnest.adapters.providers.request_head import request_head
from chatnest.domain.errors import ConfigurationError

PROXY = Proxy(URL("http://proxy.test:3128"), "Basic bWU6cGFzcw==")


def lines_of(url: str, proxy: Proxy | None = None) -> list[bytes]:
    return request_head(URL(url), {"accept": "a"}, proxy).split(b"\r\n")


@pytest.mark.parametrize(
    ("url", "target", "host"),
    [
        ("http://provider.test", b"/", b"provider.test"),
        ("http://provider.test:80/v1", b"/v1", b"provider.test"),
        ("https://provider.test:8443/v1?a=b%20c", b"/v1?a=b%20c", b"provider.test:8443"),
        ("http://[::1]:8000/v1", b"/v1", b"[::1]:8000"),
        ("http://xn--bcher-kva.test/%C3%BC", b"/%C3%BC", b"xn--bcher-kva.test"),
    ],
)
def test_a_head_has_the_address_and_the_headers(url: str, target: bytes, host: bytes) -> None:
    assert lines_of(url) == [
        b"POST %b HTTP/1.1" % target,
        b"host: %b" % host,
        b"accept: a",
        b"content-length: ",
    ]


def test_a_proxy_has_the_whole_address_and_its_password() -> None:
    first, *_, password, _ = lines_of("http://provider.test/v1?a=b", PROXY)
    assert first == b"POST http://provider.test/v1?a=b HTTP/1.1"
    assert password == b"proxy-authorization: Basic bWU6cGFzcw=="


def test_what_goes_through_a_tunnel_says_nothing_of_it() -> None:
    assert lines_of("https://provider.test/v1", PROXY) == lines_of("https://provider.test/v1")


def test_no_header_can_say_more_than_one() -> None:
    with pytest.raises(ConfigurationError, match="'organization'") as raised:
        request_head(URL("http://a.test"), {"organization": "secret\r\nhost: b.test"}, None)
    assert "secret" not in str(raised.value)
