"""Who is calling: from a key, from the host app's user, or from the address.

Nothing that a client can write for itself is believed: no header names a caller, and an address
behind a proxy is read from ``X-Forwarded-For`` by the server, only for configured proxies.
"""

import ipaddress
from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache
from typing import Any

from litestar.connection import ASGIConnection

from chatnest.app.config import ChatNestConfig, KeyConfig
from chatnest.app.keys import key_digest
from chatnest.app.request_headers import first_header
from chatnest.domain.errors import ChatNestError, ConfigurationError
from chatnest.domain.requests import Principal

Connection = ASGIConnection[Any, Any, Any, Any]
PrincipalResolver = Callable[[Connection], Principal | Awaitable[Principal]]
"""Says who is calling, or raises :class:`UnauthorizedError`. It may be a coroutine function."""

# One IPv6 subscriber has at least a /64 to itself, and may take any of its addresses at any time.
_SUBSCRIBER_BITS = 64
_UNKNOWN_ADDRESS = "address:unknown"
# Anybody has an address: what is remembered of them has an end.
_REMEMBERED_ADDRESSES = 1_024


class UnauthorizedError(ChatNestError):
    """The caller must show a key that is known here; to be answered with 401 and *challenge*."""

    challenge = 'Bearer realm="chatnest"'
    """The value of the response's ``WWW-Authenticate`` header."""


async def identify(resolver: PrincipalResolver, connection: Connection) -> Principal:
    """Who *resolver* says is calling.

    Raises:
        UnauthorizedError: nobody that may call.
    """
    principal = resolver(connection)
    return principal if isinstance(principal, Principal) else await principal


def default_resolver(config: ChatNestConfig) -> PrincipalResolver:
    """The resolver where the host app passes none.

    The host app's ``request.user`` comes first; without one the caller needs a key if any are
    configured, and else is known by its address.
    """
    stranger: PrincipalResolver = (
        KeyRing(config.auth.keys, config.default_profile).principal
        if config.auth.keys
        else AddressBook(config.anonymous_profiles, config.default_profile).principal
    )

    def resolve(connection: Connection) -> Principal | Awaitable[Principal]:
        return principal_of_user(connection) or stranger(connection)

    return resolve


def principal_of_user(connection: Connection) -> Principal | None:
    """The user that the host app's own authentication has set; None where it has set none.

    A user is a text, or an object with an ``id``. It may name every profile.

    Raises:
        ConfigurationError: the user has no ``id``.
    """
    user = connection.scope.get("user")
    if user is None:
        return None
    identity = user if isinstance(user, str) else getattr(user, "id", None)
    if identity is None or identity == "":
        raise ConfigurationError(
            "request.user has no id; pass resolve_principal to ChatNestPlugin to say who it is."
        )
    return Principal(f"user:{identity}")


class KeyRing:
    """The callers that are known by a key, which they send as a bearer token or ``x-api-key``."""

    def __init__(self, keys: Sequence[KeyConfig], default_profile: str) -> None:
        self._owners = {
            bytes.fromhex(key.sha256): _principal_of_key(key, default_profile) for key in keys
        }

    def principal(self, connection: Connection) -> Principal:
        """Whose key *connection* carries.

        Raises:
            UnauthorizedError: there is none, or it is nobody's.
        """
        presented = _presented_key(connection)
        if presented is None:
            raise UnauthorizedError(
                "This server needs a key: send it as 'Authorization: Bearer KEY'."
            )
        return self._owner(presented)

    def _owner(self, presented: str) -> Principal:
        # Found by its digest, which takes as long among many keys as among few. What that time
        # tells is about digests alone, and nothing about a key: nobody can choose the digest of
        # what they show, so that to come close to a known one is no step towards its key.
        owner = self._owners.get(key_digest(presented))
        if owner is None:
            raise UnauthorizedError("This key is not known here.")
        return owner


class AddressBook:
    """Callers that are known by nothing but their address, with one account for each."""

    def __init__(self, profiles: Sequence[str], default_profile: str) -> None:
        self._profiles = frozenset(profiles)
        self._default_profile = _allowed_default(default_profile, profiles)

    def principal(self, connection: Connection) -> Principal:
        """The account of *connection*'s address."""
        client = connection.scope.get("client")
        name = address_id(client[0]) if client else _UNKNOWN_ADDRESS
        return Principal(name, profiles=self._profiles, default_profile=self._default_profile)


@lru_cache(maxsize=_REMEMBERED_ADDRESSES)
def address_id(host: str) -> str:
    """The account of a client address: one for an IPv4 address, one for an IPv6 /64.

    What is no address shares one account with everything else that is none.
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return _UNKNOWN_ADDRESS
    if isinstance(address, ipaddress.IPv4Address):
        return f"address:{address}"
    if address.ipv4_mapped is not None:
        return f"address:{address.ipv4_mapped}"
    network = ipaddress.IPv6Network((int(address), _SUBSCRIBER_BITS), strict=False)
    return f"address:{network}"


def _principal_of_key(key: KeyConfig, default_profile: str) -> Principal:
    profiles = None if key.profiles is None else frozenset(key.profiles)
    default = key.default_profile or _allowed_default(default_profile, key.profiles)
    return Principal(f"key:{key.name}", key.scopes, profiles, default)


def _allowed_default(default_profile: str, profiles: Sequence[str] | None) -> str | None:
    """The default of a caller that may name only *profiles*: the usual one, or else the first."""
    if not profiles or default_profile in profiles:
        return None
    return profiles[0]


def _presented_key(connection: Connection) -> str | None:
    scheme, _, token = first_header(connection, b"authorization").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    return first_header(connection, b"x-api-key").strip() or None
