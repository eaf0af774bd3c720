"""Telling the streams that the process is to end, as soon as it is told so itself.

Servers wait for open streams before they run any shutdown hook, some of them for ever. The drain
therefore begins with the signal: its handler is chained before the server's own.
"""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def on_termination(begin: Callable[[], None]) -> Iterator[None]:
    """Call *begin* on the running loop at SIGTERM or SIGINT, and then what was there before.

    Does nothing where no server handles the signal, since the process then ends at once; nor
    outside the main thread, where Python takes no signals: an application in a thread is drained
    by its lifespan alone.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    before = {
        number: earlier for number in _SIGNALS if callable(earlier := signal.getsignal(number))
    }

    def handle(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(begin)
        before[signal.Signals(number)](number, frame)

    for number in before:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, earlier in before.items():
            if signal.getsignal(number) is handle:
                signal.signal(number, earlier)
