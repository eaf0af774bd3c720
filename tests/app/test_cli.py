import hashlib
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from chatnest.adapters.prices import PUBLISHED
from chatnest.app import server, store_choice
from chatnest.app.cli import commands, greeting
from chatnest.app.config import AuthConfig, ChatNestConfig, HttpConfig, KeyConfig
from chatnest.app.config_routes import RouteConfig
from chatnest.app.keys import key_digest
from chatnest.app.route_choice import choose_routes
from chatnest.app.version import installed_version
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
        config = ChatNestConfig()
        routes = choose_routes(config, {})
        assert greeting(config, routes, "http://127.0.0.1:8000") == (
            "ChatNest is at http://127.0.0.1:8000 (smollm2-135m-instruct by local, accounts in "
            "memory://). Try:\n"
            "  curl -N http://127.0.0.1:8000/api/chat -H 'content-type: application/json' -d "
            '\'{"messages":[{"id":"1","role":"user","content":"What is the capital of '
            "France?\"}]}'"
        )

    def test_it_shows_where_a_key_goes_and_the_configured_path(self) -> None:
        config = ChatNestConfig(auth=KEYS, http=HttpConfig(path="/"), model="m")
        text = greeting(config, choose_routes(config, {"OPENAI_API_KEY": "k"}), "http://h")
        assert "(m by openai, accounts in" in text
        assert "curl -N http://h/chat -H 'authorization: Bearer KEY' -H " in text

    def test_it_says_who_answers_next_and_that_there_are_more_routes(self) -> None:
        routes = {
            "fast": RouteConfig(targets=("openai/a", "openai/b", "anthropic/c")),
            "slow": RouteConfig(targets=("openai/d",)),
        }
        config = ChatNestConfig(routes=routes)
        text = greeting(config, choose_routes(config, {}), "http://h")
        assert "(fast by openai, else anthropic, 1 more, accounts in memory://)" in text


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
        assert lines[:10] == [
            "server     127.0.0.1:81, workers 1",
            f"store      sqlite:///{tmp_path}/data/chatnest/ledger.db",
            "callers    anybody, by address; profiles constrained, balanced, expanded",
            "providers",
            f"  scripted: by chatnest {installed_version()}",
            "routes",
            "  scripted (default)",
            "    scripted/scripted: 0 USD in, 0 USD out, for a million tokens (free: scripted)",
            "limits     connect 10 s, first token 30 s, idle 30 s, total 600 s, write stall 30 s, "
            "heartbeat 15 s, drain 10 s, lease 60 s",
            "failures   3 attempts within 45 s; after 5 in a row a target is left alone for 30 s",
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

    def test_routes_are_shown_with_their_targets_prices_and_limits(self) -> None:
        file = (
            "model = 'second'\n[circuit]\nfailures = 2\nopen_s = 4.5\n"
            "[providers.work]\nkind = 'openai'\nbase_url = 'http://me:s3cret@host:81/v1'\n"
            "[providers.eu]\nkind = 'openai'\napi_key_env = 'EU_KEY'\n"
            "[routes.'acme/fast']\ntargets = ['openai/gpt-4o-mini', 'work/x/y', 'eu/z']\n"
            "[routes.'acme/fast'.time_limits]\nfirst_token_s = 2.5\ntotal_s = 40\n"
            "[routes.second]\ntargets = ['openai/gpt-4o-mini']\n"
            "[targets.'openai/gpt-4o-mini']\n"
            "context_window = 9000\nmax_concurrent = 3\nmax_wait_s = 0.25\n"
        )
        result = run("check", file=file, OPENAI_API_KEY="sk-s3cret", EU_KEY="sk-s3cret")
        lines = result.stdout.splitlines()
        own = f"by chatnest {installed_version()}"
        mini = (
            "    openai/gpt-4o-mini: 0.15 USD in, 0.6 USD out, for a million tokens "
            f"({PUBLISHED.published.version}: openai/gpt-4o-mini); window 9000; "
            "3 at once, others wait 0.25 s"
        )
        unknown = "unknown; set it under [prices] where a budget is in dollars"
        start = lines.index("providers")
        assert lines[start : lines.index("profiles")] == [
            "providers",
            f"  openai: {own}, key in OPENAI_API_KEY",
            f"  work (openai): {own}, at http://host:81/v1, no key",
            f"  eu (openai): {own}, key in EU_KEY",
            "routes",
            "  second (default)",
            mini,
            "  acme/fast",
            mini,
            f"    work/x/y: {unknown}",
            f"    eu/z: {unknown}",
            "    limits: first token 2.5 s, total 40 s",
            "limits     connect 10 s, first token 30 s, idle 30 s, total 600 s, write stall 30 s, "
            "heartbeat 15 s, drain 10 s, lease 60 s",
            "failures   3 attempts within 45 s; after 2 in a row a target is left alone for 4.5 s",
        ]
        assert "s3cret" not in result.output

    def test_every_provider_of_every_route_must_have_what_it_needs(self) -> None:
        file = "[routes.fast]\ntargets = ['scripted/a', 'openai/b']\n"
        result = run("check", file=file)
        assert (result.exit_code, result.stderr) == (
            1,
            "chatnest: provider openai: OPENAI_API_KEY is not set; set it to your key.\n",
        )

    def test_callers_with_keys_are_named_and_nothing_else_of_them(self) -> None:
        result = run("check", file=f"[[auth.keys]]\nname = 'alice'\nsha256 = '{'ab' * 32}'\n")
        assert "callers    1 with keys: alice" in result.stdout
        assert "abab" not in result.stdout

    def test_credentials_in_a_url_are_not_shown(self) -> None:
        result = run("check", "--base-url=https://me:s3cret@host/v1", OPENAI_API_KEY="sk-s3cret")
        assert ", at https://host/v1, key in OPENAI_API_KEY\n" in result.stdout
        assert "s3cret" not in result.output

    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            (["--port=99999"], "--port: port must be a port number from 0 to 65535, not 99999."),
            (["--provider=opnai"], "provider: there is no provider 'opnai'. Did you mean openai?"),
            (
                ["--provider=x"],
                "provider: there is no provider 'x'. There are anthropic, local, openai, scripted.",
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
