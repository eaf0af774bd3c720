"""``openai``, as a Python program uses it."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Final

import openai
from openai import AsyncOpenAI
from openai.types.responses import Response

from tests.end_to_end.clients.asking import WEATHER, WEATHER_RESULT, Case, Outcome

_SCHEMA: Final = {"type": "object", "properties": {"city": {"type": "string"}}}
_CHAT_TOOL: Final[Any] = {
    "type": "function",
    "function": {"name": WEATHER, "parameters": _SCHEMA},
}
_RESPONSES_TOOL: Final[Any] = {
    "type": "function",
    "name": WEATHER,
    "parameters": _SCHEMA,
    "strict": False,
}


async def ask_chat(cases: Sequence[Case]) -> list[Outcome]:
    """Chat Completions, case by case."""
    return await asyncio.gather(*(_asked(case, _Chat) for case in cases))


async def ask_responses(cases: Sequence[Case]) -> list[Outcome]:
    """Responses, case by case."""
    return await asyncio.gather(*(_asked(case, _Responses) for case in cases))


def settings(case: Case) -> dict[str, Any]:
    """What a client is made with; no retries leave out how many there are."""
    retries = {} if case.retries is None else {"max_retries": case.retries}
    return {"base_url": f"{case.url}/v1", "api_key": case.key, "timeout": 30, **retries}


def shown(error: openai.APIError) -> dict[str, Any]:
    """What a program sees of *error*."""
    told = error.body if isinstance(error.body, dict) else {}
    return {
        "name": type(error).__name__,
        "status": getattr(error, "status_code", None),
        "type": error.type,
        "code": error.code,
        "message": told.get("message"),
    }


async def _asked(case: Case, kind: "type[_Chat | _Responses]") -> Outcome:
    async with AsyncOpenAI(**settings(case)) as client:
        asking = kind(client, case)
        try:
            await asking.turn()
            if asking.seen.calls and case.tools:
                asking.run_tools()
                await asking.turn()
        except openai.APIError as error:
            asking.seen.error = shown(error)
        return asking.seen


class _Asking:
    """A conversation, and what was seen of it."""

    def __init__(self, client: AsyncOpenAI, case: Case) -> None:
        self.client = client
        self.case = case
        self.seen = Outcome()
        self.said: list[Any] = [{"role": "user", "content": case.question}]
        self.options: dict[str, Any] = {"model": case.model, "extra_headers": case.headers}
        if case.temperature is not None:
            self.options["temperature"] = case.temperature
        self._pieces = 0

    def is_enough(self) -> bool:
        """Whether the client leaves with this piece."""
        self._pieces += 1
        if self._pieces != self.case.leave_after:
            return False
        self.seen.left_at_ms = time.time() * 1_000
        return True


class _Chat(_Asking):
    async def turn(self) -> None:
        if self.case.tools:
            self.options["tools"] = [_CHAT_TOOL]
        if self.case.stream:
            await self._stream()
        else:
            await self._whole()

    def run_tools(self) -> None:
        calls = [
            {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}
            for id, name, arguments in self.seen.calls
        ]
        self.said.append({"role": "assistant", "content": self.seen.text, "tool_calls": calls})
        for id, _, _ in self.seen.calls:
            self.said.append({"role": "tool", "tool_call_id": id, "content": WEATHER_RESULT})

    async def _whole(self) -> None:
        answer = await self.client.chat.completions.create(messages=self.said, **self.options)
        (choice,) = answer.choices
        self.seen.text += choice.message.content or ""
        self.seen.reasoning += getattr(choice.message, "reasoning_content", "")
        for call in choice.message.tool_calls or ():
            assert call.type == "function"
            self.seen.calls.append([call.id, call.function.name, call.function.arguments])
        self.seen.finish = choice.finish_reason
        assert answer.usage is not None
        self.seen.usage = [answer.usage.prompt_tokens, answer.usage.completion_tokens]

    async def _stream(self) -> None:
        chunks = await self.client.chat.completions.create(
            messages=self.said,
            stream=True,
            stream_options={"include_usage": True},
            **self.options,
        )
        async with chunks:
            async for chunk in chunks:
                if chunk.usage is not None:
                    self.seen.usage = [chunk.usage.prompt_tokens, chunk.usage.completion_tokens]
                for choice in chunk.choices:
                    self._take(choice)
                    if choice.delta.content and self.is_enough():
                        return

    def _take(self, choice: Any) -> None:
        self.seen.text += choice.delta.content or ""
        self.seen.reasoning += getattr(choice.delta, "reasoning_content", "")
        self.seen.finish = choice.finish_reason or self.seen.finish
        for call in choice.delta.tool_calls or ():
            if call.id is not None:
                self.seen.calls.append([call.id, call.function.name, ""])
            self.seen.calls[call.index][2] += call.function.arguments


class _Responses(_Asking):
    async def turn(self) -> None:
        if self.case.tools:
            self.options["tools"] = [_RESPONSES_TOOL]
        if self.case.stream:
            await self._stream()
        else:
            self._end(
                await self.client.responses.create(input=self.said, store=False, **self.options)
            )

    def run_tools(self) -> None:
        for id, name, arguments in self.seen.calls:
            call = {"type": "function_call", "call_id": id, "name": name, "arguments": arguments}
            result = {"type": "function_call_output", "call_id": id, "output": WEATHER_RESULT}
            self.said += [call, result]

    async def _stream(self) -> None:
        events = await self.client.responses.create(
            input=self.said, store=False, stream=True, **self.options
        )
        async with events:
            async for event in events:
                match event.type:
                    case "response.output_text.delta":
                        self.seen.text += event.delta
                        if self.is_enough():
                            return
                    case "response.completed" | "response.incomplete" | "response.failed":
                        self.seen.text = ""
                        self._end(event.response)

    def _end(self, response: Response) -> None:
        self.seen.text += response.output_text
        for item in response.output:
            if item.type == "function_call":
                self.seen.calls.append([item.call_id, item.name, item.arguments])
            if item.type == "reasoning":
                self.seen.reasoning += "".join(part.text for part in item.content or ())
        self.seen.finish = response.status
        if response.usage is not None:
            self.seen.usage = [response.usage.input_tokens, response.usage.output_tokens]
        if response.error is not None:
            error = response.error
            self.seen.error = {"name": None, "code": error.code, "message": error.message}
