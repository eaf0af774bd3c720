from dataclasses import replace
from decimal import Decimal

import pytest

from chatnest.adapters.clock import SystemClock
from chatnest.adapters.providers import LocalProvider, OpenAIProvider, Script, ScriptedProvider
from chatnest.adapters.storage import MemoryStore
from chatnest.app import container as module
from chatnest.app.config import ChatNestConfig, PriceConfig, TimeLimitsConfig
from chatnest.app.container import Container
from chatnest.domain.admission import Refusal, RefusalCode
from chatnest.domain.answer import Answer
from chatnest.domain.errors import ConfigurationError
from chatnest.domain.events import ChatEvent, UsageReported
from chatnest.domain.messages import Message, Role
from chatnest.domain.requests import ChatRequest, Principal

SCRIPTED = ChatNestConfig(provider="scripted")
ALICE = Principal("key:alice")


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


class TestChoice:
    def test_each_part_is_made_once(self) -> None:
        container = Container(SCRIPTED)
        assert container.store() is container.store()
        assert container.provider() is container.provider()
        assert container.service() is container.service()
        assert container.clock() is container.clock()

    def test_two_containers_share_nothing(self) -> None:
        one, other = Container(SCRIPTED), Container(SCRIPTED)
        assert one.store() is not other.store()
        assert one.provider() is not other.provider()

    def test_the_provider_is_the_configured_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
        assert isinstance(Container(SCRIPTED).provider(), ScriptedProvider)
        local = Container(ChatNestConfig(provider="local"))
        assert isinstance(local.provider(), LocalProvider)

    async def test_a_key_of_openai_chooses_openai(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-s3cret")
        container = Container(ChatNestConfig())
        async with container.open():
            assert isinstance(container.provider(), OpenAIProvider)
            assert "s3cret" not in repr(container.provider())

    def test_without_a_key_the_local_model_answers(self) -> None:
        assert isinstance(Container(ChatNestConfig()).provider(), LocalProvider)

    def test_what_was_not_chosen_is_not_made(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*arguments: object, **options: object) -> None:
            raise AssertionError("made without being chosen")

        monkeypatch.setattr(module, "OpenAIProvider", refuse)
        monkeypatch.setattr(module, "ScriptedProvider", refuse)
        mine = ClosingProvider([])
        assert Container(SCRIPTED, provider=mine).provider() is mine

    def test_openai_is_asked_at_the_configured_address(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made: list[dict[str, object]] = []
        monkeypatch.setattr(module, "OpenAIProvider", lambda **options: made.append(options))
        config = ChatNestConfig(
            base_url="http://example.test/v1", time_limits=TimeLimitsConfig(total_s=7)
        )
        Container(config).provider()
        assert made == [{"base_url": "http://example.test/v1", "read_timeout_s": 7}]

    def test_an_unknown_provider_is_refused_with_the_known_ones(self) -> None:
        container = Container(ChatNestConfig(provider="x"))
        with pytest.raises(ConfigurationError, match="There are openai, local, scripted"):
            container.provider()

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
        container = Container(ChatNestConfig(provider="x"), store=ClosingStore(closed))
        with pytest.raises(ConfigurationError):
            async with container.open():
                raise AssertionError("it opened")
        assert closed == ["store"]


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
        provider = container.provider()
        assert isinstance(provider, LocalProvider)
        assert window in (None, provider.context_window)
        too_long = asking("word " * provider.context_window)
        refusal = await container.service().open(ALICE, replace(too_long, profile="expanded"))
        assert isinstance(refusal, Refusal)
        assert refusal.limit is not None
        assert refusal.limit < provider.context_window

    async def test_the_local_model_cannot_be_asked_for_another_model(self) -> None:
        container = Container(ChatNestConfig(provider="local", model="gpt-4o"))
        with pytest.raises(ConfigurationError, match="has only smollm2-135m-instruct"):
            container.service()

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
