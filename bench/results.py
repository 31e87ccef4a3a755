"""What was measured: the figures of every round, kept from run to run, and their medians.

The results of a benchmark are replaced as a whole when it is measured again, so that the contestants in one line of a table
were always measured in turns.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, final

__all__ = ["ENDED_AFTER", "Results"]

ENDED_AFTER: Final = "ended_after"
"""The only figure of a round in which the contestant failed, or ran into its limit: the seconds it had."""

Rounds = list[dict[str, float]]


@final
class Results:
    """See the module docstring.

    Args:
        file: where the results are kept; None for nowhere.

    Attributes:
        origin: of which code, and when, the figures are that are added.
    """

    def __init__(self, file: Path | None) -> None:
        self.file = file
        self.origin = ""
        self._kept: dict[str, dict[str, Any]] = {}
        if file is not None and file.exists():
            self._kept = json.loads(file.read_text())

    def add(self, benchmark: str, rounds: Mapping[str, Rounds]) -> None:
        """Take over one benchmark's rounds, by contestant, and write the file."""
        self._kept[benchmark] = {"origin": self.origin, "rounds": dict(rounds)}
        if self.file is not None:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            self.file.write_text(json.dumps(self._kept, indent=1))

    def origins(self) -> dict[str, str]:
        """Return of which code the figures of each benchmark are."""
        return {benchmark: kept["origin"] for benchmark, kept in self._kept.items()}

    def medians(self) -> dict[str, dict[str, dict[str, float]]]:
        """Return the median of each figure over its rounds, by benchmark and contestant, and the number of `rounds`.

        A contestant that failed in one round has no figure but when it was ended.
        """
        return {
            benchmark: {contestant: _median(rounds) for contestant, rounds in kept["rounds"].items()}
            for benchmark, kept in self._kept.items()
        }


def _median(rounds: Rounds) -> dict[str, float]:
    failed = [figures for figures in rounds if ENDED_AFTER in figures]
    counted = failed or rounds
    medians = {key: statistics.median(figures[key] for figures in counted) for key in counted[0]}
    return medians | {"rounds": float(len(rounds))}
