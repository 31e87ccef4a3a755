"""SIGTERM and SIGINT as calls into the event loop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

__all__ = ["handling_signals"]

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def handling_signals(handler: Callable[[str], None]) -> Iterator[None]:
    """Call `handler` with the signal's name, inside the loop, while the context lasts. Main thread only."""
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, handler, number.name)
    try:
        yield
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
