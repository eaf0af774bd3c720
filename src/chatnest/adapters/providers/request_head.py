"""The head of a request, written once for all that are sent to one address."""

import re
from collections.abc import Mapping

from yarl import URL

from chatnest.adapters.providers.proxies import Proxy
from chatnest.domain.errors import ConfigurationError

_UNSENDABLE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def request_head(url: URL, headers: Mapping[str, str], proxy: Proxy | None) -> bytes:
    """The head of a POST to *url*, up to the number that is its body's length.

    A *proxy* has the whole address of a plain request in it, and the password that it wants. It
    never sees an encrypted one.

    Raises:
        ConfigurationError: a header has characters that would end it.
    """
    target = url.raw_path_qs
    sent = {"host": url.host_port_subcomponent or "", **headers}
    if proxy is not None and url.scheme == "http":
        target = str(url)
        if proxy.authorization is not None:
            sent["proxy-authorization"] = proxy.authorization
    for name, value in sent.items():
        if _UNSENDABLE.search(f"{name}{value}"):
            raise ConfigurationError(f"the header {name!r} has characters that cannot be sent")
    lines = [f"{name}: {value}\r\n" for name, value in sent.items()]
    return f"POST {target} HTTP/1.1\r\n{''.join(lines)}content-length: ".encode()
