"""The pre-stop checker of a TiKV pod: it holds up the end of the process until the store leads no region.

It looks for its store in PD for a while, then counts the store's leaders again and again; it gives up when they stop getting
fewer. A pure state machine; times are seconds since the epoch.
"""

from __future__ import annotations

from tikv_operator.simulation.settings import SimulationSettings

__all__ = ["PreStopChecker", "runs_prestop_checker"]


def runs_prestop_checker(command: list[str]) -> bool:
    """Whether a pre-stop command is the checker, for a TiKV."""
    text = " ".join(command)
    return "prestop-checker" in text and "tikv" in text


class PreStopChecker:
    """One run of the checker, started at `now`."""

    def __init__(self, settings: SimulationSettings, now: float) -> None:
        self._settings = settings
        self._give_up_search = now + settings.prestop_find_store
        self._fewest: int | None = None
        self._stalled = 0
        self.next_look = now
        self.done = False
        """Whether the process may be stopped."""
        self.gave_up = False

    def look(self, leaders: int | None, now: float, *, known_to_pd: bool) -> None:
        """Take one look, if it is due.

        Args:
            leaders: of the store; None if it doesn't say.
            known_to_pd: whether PD answers and lists the store.
        """
        if self.done or now < self.next_look:
            return
        self.next_look = now + self._settings.prestop_poll
        if self._fewest is None and not known_to_pd:
            self._give_up(now >= self._give_up_search)
        elif leaders == 0:
            self.done = True
        else:
            self._stall(leaders)

    def _stall(self, leaders: int | None) -> None:
        """Count the looks in a row that saw no leader leave."""
        fewer = leaders is not None and (self._fewest is None or leaders < self._fewest)
        self._fewest = leaders if fewer else (self._fewest or 1)
        self._stalled = 0 if fewer else self._stalled + 1
        self._give_up(self._stalled >= self._settings.prestop_stalled_polls)

    def _give_up(self, enough: bool) -> None:
        if enough:
            self.done = self.gave_up = True
