from dataclasses import replace
from decimal import Decimal
from importlib import import_module

import pytest

from chatnest.adapters.clock import SystemClock
from chatnest.adapters.providers import LocalProvider, OpenAIProvider, Script, ScriptedProvider
from chatnest.adapters.storage import MemoryStore
from chatnest.app import built_in_providers
from chatnest.app.config import ChatNestConfig, PriceConfig, TimeLimitsConfig
from chatnest.app.config_routes import (
    ProviderConfig,
    RouteConfig,
    RouteTimeLimitsConfig,
    TargetConfig,
)
from chatnest.app.container import Container
from chatnest.domain.admission import Refusal, RefusalCode
from chatnest.domain.answer import Answer
from chatnest.domain.errors import ConfigurationError
from chatnest.domain.events import ChatEvent, UsageReported
from chatnest.domain.messages import Message, Role
from chatnest.domain.policy import TimeLimits
from chatnest.domain.ports import ChatProvider
from chatnest.domain.requests import ChatRequest, Principal
from tests.app.provider_packages import ECHO, Packages

SCRIPTED = ChatNestConfig(provider="scripted")
ALICE = Principal("key:alice")


NOTING = (
    ECHO
    + """
noted = []


class NotingProvider(EchoProvider):
    def __init__(self, settings, ports):
        super().__init__(settings, ports)
        self.noted = noted
        noted.append(f"made {self.name}")

    async def aclose(self):
        noted.append(f"closed {self.name}")


create = NotingProvider
"""
)


def routed(**routes: tuple[str, ...]) -> ChatNestConfig:
    """Routes whose targets may be at ``other``, which is of the kind ``acme``."""
    providers = {"other": ProviderConfig(kind="acme")}
    return ChatNestConfig(
        providers=providers,
        routes={name: RouteConfig(targets=targets) for name, targets in routes.items()},
    )


class ClosingStore(MemoryStore):
    """A store that notes when it is closed."""

    def __init__(self, closed: list[str]) -> None:
        super().__init__(SystemClock())
        self._noted = closed

    async def aclose(self) -> None:
        self._noted.append("store")
        await super().aclose()


class ClosingProvider(ScriptedProvider):
    """A provider that notes when it is closed."""

    def __init__(self, closed: list[str], name: str = "mine") -> None:
        super().__init__(SystemClock(), Script("one two three"), name=name)
        self._noted = closed

    async def aclose(self) -> None:
        self._noted.append("provider")


def asking(text: str = "Hello") -> ChatRequest:
    return ChatRequest(messages=(Message(Role.USER, text),))


async def events_of(container: Container) -> list[ChatEvent]:
    answer = await container.service().open(ALICE, asking())
    assert isinstance(answer, Answer)
    async with answer:
        return [event async for batch in answer for event in batch]


def only_provider(container: Container) -> ChatProvider:
    (provider,) = container.chat_providers().values()
    return provider


