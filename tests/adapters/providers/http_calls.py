"""Calls of providers that speak HTTP, and what can be seen of them."""

import traceback

import pytest

from chatnest.adapters.providers.sdk_provider import SdkProvider
from chatnest.domain.errors import Failure, FailureKind, ProviderError
from chatnest.domain.events import Finished, FinishReason, ProviderEvent
from chatnest.domain.messages import Message, Role
from chatnest.domain.ports import ProviderCall

KEY = "sk-test-0123456789"
CALL = ProviderCall("r", "gpt-4o-mini", (Message(Role.USER, "Hi"),), 50)
STOP = Finished(FinishReason.STOP)
NOT_SENT = Failure(FailureKind.CONNECTION, billable=False)


async def events_of(provider: SdkProvider, call: ProviderCall = CALL) -> list[ProviderEvent]:
    async with provider.stream(call) as batches:
        return [event async for batch in batches for event in batch]


async def error_of(provider: SdkProvider, call: ProviderCall = CALL) -> ProviderError:
    with pytest.raises(ProviderError) as raised:
        await events_of(provider, call)
    return raised.value


def every_text_of(error: BaseException | None) -> str:
    """Whatever of *error* and its causes may end up in a log."""
    texts = [] if error is None else traceback.format_exception(error)
    while error is not None:
        texts += [repr(error), repr(error.args), repr(vars(error))]
        error = error.__cause__ or error.__context__
    return "".join(texts)
