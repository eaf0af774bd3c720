"""The proxy that the environment names for an address."""

from base64 import b64encode
from dataclasses import dataclass, field
from urllib.request import getproxies, proxy_bypass

from yarl import URL

from chatnest.domain.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Proxy:
    """Where a proxy is, and the ``Proxy-Authorization`` that it wants; None where it wants none."""

    url: URL
    authorization: str | None = field(default=None, repr=False)


def environment_proxy(url: URL) -> Proxy | None:
    """The proxy for *url*, from ``http_proxy``, ``https_proxy``, ``all_proxy`` and ``no_proxy``.

    Raises:
        ConfigurationError: it is one that does not speak HTTP.
    """
    proxies = getproxies()
    address = proxies.get(url.scheme) or proxies.get("all")
    if not address or proxy_bypass(f"{url.host}:{url.port}"):
        return None
    proxy = URL(address if "://" in address else f"http://{address}")
    if proxy.scheme not in ("http", "https"):
        raise ConfigurationError(
            f"the environment's proxy speaks {proxy.scheme}; a provider needs one that speaks http"
        )
    authorization = None
    if proxy.user is not None:
        credentials = f"{proxy.user}:{proxy.password or ''}".encode()
        authorization = f"Basic {b64encode(credentials).decode()}"
    return Proxy(proxy.with_user(None), authorization)