class TestChoice:
    def test_each_part_is_made_once(self) -> None:
        container = Container(SCRIPTED)
        assert container.store() is container.store()
        assert only_provider(container) is only_provider(container)
        assert container.routes() is container.routes()
        assert container.service() is container.service()
        assert container.clock() is container.clock()

    def test_two_containers_share_nothing(self) -> None:
        one, other = Container(SCRIPTED), Container(SCRIPTED)
        assert one.store() is not other.store()
        assert only_provider(one) is not only_provider(other)

    def test_the_provider_is_the_configured_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
        assert isinstance(only_provider(Container(SCRIPTED)), ScriptedProvider)
        local = Container(ChatNestConfig(provider="local"))
        assert isinstance(only_provider(local), LocalProvider)

    async def test_a_key_of_openai_chooses_openai(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-s3cret")
        container = Container(ChatNestConfig())
        async with container.open():
            assert isinstance(only_provider(container), OpenAIProvider)
            assert "s3cret" not in repr(only_provider(container))

    def test_without_a_key_the_local_model_answers(self) -> None:
        assert isinstance(only_provider(Container(ChatNestConfig())), LocalProvider)

    def test_what_was_not_chosen_is_not_made(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*arguments: object, **options: object) -> None:
            raise AssertionError("made without being chosen")

        monkeypatch.setattr(built_in_providers, "OpenAIProvider", refuse)
        monkeypatch.setattr(built_in_providers, "ScriptedProvider", refuse)
        mine = ClosingProvider([])
        assert only_provider(Container(SCRIPTED, provider=mine)) is mine

    def test_openai_is_asked_at_the_configured_address(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made: list[dict[str, object]] = []

        def make(**options: object) -> ScriptedProvider:
            made.append(options)
            return ScriptedProvider(SystemClock(), name="openai")

        monkeypatch.setattr(built_in_providers, "OpenAIProvider", make)
        config = ChatNestConfig(
            base_url="http://example.test/v1", time_limits=TimeLimitsConfig(total_s=7, connect_s=2)
        )
        Container(config).chat_providers()
        assert made == [
            {
                "name": "openai",
                "api_key": None,
                "base_url": "http://example.test/v1",
                "connect_timeout_s": 2,
                "read_timeout_s": 7,
                "max_connections": 10_000,
                "keep_alive": True,
                "trust_env": True,
            }
        ]

    def test_an_unknown_provider_is_refused_with_the_known_ones(self) -> None:
        with pytest.raises(ConfigurationError, match="There are anthropic, local, openai, script"):
            Container(ChatNestConfig(provider="x"))

    def test_a_configuration_that_cannot_work_is_refused_at_once(self) -> None:
        with pytest.raises(ConfigurationError, match="there is no store"):
            Container(ChatNestConfig(store="nowhere://"))


class TestLifespan:
    async def test_the_provider_is_closed_before_the_store(self) -> None:
        closed: list[str] = []
        container = Container(
            SCRIPTED, provider=ClosingProvider(closed), store=ClosingStore(closed)
        )
        async with container.open():
            assert closed == []
        assert closed == ["provider", "store"]

    async def test_both_are_closed_where_the_application_fails(self) -> None:
        closed: list[str] = []
        container = Container(
            SCRIPTED, provider=ClosingProvider(closed), store=ClosingStore(closed)
        )
        with pytest.raises(ZeroDivisionError):
            async with container.open():
                raise ZeroDivisionError
        assert closed == ["provider", "store"]

    async def test_the_store_is_closed_where_the_provider_cannot_be_made(self) -> None:
        closed: list[str] = []
        container = Container(ChatNestConfig(provider="openai"), store=ClosingStore(closed))
        with pytest.raises(ConfigurationError):
            async with container.open():
                raise AssertionError("it opened")
        assert closed == ["store"]

    async def test_providers_are_closed_the_last_opened_first(self, packages: Packages) -> None:
        packages.add("acme-chat", {"acme": "acme_chat:create"}, acme_chat=NOTING)
        container = Container(routed(r=("acme/a", "other/b"), s=("acme/c",)))
        async with container.open():
            acme, other = container.chat_providers().values()
            assert acme is container.routes()[1].targets[0].provider
            noted: list[str] = vars(acme)["noted"]
            assert noted == ["made acme", "made other"]
        assert noted[2:] == ["closed other", "closed acme"]
        assert vars(other)["noted"] is noted

    async def test_what_was_made_is_closed_where_the_next_cannot_be(
        self, packages: Packages
    ) -> None:
        packages.add("acme-chat", {"acme": "acme_chat:create"}, acme_chat=NOTING)
        closed: list[str] = []
        config = routed(r=("acme/a", "openai/b"))
        container = Container(config, store=ClosingStore(closed))
        with pytest.raises(ConfigurationError, match="needs a key"):
            async with container.open():
                raise AssertionError("it opened")
        noted = import_module("acme_chat").noted
        assert noted == ["made acme", "closed acme"]
        assert closed == ["store"]

    def test_nothing_is_made_before_it_is_asked_for(self, packages: Packages) -> None:
        packages.add("acme-chat", {"acme": "acme_chat:create"}, acme_chat=NOTING)
        Container(routed(r=("acme/a",)))
        assert packages.imported() == []


class TestRoutes:
    def test_they_are_the_configured_ones_with_one_object_for_each_target(self) -> None:
        config = ChatNestConfig(
            model="second",
            providers={"demo": ProviderConfig(kind="scripted")},
            routes={
                "first": RouteConfig(targets=("scripted/a", "demo/a")),
                "second": RouteConfig(
                    targets=("demo/a",), time_limits=RouteTimeLimitsConfig(connect_s=1, total_s=7)
                ),
            },
            targets={"demo/a": TargetConfig(context_window=99, max_concurrent=3, max_wait_s=0.5)},
        )
        second, first = Container(config).routes()
        assert (second.name, first.name) == ("second", "first")
        assert [target.provider.name for target in first.targets] == ["scripted", "demo"]
        assert first.targets[1] is second.targets[0]
        demo = second.targets[0]
        assert (demo.model, demo.context_window) == ("a", 99)
        assert (demo.max_concurrent, demo.max_wait_us) == (3, 500_000)
        plain = first.targets[0]
        assert (plain.context_window, plain.max_concurrent, plain.max_wait_us) == (
            None,
            None,
            10**6,
        )
        assert first.time_limits is None
        assert second.time_limits == TimeLimits(connect_us=10**6, total_us=7 * 10**6)

    @pytest.mark.parametrize(
        ("config", "name", "route"),
        [
            (ChatNestConfig(), "mine", "mine"),
            (ChatNestConfig(model="m"), "mine", "m"),
            (ChatNestConfig(), "openai", "gpt-4o-mini"),
            (ChatNestConfig(routes={"r": RouteConfig(targets=("openai/a",))}), "mine", "mine"),
        ],
    )
    def test_a_given_provider_replaces_them_all(
        self, config: ChatNestConfig, name: str, route: str
    ) -> None:
        provider = ClosingProvider([], name)
        (only,) = Container(config, provider=provider).routes()
        assert only.name == route
        assert [target.model for target in only.targets] == [route]
        assert only.targets[0].provider is provider

    def test_a_given_provider_is_limited_as_its_target_is_configured(self) -> None:
        limits = TargetConfig(max_concurrent=2, context_window=900)
        config = ChatNestConfig(model="m", targets={"mine/m": limits})
        provider = ScriptedProvider(SystemClock(), name="mine")
        (only,) = Container(config, provider=provider).routes()
        (target,) = only.targets
        assert (target.max_concurrent, target.context_window) == (2, 900)

    def test_options_reach_the_provider(self, packages: Packages) -> None:
        packages.add("acme-chat", {}, acme_chat=ECHO)
        section = ProviderConfig(
            factory="acme_chat:create", options={"region": "eu", "weights": [1, 0.5]}
        )
        config = ChatNestConfig(provider="mine", model="m", providers={"mine": section})
        settings = vars(only_provider(Container(config)))["settings"]
        assert settings.options == {"region": "eu", "weights": [1, 0.5]}


class TestService:
    async def test_what_replaces_a_part_is_what_the_service_uses(self) -> None:
        closed: list[str] = []
        provider, store = ClosingProvider(closed), ClosingStore(closed)
        container = Container(SCRIPTED, provider=provider, store=store)
        assert container.store() is store
        await events_of(container)
        assert [call.call.request_id for call in provider.calls] != []
        spent = await container.service().usage(ALICE)
        other = await Container(SCRIPTED, store=store).service().usage(ALICE)
        assert spent == other
        assert any(balance.settled for balance in spent.balances)

    @pytest.mark.parametrize(
        ("config", "name", "model"),
        [
            (ChatNestConfig(), "mine", "mine"),
            (ChatNestConfig(model="m"), "mine", "m"),
            (ChatNestConfig(), "openai", "gpt-4o-mini"),
            (ChatNestConfig(), "scripted", "scripted"),
        ],
    )
    async def test_the_model_is_the_configured_or_the_usual_one(
        self, config: ChatNestConfig, name: str, model: str
    ) -> None:
        provider = ClosingProvider([], name)
        await events_of(Container(config, provider=provider))
        assert [call.call.model for call in provider.calls] == [model]

    async def test_the_context_window_is_the_configured_one(self) -> None:
        wide = Container(ChatNestConfig(), provider=ClosingProvider([]))
        narrow = Container(ChatNestConfig(context_window=30), provider=ClosingProvider([]))
        answer = await wide.service().open(ALICE, asking("word " * 20))
        assert isinstance(answer, Answer)
        await answer.aclose()
        refusal = await narrow.service().open(ALICE, asking("word " * 20))
        assert isinstance(refusal, Refusal)
        assert refusal.code is RefusalCode.REQUEST_TOO_LARGE

    @pytest.mark.parametrize("window", [None, 500])
    async def test_the_local_models_window_is_its_own_or_the_configured_one(
        self, window: int | None
    ) -> None:
        container = Container(ChatNestConfig(provider="local", context_window=window))
        provider = only_provider(container)
        assert isinstance(provider, LocalProvider)
        assert window in (None, provider.context_window)
        too_long = asking("word " * provider.context_window)
        refusal = await container.service().open(ALICE, replace(too_long, profile="expanded"))
        assert isinstance(refusal, Refusal)
        assert refusal.limit is not None
        assert refusal.limit < provider.context_window

    async def test_the_local_model_cannot_be_asked_for_another_model(self) -> None:
        with pytest.raises(ConfigurationError, match="has only smollm2-135m-instruct"):
            Container(ChatNestConfig(provider="local", model="gpt-4o"))

    async def test_configured_prices_and_profiles_reach_the_service(self) -> None:
        config = ChatNestConfig(
            model="m",
            default_profile="constrained",
            prices={
                "mine/m": PriceConfig(
                    input_usd_per_million=Decimal(0), output_usd_per_million=Decimal(1)
                )
            },
        )
        provider = ClosingProvider([])
        events = await events_of(Container(config, provider=provider))
        (usage,) = (event for event in events if isinstance(event, UsageReported))
        assert usage.cost_nano_usd == 3 * 1_000
        assert [call.call.max_output_tokens for call in provider.calls] == [150]
