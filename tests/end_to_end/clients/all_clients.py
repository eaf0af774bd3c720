"""Every client, and the words in which it tells its user what became of a request."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from tests.end_to_end.clients import anthropic_python, openai_python
from tests.end_to_end.clients.asking import Ask, Case, Outcome
from tests.support.node_clients import READERS, NodeClients


class Family(StrEnum):
    """Clients that show a failure in the same way."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    AI_SDK_PROVIDER = "ai-sdk-provider"
    USE_CHAT = "use-chat"
    AG_UI = "ag-ui"


class Ends(NamedTuple):
    """How a client calls the ends of an answer; ``failed`` None where it has no word for it."""

    stop: str = "stop"
    length: str = "length"
    failed: str | None = None


_COMMON: Final = Ends()

NpmClients = Callable[[], NodeClients]
"""Gives the npm clients, to those who need them: they may have to be installed first."""


@dataclass(frozen=True, kw_only=True)
class Client:
    """One client, as it is published.

    ``ask`` makes what asks, of the npm clients where it is one of them. ``has_pieces_only``: it
    takes no answer in one piece. ``sees_thoughts``: it shows what a model thinks aloud.
    ``sees_usage_of_failures``: what it was told before an error it shows. ``retries_silence``: a
    stream that fails before its first word it asks for again.
    """

    name: str
    family: Family
    ask: Callable[[NpmClients], Ask]
    ends: Ends = _COMMON
    has_pieces_only: bool = False
    sees_thoughts: bool = True
    sees_usage_of_failures: bool = True
    retries_silence: bool = False


def _of_python(ask: Ask) -> Callable[[NpmClients], Ask]:
    return lambda _: ask


def _of_npm(script: str, wire: str) -> Callable[[NpmClients], Ask]:
    def with_clients(npm_clients: NpmClients) -> Ask:
        clients = npm_clients()

        async def ask(cases: Sequence[Case]) -> list[Outcome]:
            told = [json.dumps({**case.to_json(), "wire": wire}) for case in cases]
            stdin = "".join(line + "\n" for line in told)
            written = await clients.run(READERS / script, str(clients.folder), stdin=stdin)
            return [Outcome(**json.loads(line)) for line in written.splitlines()]

        return ask

    return with_clients


_RESPONSES: Final = Ends("completed", "incomplete", "failed")
_MESSAGES: Final = Ends("end_turn", "max_tokens")
_AI_SDK: Final = Ends(failed="error")

CLIENTS: Final[Sequence[Client]] = (
    Client(name="openai-python-chat", family=Family.OPENAI, ask=_of_python(openai_python.ask_chat)),
    Client(
        name="openai-python-responses",
        family=Family.OPENAI,
        ask=_of_python(openai_python.ask_responses),
        ends=_RESPONSES,
    ),
    Client(
        name="anthropic-python",
        family=Family.ANTHROPIC,
        ask=_of_python(anthropic_python.ask_messages),
        ends=_MESSAGES,
    ),
    Client(name="openai-node-chat", family=Family.OPENAI, ask=_of_npm("openai_client.mjs", "chat")),
    Client(
        name="openai-node-responses",
        family=Family.OPENAI,
        ask=_of_npm("openai_client.mjs", "responses"),
        ends=_RESPONSES,
    ),
    Client(
        name="anthropic-node",
        family=Family.ANTHROPIC,
        ask=_of_npm("anthropic_client.mjs", "messages"),
        ends=_MESSAGES,
    ),
    Client(
        name="use-chat-v6",
        family=Family.USE_CHAT,
        ask=_of_npm("ui_chat_client.mjs", "v6"),
        has_pieces_only=True,
    ),
    Client(
        name="use-chat-v7",
        family=Family.USE_CHAT,
        ask=_of_npm("ui_chat_client.mjs", "v7"),
        has_pieces_only=True,
    ),
    Client(
        name="ag-ui",
        family=Family.AG_UI,
        ask=_of_npm("ag_ui_client.mjs", "ag-ui"),
        has_pieces_only=True,
    ),
    Client(
        name="ai-sdk-openai",
        family=Family.AI_SDK_PROVIDER,
        ask=_of_npm("ai_providers_client.mjs", "openai"),
        ends=_AI_SDK,
        sees_thoughts=False,
        retries_silence=True,
    ),
    Client(
        name="ai-sdk-openai-compatible",
        family=Family.AI_SDK_PROVIDER,
        ask=_of_npm("ai_providers_client.mjs", "compatible"),
        ends=_AI_SDK,
    ),
    Client(
        name="ai-sdk-anthropic",
        family=Family.AI_SDK_PROVIDER,
        ask=_of_npm("ai_providers_client.mjs", "anthropic"),
        ends=_AI_SDK,
        sees_usage_of_failures=False,
    ),
)
