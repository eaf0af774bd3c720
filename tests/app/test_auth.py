import hashlib
import sys
from collections.abc import Callable
from types import FrameType, SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from litestar.connection import ASGIConnection

from chatnest.app.auth import (
    AddressBook,
    Connection,
    KeyRing,
    UnauthorizedError,
    address_id,
    default_resolver,
    identify,
)
from chatnest.app.config import AuthConfig, ChatNestConfig, KeyConfig
from chatnest.app.keys import key_digest, new_key
from chatnest.domain.errors import ConfigurationError
from chatnest.domain.requests import Principal


def connection(
    headers: dict[str, str] | None = None,
    client: tuple[str, int] | None = ("192.0.2.1", 5000),
    **scope: Any,
) -> Connection:
    raw = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    whole: Any = {"type": "http", "headers": raw, "client": client, **scope}
    return ASGIConnection(whole)


def bearer(key: str) -> Connection:
    return connection({"authorization": f"Bearer {key}"})


def key_config(name: str, key: str, **rest: Any) -> KeyConfig:
    return KeyConfig(name=name, sha256=hashlib.sha256(key.encode()).hexdigest(), **rest)


def ring(*keys: KeyConfig) -> KeyRing:
    return KeyRing(keys, "balanced")


def owner(known: KeyRing, presented: str) -> Principal | None:
    try:
        return known.principal(bearer(presented))
    except UnauthorizedError:
        return None


def steps(run: Callable[[], object]) -> int:
    """How many calls, of C functions too, and lines of Python *run* takes."""
    counted = 0

    def count(frame: FrameType, what: str, _: object) -> Callable[..., Any]:
        nonlocal counted
        counted += 1
        return count

    run()  # What is done only once is no part of it.
    before = sys.gettrace(), sys.getprofile()
    sys.setprofile(count)
    sys.settrace(count)
    try:
        run()
    finally:
        sys.settrace(before[0])
        sys.setprofile(before[1])
    return counted


ALICE_AND_BOB = (key_config("alice", "cn_a"), key_config("bob", "cn_b"))


class TestKeys:
    def test_each_key_is_its_own_caller(self) -> None:
        known = ring(*ALICE_AND_BOB)
        assert known.principal(bearer("cn_a")) == Principal("key:alice")
        assert known.principal(bearer("cn_b")) == Principal("key:bob")

    def test_a_key_carries_its_profiles_and_scopes(self) -> None:
        known = ring(
            key_config(
                "alice",
                "cn_a",
                profiles=("balanced", "expanded"),
                default_profile="expanded",
                scopes=("team:red",),
            )
        )
        assert known.principal(bearer("cn_a")) == Principal(
            "key:alice", ("team:red",), frozenset({"balanced", "expanded"}), "expanded"
        )

    def test_a_caller_that_may_not_name_the_usual_default_starts_at_its_first_profile(
        self,
    ) -> None:
        known = ring(key_config("alice", "cn_a", profiles=("expanded", "constrained")))
        assert known.principal(bearer("cn_a")).default_profile == "expanded"

    @pytest.mark.parametrize(
        "headers",
        [
            {"authorization": "Bearer cn_a"},
            {"authorization": "bearer   cn_a "},
            {"x-api-key": "cn_a"},
            {"authorization": "Basic eDp5", "x-api-key": " cn_a"},
        ],
    )
    def test_a_key_comes_as_a_bearer_token_or_as_x_api_key(self, headers: dict[str, str]) -> None:
        assert ring(*ALICE_AND_BOB).principal(connection(headers)).id == "key:alice"

    @pytest.mark.parametrize(
        "headers",
        [{}, {"authorization": ""}, {"authorization": "Bearer "}, {"authorization": "cn_a"}],
    )
    def test_without_a_key_the_caller_is_told_to_send_one(self, headers: dict[str, str]) -> None:
        with pytest.raises(UnauthorizedError, match="send it as 'Authorization: Bearer KEY'"):
            ring(*ALICE_AND_BOB).principal(connection(headers))

    @pytest.mark.parametrize("key", ["cn_c", "cn_", "cn_aa", "CN_A", "é", key_digest("cn_a").hex()])
    def test_an_unknown_key_is_refused_and_not_repeated(self, key: str) -> None:
        with pytest.raises(UnauthorizedError) as caught:
            ring(*ALICE_AND_BOB).principal(bearer(key))
        assert str(caught.value) == "This key is not known here."

    def test_the_challenge_names_the_scheme(self) -> None:
        assert UnauthorizedError.challenge.startswith("Bearer ")

    @pytest.mark.parametrize("presented", ["cn_0", "cn_1", "nobody's"])
    def test_a_key_takes_as_many_steps_among_many_keys_as_among_two(self, presented: str) -> None:
        few, many = (ring(*[key_config(f"n{n}", f"cn_{n}") for n in range(m)]) for m in (2, 200))
        assert steps(lambda: owner(many, presented)) == steps(lambda: owner(few, presented)) > 0
        assert owner(many, presented) == owner(few, presented)

    def test_new_keys_are_long_and_never_the_same(self) -> None:
        keys = {new_key() for _ in range(100)}
        assert len(keys) == 100
        assert all(key.startswith("cn_") and len(key) == 46 for key in keys)


