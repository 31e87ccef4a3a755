"""An event loop in virtual time: when every task waits, the clock jumps to the next deadline.

A test that waits an hour takes a millisecond, and waits in the same order every time. Sockets work, but time does not pass
while the loop waits for one unless nothing else is scheduled; keep real I/O out of virtual-time tests.

If nothing is scheduled and nothing arrives from outside for `patience` real seconds, the loop raises `Deadlock`, so that
a test that would hang fails with a name for its trouble.
"""

from __future__ import annotations

import asyncio
import random
import selectors
from collections.abc import Coroutine
from typing import Any, Final, TypeVar, final

__all__ = ["Deadlock", "VirtualTimeLoop", "run_virtual"]

T = TypeVar("T")


class Deadlock(RuntimeError):
    """Every task waits, and no deadline is set: nothing can ever happen."""


@final
class _JumpingSelector(selectors.DefaultSelector):
    """Polls instead of waiting, and tells the loop how far to jump."""

    loop: VirtualTimeLoop
    patience: float = 5.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            self.loop.catch_up()
            return ready
        if timeout is None:
            ready = super().select(self.patience)
            if not ready:
                msg = "every task waits and no deadline is set"
                raise Deadlock(msg)
            return ready
        self.loop.advance(timeout)
        self.loop.catch_up()
        return ready


@final
class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """See the module docstring. `time()` starts at 0.

    Whatever a deadline wakes finds that its time has come. Deadlines that differ by less than the loop's resolution fire
    together: without a step to the last of them, code that looks at the time again would wait for its moment in a circle.
    """

    _scheduled: list[asyncio.TimerHandle]  # of the base class: a heap

    virtual_time: Final = True
    """Tells `controller_runtime.clock.timer` that no other clock shows how long something takes here."""

    def __init__(self) -> None:
        self._virtual_now = 0.0
        selector = _JumpingSelector()
        selector.loop = self
        super().__init__(selector)
        self._clock_resolution = 1e-6  # deadlines that differ by less fire together

    def time(self) -> float:
        return self._virtual_now

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass; deadlines that are due fire in the loop's next turn."""
        self._virtual_now += seconds

    def catch_up(self) -> None:
        """Step to the last of the deadlines that are about to fire."""
        before = None
        while before != self._virtual_now:  # each step may bring the next deadline within reach
            before = self._virtual_now
            soon = before + self._clock_resolution
            places = [0]
            while places:
                place = places.pop()
                if place < len(self._scheduled) and self._scheduled[place].when() < soon:
                    self._virtual_now = max(self._virtual_now, self._scheduled[place].when())
                    places += (2 * place + 1, 2 * place + 2)  # it is a heap: nothing below an entry is earlier


def run_virtual(main: Coroutine[Any, Any, T], *, seed: int | None = None) -> T:
    """Like `asyncio.run`, in virtual time.

    Args:
        seed: of the `random` module while `main` runs, from which jitter comes by default: two runs with equal seeds do
            the same things in the same order. Its state is put back afterwards. None leaves it alone.

    Raises:
        Deadlock: `main` waits for something that cannot happen.
    """
    before = random.getstate()
    if seed is not None:
        random.seed(seed)
    try:
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            return runner.run(main)
    finally:
        if seed is not None:
            random.setstate(before)
