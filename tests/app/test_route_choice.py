import pytest

from chatnest.app.config import ChatNestConfig, TimeLimitsConfig
from chatnest.app.config_routes import (
    ProviderConfig,
    RouteConfig,
    RouteTimeLimitsConfig,
    TargetConfig,
)
from chatnest.app.provider_factory import ProviderSettings
from chatnest.app.route_choice import (
    RouteChoice,
    choose_routes,
    chosen_providers,
    provider_settings,
)
from chatnest.domain.errors import ConfigurationError

KEY = {"OPENAI_API_KEY": "sk-test"}


def routes(**targets: tuple[str, ...]) -> dict[str, RouteConfig]:
    return {name: RouteConfig(targets=names) for name, names in targets.items()}


def shown(chosen: tuple[RouteChoice, ...]) -> dict[str, list[str]]:
    return {route.name: [target.name for target in route.targets] for route in chosen}


def settings_of(config: ChatNestConfig, name: str) -> ProviderSettings:
    chosen = choose_routes(config, KEY)
    (choice,) = (choice for choice in chosen_providers(chosen) if choice.name == name)
    return provider_settings(config, choice, chosen, KEY)


class TestWithoutRoutes:
    @pytest.mark.parametrize(
        ("config", "environ", "name", "target"),
        [
            (ChatNestConfig(), {}, "smollm2-135m-instruct", "local/smollm2-135m-instruct"),
            (ChatNestConfig(), KEY, "gpt-4o-mini", "openai/gpt-4o-mini"),
            (ChatNestConfig(provider="scripted", model="m"), KEY, "m", "scripted/m"),
            (
                ChatNestConfig(
                    provider="work", model="m", providers={"work": ProviderConfig(kind="openai")}
                ),
                {},
                "m",
                "work/m",
            ),
        ],
    )
    def test_there_is_one_that_is_called_like_the_model(
        self, config: ChatNestConfig, environ: dict[str, str], name: str, target: str
    ) -> None:
        assert shown(choose_routes(config, environ)) == {name: [target]}

    def test_settings_of_the_whole_tree_are_the_one_providers(self) -> None:
        config = ChatNestConfig(
            provider="work",
            base_url="http://flag.test",
            context_window=500,
            providers={"work": ProviderConfig(kind="openai", base_url="http://file.test")},
        )
        settings = settings_of(config, "work")
        assert (settings.base_url, settings.context_window) == ("http://flag.test", 500)

    def test_its_target_has_what_is_set_for_it(self) -> None:
        own = {"scripted/scripted": TargetConfig(max_concurrent=3, context_window=9)}
        config = ChatNestConfig(provider="scripted", targets=own, context_window=7)
        ((target,),) = (route.targets for route in choose_routes(config, {}))
        assert (target.settings.max_concurrent, target.settings.context_window) == (3, 7)


class TestWithRoutes:
    def test_the_first_is_that_of_requests_that_name_none(self) -> None:
        config = ChatNestConfig(routes=routes(slow=("openai/a", "local/smollm2-135m-instruct")))
        assert shown(choose_routes(config, {})) == {
            "slow": ["openai/a", "local/smollm2-135m-instruct"]
        }
        three = routes(a=("openai/a",), b=("openai/b",), c=("openai/c",))
        assert list(shown(choose_routes(ChatNestConfig(routes=three), {}))) == ["a", "b", "c"]

    def test_the_named_model_comes_first(self) -> None:
        three = routes(a=("openai/a",), b=("openai/b",), c=("openai/c",))
        chosen = choose_routes(ChatNestConfig(model="b", routes=three), {})
        assert list(shown(chosen)) == ["b", "a", "c"]

    def test_a_model_may_have_slashes_of_its_own(self) -> None:
        ((target,),) = (
            route.targets
            for route in choose_routes(ChatNestConfig(routes=routes(r=("openai/a/b:c",))), {})
        )
        assert (target.provider.name, target.model) == ("openai", "a/b:c")

    def test_each_provider_is_chosen_once_in_the_order_in_which_it_is_named(self) -> None:
        config = ChatNestConfig(
            routes=routes(a=("scripted/x", "openai/a"), b=("openai/b", "scripted/x"))
        )
        chosen = choose_routes(config, {})
        assert [choice.name for choice in chosen_providers(chosen)] == ["scripted", "openai"]
        assert chosen[0].targets[1].provider is chosen[1].targets[0].provider

    def test_a_model_that_a_provider_has_not_is_refused_where_it_stands(self) -> None:
        config = ChatNestConfig(routes=routes(r=("openai/a", "local/gpt")))
        with pytest.raises(ConfigurationError, match=r"^routes.r.targets\[1\]: the provider local"):
            choose_routes(config, {})


class TestSettings:
    def test_a_factory_is_given_what_the_section_says(self) -> None:
        section = ProviderConfig(
            kind="openai",
            base_url="http://work.test",
            api_key_env="OPENAI_API_KEY",
            connect_timeout_s=2.5,
            max_connections=7,
            options={"keep_alive": False},
        )
        config = ChatNestConfig(providers={"work": section}, routes=routes(r=("work/m",)))
        assert settings_of(config, "work") == ProviderSettings(
            name="work",
            kind="openai",
            base_url="http://work.test",
            api_key="sk-test",
            connect_timeout_s=2.5,
            read_timeout_s=600.0,
            max_connections=7,
            options={"keep_alive": False},
        )

    def test_times_are_those_of_the_most_patient_route(self) -> None:
        def patient(total_s: float | None) -> RouteConfig:
            limits = RouteTimeLimitsConfig(total_s=total_s)
            return RouteConfig(targets=("openai/a",), time_limits=limits)

        limits = TimeLimitsConfig(connect_s=3, total_s=50)
        one = ChatNestConfig(time_limits=limits, routes={"r": patient(20)})
        assert settings_of(one, "openai").read_timeout_s == 20
        assert settings_of(one, "openai").connect_timeout_s == 3
        both = ChatNestConfig(time_limits=limits, routes={"r": patient(20), "s": patient(None)})
        assert settings_of(both, "openai").read_timeout_s == 50

    def test_the_window_is_the_largest_of_its_targets(self) -> None:
        windows = {
            "scripted/a": TargetConfig(context_window=5),
            "scripted/b": TargetConfig(context_window=9),
            "openai/c": TargetConfig(context_window=99),
        }
        names = ("scripted/a", "scripted/b", "openai/c")
        config = ChatNestConfig(targets=windows, routes=routes(r=names))
        assert settings_of(config, "scripted").context_window == 9
        unset = ChatNestConfig(routes=routes(r=names))
        assert settings_of(unset, "scripted").context_window is None