class TestAddresses:
    @pytest.mark.parametrize(
        ("host", "account"),
        [
            ("192.0.2.1", "address:192.0.2.1"),
            ("::ffff:192.0.2.1", "address:192.0.2.1"),
            ("2001:db8:0:1::1", "address:2001:db8:0:1::/64"),
            ("2001:DB8:0:1:ffff:ffff:ffff:ffff", "address:2001:db8:0:1::/64"),
            ("2001:db8:0:2::1", "address:2001:db8:0:2::/64"),
            ("fe80::1%eth0", "address:fe80::/64"),
            ("testclient", "address:unknown"),
            ("192.0.2.1:80", "address:unknown"),
            ("", "address:unknown"),
        ],
    )
    def test_the_account_is_the_ipv4_address_or_the_ipv6_subscriber(
        self, host: str, account: str
    ) -> None:
        assert address_id(host) == account

    @given(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3), st.integers(0, 3))
    def test_ipv6_addresses_share_an_account_exactly_when_their_first_half_is_equal(
        self, network: int, other_network: int, host: int, other_host: int
    ) -> None:
        one = address_id(f"2001:db8:0:{network:x}::{host:x}")
        other = address_id(f"2001:db8:0:{other_network:x}:ffff::{other_host:x}")
        assert (one == other) == (network == other_network)

    def test_headers_do_not_change_whose_address_it_is(self) -> None:
        headers = {
            "x-forwarded-for": "198.51.100.7",
            "forwarded": "for=198.51.100.7",
            "x-real-ip": "198.51.100.7",
            "authorization": "Bearer anything",
        }
        principal = AddressBook(("balanced",), "balanced").principal(connection(headers))
        assert principal.id == "address:192.0.2.1"

    def test_a_caller_without_an_address_is_unknown(self) -> None:
        book = AddressBook(("balanced",), "balanced")
        assert book.principal(connection(client=None)).id == "address:unknown"

    def test_strangers_may_name_only_their_profiles(self) -> None:
        principal = AddressBook(("constrained",), "balanced").principal(connection())
        assert principal.profiles == frozenset({"constrained"})
        assert principal.default_profile == "constrained"


class TestDefaultResolver:
    async def test_without_keys_a_stranger_is_known_by_address(self) -> None:
        principal = await identify(default_resolver(ChatNestConfig()), bearer("cn_a"))
        assert principal.id == "address:192.0.2.1"

    async def test_with_keys_a_stranger_is_refused(self) -> None:
        config = ChatNestConfig(auth=AuthConfig(keys=ALICE_AND_BOB))
        with pytest.raises(UnauthorizedError):
            await identify(default_resolver(config), connection())
        assert (await identify(default_resolver(config), bearer("cn_a"))).id == "key:alice"

    @pytest.mark.parametrize(
        ("user", "account"),
        [
            ("carol", "user:carol"),
            (SimpleNamespace(id="carol"), "user:carol"),
            (SimpleNamespace(id=0), "user:0"),
        ],
    )
    @pytest.mark.parametrize("keys", [(), ALICE_AND_BOB])
    async def test_the_host_apps_user_comes_first(
        self, user: object, account: str, keys: tuple[KeyConfig, ...]
    ) -> None:
        resolver = default_resolver(ChatNestConfig(auth=AuthConfig(keys=keys)))
        assert await identify(resolver, connection(user=user)) == Principal(account)

    async def test_no_user_is_no_caller_of_its_own(self) -> None:
        principal = await identify(default_resolver(ChatNestConfig()), connection(user=None))
        assert principal.id == "address:192.0.2.1"

    @pytest.mark.parametrize("user", [object(), SimpleNamespace(id=None), SimpleNamespace(id="")])
    async def test_a_user_without_an_id_is_nobody(self, user: object) -> None:
        with pytest.raises(ConfigurationError, match="pass resolve_principal"):
            await identify(default_resolver(ChatNestConfig()), connection(user=user))


async def test_a_resolver_may_be_a_coroutine_function() -> None:
    async def resolve(connection: Connection) -> Principal:
        return Principal(f"tenant:{connection.headers['x-tenant']}")

    assert (await identify(resolve, connection({"x-tenant": "red"}))).id == "tenant:red"
