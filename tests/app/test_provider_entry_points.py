"""Providers of other packages: found without an import, and refused with what to do."""

import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from chatnest.adapters.clock import SystemClock
from chatnest.app.provider_entry_points import (
    GROUP,
    Registration,
    load_factory,
    make_provider,
    registration,
    registrations,
)
from chatnest.app.provider_factory import ProviderPorts, ProviderSettings
from chatnest.app.provider_kinds import BUILT_IN
from chatnest.domain.errors import ConfigurationError
from chatnest.testing.clock import ManualClock
from chatnest.testing.randomness import FixedRandomness
from tests.app.provider_packages import ECHO, Packages

SETTINGS = ProviderSettings("work", "acme", api_key="sk-s3cret", options={"region": "eu"})
PORTS = ProviderPorts(ManualClock(), FixedRandomness())


def refusal(source: str, packages: Packages, settings: ProviderSettings = SETTINGS) -> str:
    packages.add("acme-chat", {"acme": "acme_chat:create"}, acme_chat=source)
    with pytest.raises(ConfigurationError) as caught:
        make_provider(registration("acme", "provider"), settings, PORTS)
    return str(caught.value)


class TestFinding:
    def test_our_own_are_registered_as_the_package_says(self) -> None:
        project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
        points = project["project"]["entry-points"][GROUP]
        assert points == {name: kind.factory for name, kind in BUILT_IN.items()}

    def test_our_own_are_there_without_metadata(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "path", [])
        found = {one.kind: one for one in registrations()}
        assert found.keys() == BUILT_IN.keys()
        assert found["openai"].origin == "chatnest unknown"

    def test_each_comes_with_its_distribution_and_what_that_says_of_itself(
        self, packages: Packages
    ) -> None:
        points = {"acme": "acme_chat:create", "acme-eu": "acme_chat.eu:create"}
        packages.add("acme-chat", points, summary="Chats from Acme", acme_chat=ECHO)
        *own, acme, europe = registrations()
        assert {one.kind for one in own} == BUILT_IN.keys()
        assert acme == Registration("acme", "acme_chat:create", "acme-chat 1.2", "Chats from Acme")
        assert (europe.kind, europe.origin) == ("acme-eu", "acme-chat 1.2")
        assert packages.imported() == []

    def test_an_unknown_kind_is_refused_with_the_nearest(self, packages: Packages) -> None:
        packages.add("acme-chat", {"acme": "acme_chat:create"})
        with pytest.raises(ConfigurationError) as caught:
            registration("acne", "routes.fast.targets[0]")
        assert str(caught.value) == (
            "routes.fast.targets[0]: there is no provider 'acne'. Did you mean acme?"
        )
        with pytest.raises(ConfigurationError, match="There are acme, anthropic, local, openai, "):
            registration("xyz", "provider")

    @pytest.mark.parametrize("kind", ["acme", "openai"])
    def test_a_kind_that_two_distributions_register_is_refused_with_both(
        self, kind: str, packages: Packages
    ) -> None:
        first = "chatnest " if kind == "openai" else "acme-chat 1.2"
        packages.add("acme-chat", {"acme": "acme_chat:create"})
        packages.add("other-chat", {kind: "other_chat:create"}, version="0.3")
        with pytest.raises(ConfigurationError) as caught:
            registration(kind, "provider")
        message = str(caught.value)
        assert message.startswith(f"provider: {first}")
        assert f"and other-chat 0.3 both register the provider '{kind}'. Uninstall " in message
        assert 'factory = "other_chat:create"' in message
        assert registration("scripted", "provider").factory == BUILT_IN["scripted"].factory

    def test_one_distribution_in_two_folders_is_still_one(
        self, packages: Packages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        packages.add("acme-chat", {"acme": "acme_chat:create"})
        older = tmp_path / "older"
        older.mkdir()
        Packages(older).add("acme-chat", {"acme": "acme_chat:create"}, version="1.1")
        monkeypatch.setattr(sys, "path", [*sys.path, str(older)])
        assert registration("acme", "provider").origin == "acme-chat 1.2"


class TestMaking:
    def test_the_factory_is_given_settings_and_ports(self, packages: Packages) -> None:
        packages.add("acme-chat", {"acme": "acme_chat:create"}, acme_chat=ECHO)
        provider = make_provider(registration("acme", "provider"), SETTINGS, PORTS)
        assert provider.name == "work"
        assert vars(provider)["settings"] is SETTINGS
        assert vars(provider)["ports"] is PORTS

    def test_only_what_is_chosen_is_imported(self, packages: Packages) -> None:
        packages.add("acme-chat", {"acme": "acme_chat:create"}, acme_chat=ECHO)
        packages.add("other-chat", {"other": "other_chat:create"}, other_chat=ECHO)
        make_provider(registration("acme", "provider"), SETTINGS, PORTS)
        assert packages.imported() == ["acme_chat"]

    @pytest.mark.parametrize(
        ("source", "error"),
        [
            ("import no_such_package", "ModuleNotFoundError: No module named 'no_such_package'"),
            ("1 / 0", "ZeroDivisionError: division by zero"),
            ("made = []", "AttributeError: module 'acme_chat' has no attribute 'create'"),
        ],
    )
    def test_one_that_cannot_be_imported_is_refused_with_its_distribution(
        self, source: str, error: str, packages: Packages
    ) -> None:
        assert refusal(source, packages) == (
            f"the factory acme_chat:create of acme-chat 1.2 cannot be imported ({error}). "
            "Install that distribution anew, or remove it."
        )

    def test_one_that_cannot_be_called_is_refused_with_its_distribution(
        self, packages: Packages
    ) -> None:
        message = refusal("create = 'a text'", packages)
        assert message.startswith(
            "the factory acme_chat:create of acme-chat 1.2 cannot be called. It must be "
            "create(settings, ports): use a version"
        )

    @pytest.mark.parametrize(
        ("made", "lack"),
        [
            ("None", "NoneType, which has no capabilities"),
            ("SimpleNamespace(name='work')", "SimpleNamespace, which has no capabilities"),
            (
                "SimpleNamespace(name='work', capabilities=TEXT_ONLY, aclose=print)",
                "SimpleNamespace, which has no stream",
            ),
            (
                "SimpleNamespace(name='work', capabilities=TEXT_ONLY, stream=print)",
                "SimpleNamespace, which has no aclose",
            ),
            (
                "SimpleNamespace(name='acme', capabilities=TEXT_ONLY, stream=print, aclose=print)",
                "a provider called 'acme'",
            ),
        ],
    )
    def test_what_is_no_provider_is_refused_with_what_it_lacks(
        self, made: str, lack: str, packages: Packages
    ) -> None:
        source = (
            "from types import SimpleNamespace\nfrom chatnest import TEXT_ONLY\n"
            f"create = lambda settings, ports: {made}"
        )
        assert refusal(source, packages) == (
            f"provider work: the factory acme_chat:create of acme-chat 1.2 gave {lack}. Use a "
            "version of that distribution that is made for this version of ChatNest, or name "
            "another factory."
        )

    def test_an_async_factory_is_refused_and_leaves_nothing_behind(
        self, packages: Packages
    ) -> None:
        message = refusal("async def create(settings, ports): ...", packages)
        assert "gave a coroutine and no provider: it must not be async" in message

    def test_what_it_refuses_is_told_under_the_providers_name(self, packages: Packages) -> None:
        source = (
            "from chatnest import ConfigurationError\n"
            "def create(settings, ports): raise ConfigurationError('set options.region')"
        )
        assert refusal(source, packages) == "provider work: set options.region"

    def test_what_it_fails_with_is_told_without_the_key(self, packages: Packages) -> None:
        source = "def create(settings, ports): raise ValueError('bad key ' + settings.api_key)"
        packages.add("acme-chat", {"acme": "acme_chat:create"}, acme_chat=source)
        with pytest.raises(ConfigurationError) as caught:
            make_provider(registration("acme", "provider"), SETTINGS, PORTS)
        assert str(caught.value) == (
            "provider work: the factory acme_chat:create of acme-chat 1.2 failed "
            "(ValueError: bad key …). Report it to those who made it."
        )
        assert "s3cret" not in str(caught.value.__cause__)


def test_a_factory_that_a_configuration_names_is_told_with_its_distribution(
    packages: Packages,
) -> None:
    packages.add("acme-chat", {}, acme_chat="create = 1")
    with pytest.raises(ConfigurationError, match=r"acme_chat:create of acme-chat 1\.2 cannot be"):
        load_factory(Registration("acme", "acme_chat:create"))
    with pytest.raises(
        ConfigurationError, match=r"of no installed distribution .* Correct the name"
    ):
        load_factory(Registration("acme", "nowhere:create"))


def test_no_secret_is_in_what_is_shown_of_settings() -> None:
    secret = replace(
        SETTINGS, base_url="https://me:s3cret@host", options={"token": "s3cret"}, api_key="s3cret"
    )
    assert "s3cret" not in repr(secret)
    assert "work" in repr(secret)


@pytest.mark.parametrize("kind", BUILT_IN)
async def test_what_is_said_of_our_own_is_what_they_can_do(kind: str) -> None:
    settings = ProviderSettings("mine", kind, base_url="http://127.0.0.1:9/v1", api_key="sk-test")
    ports = ProviderPorts(SystemClock(), FixedRandomness())
    provider = make_provider(registration(kind, "provider"), settings, ports)
    try:
        assert provider.name == "mine"
        assert provider.capabilities == BUILT_IN[kind].capabilities
    finally:
        await provider.aclose()
