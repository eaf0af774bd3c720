from decimal import Decimal
from pathlib import Path

import pytest

from chatnest.app.config import BudgetConfig, ChatNestConfig, KeyConfig, PriceConfig
from chatnest.app.config_routes import (
    ProviderConfig,
    RouteConfig,
    RouteTimeLimitsConfig,
    TargetConfig,
)
from chatnest.app.settings_sources import from_resolved, load, to_resolved
from chatnest.domain.errors import ConfigurationError


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def written(text: str, name: str = "chatnest.toml") -> Path:
    path = Path(name)
    path.write_text(text, "utf-8")
    return path


def refusal(
    text: str = "", environ: dict[str, str] | None = None, flags: dict[str, object] | None = None
) -> str:
    written(text)
    with pytest.raises(ConfigurationError) as caught:
        load(environ=environ or {}, flags=flags)
    return str(caught.value)


def test_without_any_source_the_defaults_hold() -> None:
    assert load(environ={}) == ChatNestConfig()


class TestPrecedence:
    def test_the_environment_wins_over_the_file(self) -> None:
        written("port = 1001\nhost = '0.0.0.0'")
        config = load(environ={"CHATNEST_PORT": "1002"})
        assert (config.port, config.host) == (1002, "0.0.0.0")

    def test_flags_win_over_the_environment_and_the_file(self) -> None:
        written("port = 1001")
        config = load(environ={"CHATNEST_PORT": "1002"}, flags={"port": 1003})
        assert config.port == 1003

    def test_a_flag_that_was_not_given_changes_nothing(self) -> None:
        written("port = 1001")
        assert load(environ={}, flags={"port": None, "host": None}).port == 1001

    def test_an_empty_variable_counts_as_not_set(self) -> None:
        written("port = 1001")
        assert load(environ={"CHATNEST_PORT": "", "CHATNEST_MODEL": ""}).port == 1001

    def test_tables_are_merged_and_lists_replaced(self) -> None:
        written(
            "trusted_proxies = ['10.0.0.1', '10.0.0.2']\n"
            "[time_limits]\nidle_s = 5\ntotal_s = 50\n"
            "[profiles.balanced]\nmax_messages = 3\nmax_output_tokens = 90\n"
        )
        config = load(
            environ={
                "CHATNEST_TIME_LIMITS__IDLE_S": "7.5",
                "CHATNEST_TRUSTED_PROXIES": '["10.0.0.3"]',
                "CHATNEST_PROFILES__BALANCED__MAX_MESSAGES": "2",
            }
        )
        assert (config.time_limits.idle_s, config.time_limits.total_s) == (7.5, 50)
        assert config.trusted_proxies == ("10.0.0.3",)
        balanced = config.profiles["balanced"]
        assert (balanced.max_messages, balanced.max_output_tokens) == (2, 90)


class TestFile:
    def test_a_variable_names_the_file_and_the_flag_names_it_over_that(self) -> None:
        by_variable = written("port = 1001", "one.toml")
        by_flag = written("port = 1002", "two.toml")
        environ = {"CHATNEST_CONFIG": str(by_variable)}
        assert load(environ=environ).port == 1001
        assert load(by_flag, environ=environ).port == 1002

    def test_a_named_file_that_is_not_there_is_an_error(self) -> None:
        with pytest.raises(ConfigurationError, match=r"there is no file gone\.toml"):
            load(Path("gone.toml"), environ={})

    def test_an_amount_of_money_is_kept_as_it_was_written(self) -> None:
        written(
            "[[budgets]]\nscope = 'global'\nunit = 'usd'\nperiod = 'day'\n"
            "limit = 123456789.123456789\n"
        )
        (budget,) = load(environ={}).budgets
        assert budget.limit == Decimal("123456789.123456789")

    def test_what_is_not_toml_is_refused_with_its_place(self) -> None:
        assert "chatnest.toml is not TOML: " in refusal("port = = 3")
        assert "line 1" in refusal("port = = 3")

    def test_what_is_not_utf_8_is_refused(self) -> None:
        Path("chatnest.toml").write_bytes(b"model = '\xff'")
        with pytest.raises(ConfigurationError, match="cannot be read"):
            load(environ={})


