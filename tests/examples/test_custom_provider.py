"""The example of a provider in one file."""

from examples.custom_provider import create_app
from tests.support.client import Event, chat
from tests.support.running import running


async def ask(port: int, text: str, **fields: object) -> list[Event]:
    async with await chat(port, text, **fields) as exchange:
        return [event async for event in exchange.events()]


async def test_it_answers_and_what_it_reports_is_charged() -> None:
    async with running(create_app()) as port:
        events = await ask(port, "to be or not to be")

    said = "".join(event.json for event in events if event.name == "token")
    assert said.split() == ["be", "to", "not", "or", "be", "to"]
    assert events[-2].json["totalTokens"] == 6 + 6
    assert events[-2].json["finishReason"] == "stop"


async def test_its_failures_reach_the_client_as_errors() -> None:
    async with running(create_app()) as port:
        events = await ask(port, "error please")

    assert events[-1].name == "error"
    assert events[-1].json["code"] == "provider_overloaded"
