"""How long a reflector waits after a failure. Pure: time and chance are arguments."""

from __future__ import annotations

from typing import Final, final

__all__ = ["Backoff"]

_FIRST: Final = 0.8
_LONGEST: Final = 30.0
_RESET_AFTER: Final = 20.0


@final
class Backoff:
    """Doubling delays with full jitter upwards: each is drawn from [d, 2d), d from 0.8 s to 30 s.

    The delays begin anew once 20 s have passed in which no wait was needed. An outage that refuses at once stays at the
    ceiling; one in which each attempt hangs for longer is slow enough by itself.
    """

    __slots__ = ("_healthy_since", "_next")

    def __init__(self) -> None:
        self._next = _FIRST
        self._healthy_since = 0.0

    def delay(self, now: float, chance: float) -> float:
        """Return the seconds to wait from `now` on.

        Args:
            now: the loop's time.
            chance: a random number in [0, 1).
        """
        if now - self._healthy_since >= _RESET_AFTER:
            self._next = _FIRST
        delay = self._next * (1 + chance)
        self._next = min(_LONGEST, self._next * 2)
        self._healthy_since = now + delay
        return delay