class TestUnknownNames:
    @pytest.mark.parametrize(
        ("text", "place", "meant"),
        [
            ("prot = 1", "prot", "port"),
            ("[time_limits]\nidel_s = 1", "time_limits.idel_s", "time_limits.idle_s"),
            (
                "[[budgets]]\nscope = 'global'\nunits = 'usd'",
                "budgets[0].units",
                "budgets[0].unit",
            ),
            (
                "[profiles.'my own']\nmax_mesages = 1",
                'profiles."my own".max_mesages',
                'profiles."my own".max_messages',
            ),
            ("[[auth.keys]]\nnam = 'a'", "auth.keys[0].nam", "auth.keys[0].name"),
        ],
    )
    def test_one_in_the_file_is_refused_with_its_path_and_what_was_meant(
        self, text: str, place: str, meant: str
    ) -> None:
        assert refusal(text) == (
            f"chatnest.toml: there is no setting {place}. Did you mean {meant}?"
        )

    def test_without_a_near_name_the_known_ones_are_listed(self) -> None:
        message = refusal("[retry]\nxyzzy = 1")
        assert message.endswith("Known here: max_attempts, base_delay_s, max_delay_s, deadline_s.")

    @pytest.mark.parametrize(
        ("variable", "text"),
        [
            ("CHATNEST_PROT", "there is no setting prot. Did you mean port?"),
            (
                "CHATNEST_RETRY__MAX_ATTEMPT",
                "there is no setting retry.max_attempt. Did you mean retry.max_attempts?",
            ),
            ("CHATNEST_PORT__X", "port is no table; there is nothing inside it."),
            ("CHATNEST_BUDGETS__0__LIMIT", "budgets is no table; there is nothing inside it."),
        ],
    )
    def test_one_in_the_environment_is_refused_by_its_variable(
        self, variable: str, text: str
    ) -> None:
        assert refusal(environ={variable: "1"}) == f"{variable}: {text}"

    def test_one_inside_a_variable_is_refused(self) -> None:
        message = refusal(environ={"CHATNEST_RETRY": '{"max_attempt": 1}'})
        assert message.startswith("CHATNEST_RETRY: there is no setting retry.max_attempt.")

    @pytest.mark.parametrize(
        "source", [{"text": "openai_api_key = 'sk-1'"}, {"environ": {"CHATNEST_API_KEY": "sk-1"}}]
    )
    def test_a_providers_key_is_sent_to_where_it_belongs_and_not_repeated(
        self, source: dict[str, object]
    ) -> None:
        message = refusal(**source)  # type: ignore[arg-type]  # one of its arguments by name
        assert "such as OPENAI_API_KEY" in message
        assert "sk-1" not in message

    def test_variables_of_a_kubernetes_service_called_chatnest_are_none_of_ours(self) -> None:
        environ = {
            "CHATNEST_SERVICE_HOST": "10.0.0.11",
            "CHATNEST_SERVICE_PORT": "8000",
            "CHATNEST_SERVICE_PORT_HTTP": "8000",
            "CHATNEST_PORT": "tcp://10.0.0.11:8000",
            "CHATNEST_PORT_8000_TCP": "tcp://10.0.0.11:8000",
            "CHATNEST_PORT_8000_TCP_PROTO": "tcp",
            "CHATNEST_PORT_8000_TCP_PORT": "8000",
            "CHATNEST_PORT_8000_TCP_ADDR": "10.0.0.11",
        }
        assert load(environ=environ) == ChatNestConfig()


