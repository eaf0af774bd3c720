"""``anthropic``, as a Python program uses it."""

import asyncio
import json
import time
from collections.abc import Sequence
from typing import Any, Final

import anthropic
from anthropic import AsyncAnthropic
from anthropic.types import Message

from tests.end_to_end.clients.asking import WEATHER, WEATHER_RESULT, Case, Outcome

_TOOL: Final = {
    "name": WEATHER,
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
}


async def ask_messages(cases: Sequence[Case]) -> list[Outcome]:
    """Messages, case by case."""
    return await asyncio.gather(*(_asked(case) for case in cases))


def settings(case: Case) -> dict[str, Any]:
    """What a client is made with; no retries leave out how many there are."""
    retries = {} if case.retries is None else {"max_retries": case.retries}
    return {"base_url": case.url, "api_key": case.key, "timeout": 30, **retries}


def shown(error: anthropic.APIError) -> dict[str, Any]:
    """What a program sees of *error*."""
    return {
        "name": type(error).__name__,
        "status": getattr(error, "status_code", None),
        "type": getattr(error, "type", None),
        "code": getattr(error, "error_code", None),
        "message": getattr(error, "api_message", None),
    }


async def _asked(case: Case) -> Outcome:
    async with AsyncAnthropic(**settings(case)) as client:
        asking = _Asking(client, case)
        try:
            message = await asking.turn()
            if asking.seen.calls and case.tools and message is not None:
                asking.run_tools(message)
                await asking.turn()
        except anthropic.APIError as error:
            asking.seen.error = shown(error)
        return asking.seen


class _Asking:
    """A conversation, and what was seen of it."""

    def __init__(self, client: AsyncAnthropic, case: Case) -> None:
        self.client = client
        self.case = case
        self.seen = Outcome()
        self.said: list[Any] = [{"role": "user", "content": case.question}]
        self.options: dict[str, Any] = {
            "model": case.model,
            "max_tokens": 400,
            "extra_headers": case.headers,
        }
        if case.temperature is not None:
            self.options["extra_body"] = {"temperature": case.temperature}
        if case.tools:
            self.options["tools"] = [_TOOL]

    async def turn(self) -> Message | None:
        """The message that was answered; None where the client left before its end."""
        if self.case.stream:
            message = await self._stream()
        else:
            message = await self.client.messages.create(messages=self.said, **self.options)
        if message is not None:
            self._take(message)
        return message

    def run_tools(self, message: Message) -> None:
        results = [
            {"type": "tool_result", "tool_use_id": id, "content": WEATHER_RESULT}
            for id, _, _ in self.seen.calls
        ]
        self.said.append({"role": "assistant", "content": message.content})
        self.said.append({"role": "user", "content": results})

    async def _stream(self) -> Message | None:
        async with self.client.messages.stream(messages=self.said, **self.options) as stream:
            pieces = 0
            try:
                async for text in stream.text_stream:
                    pieces += 1
                    self.seen.text += text
                    if pieces == self.case.leave_after:
                        self.seen.left_at_ms = time.time() * 1_000
                        return None
            except anthropic.APIError:
                self._used(stream.current_message_snapshot)
                raise
            self.seen.text = ""
            return await stream.get_final_message()

    def _used(self, message: Message) -> None:
        usage = message.usage
        cached = (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0)
        self.seen.usage = [usage.input_tokens + cached, usage.output_tokens]

    def _take(self, message: Message) -> None:
        for block in message.content:
            match block.type:
                case "text":
                    self.seen.text += block.text
                case "thinking":
                    self.seen.reasoning += block.thinking
                case "tool_use":
                    arguments = json.dumps(block.input, separators=(",", ":"))
                    self.seen.calls.append([block.id, block.name, arguments])
        self.seen.finish = message.stop_reason
        self._used(message)
