"""What a signal begins, and what it still does after that."""

import asyncio
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from chatnest.app.shutdown import on_termination
from tests.domain.chat_world import turns


@pytest.fixture(params=[signal.SIGTERM, signal.SIGINT])
def number(request: pytest.FixtureRequest) -> Iterator[signal.Signals]:
    """A signal of termination; what this process does with it is put back afterwards."""
    before = signal.getsignal(request.param)
    yield request.param
    signal.signal(request.param, before)


def log_signals(number: signal.Signals) -> list[str]:
    """Handle *number* as a server would; what happens in order."""
    log: list[str] = []
    signal.signal(number, lambda *_: log.append("server"))
    return log


async def test_a_signal_begins_the_drain_and_reaches_the_server(number: signal.Signals) -> None:
    log = log_signals(number)
    with on_termination(lambda: log.append("drain")):
        signal.raise_signal(number)
        signal.raise_signal(number)
        assert log == ["server", "server"]
        await turns()

    assert log == ["server", "server", "drain", "drain"]


async def test_the_drain_begins_on_the_loop_even_where_it_sleeps(number: signal.Signals) -> None:
    log_signals(number)
    begun = asyncio.Event()
    with on_termination(begun.set):
        threading.Timer(0.05, os.kill, (os.getpid(), number)).start()
        async with asyncio.timeout(10):
            await begun.wait()


async def test_afterwards_the_servers_own_handler_is_back(number: signal.Signals) -> None:
    log = log_signals(number)
    server = signal.getsignal(number)
    with on_termination(lambda: log.append("drain")):
        assert signal.getsignal(number) is not server

    assert signal.getsignal(number) is server
    signal.raise_signal(number)
    await turns()
    assert log == ["server"]


async def test_a_handler_that_was_set_later_stays(number: signal.Signals) -> None:
    log_signals(number)
    later: Any = lambda *_: None  # noqa: E731  # compared by identity
    with on_termination(lambda: None):
        signal.signal(number, later)

    assert signal.getsignal(number) is later


async def test_an_error_puts_the_handler_back_too(number: signal.Signals) -> None:
    log_signals(number)
    server = signal.getsignal(number)
    with pytest.raises(ZeroDivisionError), on_termination(lambda: None):
        raise ZeroDivisionError

    assert signal.getsignal(number) is server


@pytest.mark.parametrize("untouched", [signal.SIG_DFL, signal.SIG_IGN])
async def test_where_no_server_handles_a_signal_nothing_changes(
    number: signal.Signals, untouched: signal.Handlers
) -> None:
    signal.signal(number, untouched)
    with on_termination(lambda: None):
        assert signal.getsignal(number) is untouched


async def test_one_application_inside_another_both_drain(number: signal.Signals) -> None:
    log = log_signals(number)
    with on_termination(lambda: log.append("outer")), on_termination(lambda: log.append("inner")):
        signal.raise_signal(number)
        await turns()

    assert log == ["server", "inner", "outer"]


def test_outside_the_main_thread_signals_are_left_alone(number: signal.Signals) -> None:
    log_signals(number)
    server = signal.getsignal(number)
    seen: list[object] = []

    async def run() -> None:
        with on_termination(lambda: None):
            seen.append(signal.getsignal(number))

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    thread.join(10)

    assert seen == [server]