class TestTypes:
    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("port = '80'", "port must be a port number from 0 to 65535, not '80'."),
            ("port = 65536", "port must be a port number from 0 to 65535, not 65536."),
            ("port = true", "port must be a port number from 0 to 65535, not True."),
            ("workers = 0", "workers must be a whole number of at least 1, not 0."),
            ("access_log = 1", "access_log must be true or false, not 1."),
            ("profiles = 3", "profiles must be a table, not 3."),
            ("budgets = 3", "budgets must be a list, not 3."),
            ("unknown_price = 'x'", "unknown_price must be one of refuse, ignore, not 'x'."),
            (
                "[[budgets]]\nscope='a'\nunit='usd'\nperiod='day'\nlimit=nan",
                "budgets[0].limit must be a finite number, not Decimal('NaN').",
            ),
            (
                "[[budgets]]\nscope='a'\nunit='usd'\nperiod='day'",
                "budgets[0].limit is missing; add it.",
            ),
            (
                "[time_limits]\nidle_s = inf",
                "time_limits.idle_s must be a number of seconds from 0.001 to 86400, "
                "not Decimal('Infinity').",
            ),
        ],
    )
    def test_the_file_is_taken_strictly(self, text: str, message: str) -> None:
        assert refusal(text) == f"chatnest.toml: {message}"

    def test_a_variable_is_text_that_stands_for_its_type(self) -> None:
        config = load(
            environ={
                "CHATNEST_PORT": "81",
                "CHATNEST_ACCESS_LOG": "true",
                "CHATNEST_CONTEXT_WINDOW": "4096",
                "CHATNEST_MODEL": "5",
            }
        )
        assert (config.port, config.access_log) == (81, True)
        assert (config.context_window, config.model) == (4096, "5")

    def test_a_variable_that_does_not_stand_for_its_type_is_refused(self) -> None:
        assert refusal(environ={"CHATNEST_PORT": "http"}) == (
            "CHATNEST_PORT: port must be a port number from 0 to 65535, not 'http'."
        )

    @pytest.mark.parametrize(
        "text",
        [
            '[{"scope": "a", "unit": "usd", "period": "day", "limit": 0.1}]',
            '[{scope = "a", unit = "usd", period = "day", limit = 0.1}]',
        ],
    )
    def test_lists_and_tables_in_variables_are_json_or_toml(self, text: str) -> None:
        (budget,) = load(environ={"CHATNEST_BUDGETS": text}).budgets
        assert budget == BudgetConfig(
            scope="a", unit="usd", period="day", limit=Decimal("0.1"), zone=None
        )

    def test_a_variable_that_is_neither_is_refused(self) -> None:
        assert "must be written as JSON or as a TOML value" in refusal(
            environ={"CHATNEST_BUDGETS": "lots"}
        )

    def test_a_flag_of_the_wrong_type_is_refused_by_its_name(self) -> None:
        assert refusal(flags={"base_url": ""}) == (
            "--base-url: base_url must be a text of 1 to 200 characters, not ''."
        )


