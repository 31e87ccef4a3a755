"""Writes the table of docs/performance-operator.md. Pure but for writing the file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from report import filled, number, said_origins

__all__ = ["table", "write"]

BEGIN: Final = "<!-- figures: written by bench/operator_run.py -->"
CLUSTERS: Final = ("embedded", "real")

Medians = Mapping[str, Mapping[str, float]]
"""Medians by benchmark, e.g. `real/create`, and figure."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Attributes:
        works: the pieces of work whose figures are added.
        original: what TiDB Operator needed; None if it was not recorded.
        limit: ours may be at most so many times the original's; None if the row only says what happened.
        most: of figures that have no original: at most so much.
    """

    works: tuple[str, ...]
    figure: str
    text: str
    unit: str
    original: float | None = None
    limit: float | None = None
    most: float | None = None

    @property
    def bound(self) -> float | None:
        return self.original * self.limit if self.original is not None and self.limit is not None else self.most


_FLEET: Final = ("fleet-create", "fleet-restart")

ROWS: Final = (
    Row(("create",), "wall", "3 replicas created, until Ready: wall", "s", 31, 0.8),
    Row(("create",), "writes", "- API writes", ""),
    Row(("create",), "futile_writes", "- of which change nothing", "", most=0),
    Row(("create",), "pd_requests", "- PD requests", ""),
    Row(("create",), "cpu", "- CPU", "s"),
    Row(("scale-in",), "wall", "Scaled 5 -> 3: wall", "s", 55, 0.35),
    Row(("scale-in",), "writes", "- API writes", ""),
    Row(("scale-in",), "futile_writes", "- of which change nothing", "", most=0),
    Row(("scale-in",), "pd_requests", "- PD requests", ""),
    Row(("scale-in",), "cpu", "- CPU", "s"),
    Row(("upgrade",), "wall", "Another version for 3 replicas: wall", "s", 308, 0.35),
    Row(("upgrade",), "writes", "- API writes", ""),
    Row(("upgrade",), "futile_writes", "- of which change nothing", "", most=0),
    Row(("upgrade",), "pd_requests", "- PD requests", ""),
    Row(("upgrade",), "cpu", "- CPU", "s"),
    Row(_FLEET, "wall", "5 groups of 10, budget 5, created and restarted: wall", "s", 34 + 593, 0.35),
    Row(("fleet-create",), "wall", "- of which creation", "s", 34),
    Row(("fleet-restart",), "wall", "- of which restart", "s", 593),
    Row(_FLEET, "writes", "- API writes", "", 3250, 0.35),
    Row(_FLEET, "futile_writes", "- of which change nothing", "", 1641, 0.0),
    Row(_FLEET, "pd_requests", "- PD requests", "", 5730, 0.25),
    Row(_FLEET, "cpu", "- CPU", "s", 16.8, 1.0),
    Row(("fleet-restart",), "peak_mb", "- peak memory", "MB", 196, 0.5),
)


def write(medians: Medians, origins: Mapping[str, str], docs: Path) -> None:
    """Put the table between the marks of docs/performance-operator.md; all else in the page stays.

    Raises:
        ValueError: the page has no marks.
    """
    page = docs / "performance-operator.md"
    page.write_text(filled(page.read_text(), BEGIN, f"{table(medians)}\n\n{said_origins(origins)}"))


def table(medians: Medians) -> str:
    """Return the figures as a Markdown table; "-" for what was not measured."""
    lines = ["| | TiDB Operator | at most | embedded | kube-apiserver | |", "|---|---|---|---|---|---|"]
    for row in ROWS:
        values = [_sum(medians, cluster, row) for cluster in CLUSTERS]
        cells = [_cell(value, row) for value in (row.original, row.bound, *values)]
        lines.append(f"| {row.text} | {' | '.join(cells)} | {_verdict(values, row.bound)} |")
    return "\n".join(lines)


def _sum(medians: Medians, cluster: str, row: Row) -> float | None:
    found = [medians.get(f"{cluster}/{work}", {}).get(row.figure) for work in row.works]
    known = [value for value in found if value is not None]
    return sum(known) if len(known) == len(found) else None


def _cell(value: float | None, row: Row) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" if not row.unit else number(value, row.unit)


def _verdict(values: list[float | None], bound: float | None) -> str:
    known = [value for value in values if value is not None]
    if bound is None or not known:
        return ""
    return "met" if max(known) <= bound else "**missed**"