class TestRoutes:
    def test_they_are_read_from_the_file_in_its_order(self) -> None:
        written(
            "[providers.work]\nkind = 'openai'\napi_key_env = 'WORK_KEY'\n"
            "options = {region = 'eu', weight = 0.5, on = true, list = [1, {a = 'b'}]}\n"
            "[routes.'acme/fast']\ntargets = ['work/a/b', 'openai/c']\n"
            "[routes.'acme/fast'.time_limits]\nidle_s = 3\n"
            "[routes.a]\ntargets = ['openai/c']\n"
            "[targets.'openai/c']\nmax_concurrent = 2\n"
        )
        config = load(environ={})
        assert list(config.routes) == ["acme/fast", "a"]
        assert config.routes["acme/fast"] == RouteConfig(
            targets=("work/a/b", "openai/c"), time_limits=RouteTimeLimitsConfig(idle_s=3)
        )
        assert config.providers["work"].options == {
            "region": "eu",
            "weight": 0.5,
            "on": True,
            "list": [1, {"a": "b"}],
        }
        assert config.targets == {"openai/c": TargetConfig(max_concurrent=2)}

    def test_they_are_read_from_variables(self) -> None:
        written("[routes.fast]\ntargets = ['openai/a']\n[providers.work]\nkind = 'openai'")
        config = load(
            environ={
                "CHATNEST_ROUTES__FAST__TARGETS": '["openai/b", "work/c"]',
                "CHATNEST_ROUTES__FAST__TIME_LIMITS__TOTAL_S": "7",
                "CHATNEST_TARGETS": '{"work/c": {"max_wait_s": 0.5}}',
                "CHATNEST_PROVIDERS__WORK__API_KEY_ENV": "WORK_KEY",
                "CHATNEST_CIRCUIT__FAILURES": "9",
            }
        )
        assert config.routes["fast"].targets == ("openai/b", "work/c")
        assert config.routes["fast"].time_limits.total_s == 7
        assert config.targets["work/c"].max_wait_s == 0.5
        assert config.providers["work"] == ProviderConfig(kind="openai", api_key_env="WORK_KEY")
        assert config.circuit.failures == 9

    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("eu", "eu"),
            ("2026-10-21", "2026-10-21"),
            ("5", 5),
            ("0.5", 0.5),
            ("true", True),
            ('["a", "b"]', ["a", "b"]),
            ('"5"', "5"),
        ],
    )
    def test_an_option_in_a_variable_is_json_or_a_text(self, text: str, value: object) -> None:
        written("provider = 'scripted'")
        config = load(environ={"CHATNEST_PROVIDERS__SCRIPTED__OPTIONS__REGION": text})
        assert config.providers["scripted"].options == {"region": value}

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (
                "[routes.fast]\ntarget = ['openai/a']",
                "there is no setting routes.fast.target. Did you mean routes.fast.targets?",
            ),
            ("[routes.fast]", "routes.fast.targets is missing; add it."),
            (
                "[routes.'a b']\ntargets = ['openai/a', 'gpt']",
                'routes."a b".targets[1] must be PROVIDER/MODEL, such as openai/gpt-4o-mini, '
                "not 'gpt'.",
            ),
            (
                "[routes.fast.time_limits]\nheartbeat_s = 3",
                "there is no setting routes.fast.time_limits.heartbeat_s. Known here: connect_s, "
                "first_token_s, idle_s, total_s, write_stall_s.",
            ),
            (
                "[providers.work]\napi_key = 'sk-1'",
                "there is no setting providers.work.api_key. Keys of providers are never in the "
                "configuration: set the environment variable that the provider's own library "
                "reads, such as OPENAI_API_KEY, or name another one in providers.NAME.api_key_env.",
            ),
            (
                "[providers.work.options]\nwhen = 2026-11-26",
                "providers.work.options.when must be a text, a number, true or false, or a list "
                "or table of them, not datetime.date(2026, 11, 26).",
            ),
            (
                "[providers.work.options]\nlist = [inf]",
                "providers.work.options.list[0] must be a finite number, not inf.",
            ),
        ],
    )
    def test_what_is_not_known_or_not_of_its_type_is_refused(self, text: str, message: str) -> None:
        assert refusal(text) == f"chatnest.toml: {message}"


def test_a_worker_reads_the_same_configuration_that_its_server_had() -> None:
    config = ChatNestConfig(
        port=81,
        providers={"work": ProviderConfig(kind="openai", options={"a": [1, 0.5, {"b": True}]})},
        routes={"r": RouteConfig(targets=("work/m", "openai/m"))},
        targets={"work/m": TargetConfig(max_concurrent=2)},
        budgets=(
            BudgetConfig(scope="global", unit="usd", period="day", limit=Decimal("0.000000001")),
        ),
        prices={
            "openai/gpt": PriceConfig(
                input_usd_per_million=Decimal("0.1"), output_usd_per_million=Decimal(2)
            )
        },
    )
    assert from_resolved(to_resolved(config)) == config


def test_sources_fit_together_only_when_all_are_read() -> None:
    written("default_profile = 'team'")
    assert "there are" in refusal("default_profile = 'team'")
    config = load(environ={"CHATNEST_PROFILES": '{"team": {"max_messages": 2}}'})
    assert config.default_profile == "team"


def test_keys_in_the_file_are_read() -> None:
    written(f"[[auth.keys]]\nname = 'alice'\nsha256 = '{'ab' * 32}'\nscopes = ['team:red']")
    (key,) = load(environ={}).auth.keys
    assert key == KeyConfig(name="alice", sha256="ab" * 32, scopes=("team:red",))
