"""Writes docs/performance.md and its plots from the medians of the benchmarks. Pure but for writing the files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal
from xml.sax.saxutils import escape

from results import ENDED_AFTER

__all__ = ["filled", "number", "said_origins", "table", "table_of_everybody", "write"]

Medians = Mapping[str, Mapping[str, Mapping[str, float]]]
"""Medians by benchmark, contestant and figure."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Attributes:
        benchmark, figure: where the number is found.
        limit: what ours may be at most: as a multiple of Go's figure (`"ratio"`), or as it stands (`"value"`); None if the
            row only says what happened.
        factor: from the stored unit to the shown one.
    """

    benchmark: str
    figure: str
    text: str
    unit: str
    limit: float | None
    kind: Literal["ratio", "value"] = "ratio"
    factor: float = 1.0


ROWS: Final = (
    Row("queue-adds", "cpu", "Work queue: a million adds of different keys, 10 workers: CPU", "s", 1.0),
    Row("queue-merges", "cpu", "Work queue: a million adds of 10,000 keys, 10 workers: CPU", "s", 1.0),
    Row("queue-requeue", "cpu", "Work queue: 100,000 keys requeued with back-off: CPU", "s", 1.0),
    Row("queue-delays", "cpu", "Work queue: 100,000 delayed adds: CPU", "s", 1.0),
    Row("queue-delays", "late_p99", "- late by, p99", "ms", 10.0, "value", 1000.0),
    Row("start", "cpu", "Start of an idle manager: CPU", "s", 1.0, "value"),
    Row("start", "peak_mb", "- memory", "MB", 60.0, "value"),
    Row("cold", "wall", "Cold start, 10,000 custom resources of 3.7 KB: wall", "s", 0.75),
    Row("cold", "cpu", "- CPU", "s", 0.5),
    Row("cold", "peak_mb", "- peak memory", "MB", 0.55),
    Row("cold-30k", "wall", "Cold start, 30,000 custom resources: wall", "s", 0.75),
    Row("cold-30k", "cpu", "- CPU", "s", 0.5),
    Row("cold-30k", "peak_mb", "- peak memory", "MB", 0.55),
    Row("pods", "wall", "Cold start, 10,000 Pods of 7 KB (Go: protobuf): wall", "s", 1.1),
    Row("pods", "cpu", "- CPU", "s", 0.7),
    Row("pods", "peak_mb", "- peak memory", "MB", 0.6),
    Row("latency", "p50_ms", "Latency, one of 500 objects changed every 20 ms: p50", "ms", 0.5, "value"),
    Row("latency", "p99_ms", "- p99", "ms", 1.5),
    Row("latency", "cpu", "- CPU for 1,000 events", "s", 0.7),
    Row("churn", "cpu_per_1000", "Churn, 10,000 objects, 1,000 updates a second for 30 s: CPU for 1,000", "s", 0.45),
    Row("churn", "rate", "- updates a second that etcd was given meanwhile", "", None, "value"),
    Row("churn", "peak_mb", "- peak memory", "MB", 0.55),
    Row("churn", "wrong", "- objects that differ from the server's at the end", "", 0.0, "value"),
    Row("status-1", "wall", "Status writes, 2,000 objects, 1 worker: wall", "s", 1.0),
    Row("status-1", "cpu", "- CPU", "s", 0.7),
    Row("status-10", "wall", "Status writes, 2,000 objects, 10 workers: wall", "s", 1.0),
    Row("status-10", "cpu", "- CPU", "s", 0.7),
    Row("status-50", "wall", "Status writes, 2,000 objects, 50 workers: wall", "s", 1.0),
    Row("status-50", "cpu", "- CPU", "s", 0.7),
    Row("fan-in", "reconciles", "Fan-in, 10,000 owned objects of 100 owners change: reconciles of owners", "", 1.1),
    Row("fan-in", "p99_ms", "- lag p99", "ms", 1.2),
    Row("fan-in", "cpu", "- CPU", "s", 0.6),
)

PLOTS: Final = {
    "cpu": ("CPU, Go's controller-runtime = 1", ("cpu", "cpu_per_1000")),
    "memory": ("Peak memory, Go's controller-runtime = 1", ("peak_mb",)),
}
NAMES: Final = {
    "queue-adds": "queue: adds",
    "queue-merges": "queue: merging adds",
    "queue-requeue": "queue: requeues",
    "queue-delays": "queue: delays",
    "cold": "cold start",
    "cold-30k": "cold start, 30,000",
    "pods": "cold start, Pods",
    "latency": "latency",
    "churn": "churn",
    "status-1": "status, 1 worker",
    "status-10": "status, 10 workers",
    "status-50": "status, 50 workers",
    "fan-in": "fan-in",
}
BEGIN, END = "<!-- figures: written by bench/run.py -->", "<!-- end of figures -->"
EVERYBODY_BEGIN: Final = "<!-- figures of everybody: written by bench/run.py --everybody -->"
_OTHERS: Final = ("kube-rs", "kopf")
COLUMNS: Final = {"go": "Go", "kube-rs": "kube-rs", "kopf": "Kopf", "ours": "ours"}


def write(medians: Medians, origins: Mapping[str, str], docs: Path) -> None:
    """Put tables and plots between the marks of docs/performance.md, and write the plots beside it.

    All else in the page is somebody's text and stays: also the reasons of what missed its target. A table without figures
    is left as it is in the page.

    Args:
        origins: of which code the figures of each benchmark are.

    Raises:
        ValueError: the page has no marks.
    """
    page = docs / "performance.md"
    text = page.read_text()
    if medians:
        text = filled(text, BEGIN, f"{_figures(medians, docs)}\n\n{said_origins(origins)}")
    if _with_others(medians):
        text = filled(text, EVERYBODY_BEGIN, table_of_everybody(medians))
    page.write_text(text)


def filled(text: str, mark: str, content: str) -> str:
    """Return the page's text with `content` between the mark and the end that follows it."""
    before, begin, rest = text.partition(mark)
    _, end, after = rest.partition(END)
    if not begin or not end:
        msg = f"the page has no place for the figures: {mark!r} and {END!r}"
        raise ValueError(msg)
    return f"{before}{mark}\n\n{content}\n\n{END}{after}"


def _figures(medians: Medians, docs: Path) -> str:
    """Write the plots, and return the table with links to them."""
    parts = [table(medians)]
    for name, (title, figures) in PLOTS.items():
        bars = _ratios(medians, figures)
        if bars:
            (docs / f"performance-{name}.svg").write_text(_plot(title, bars))
            parts.append(f"![{title}](performance-{name}.svg)")
    return "\n".join(parts)


def table(medians: Medians) -> str:
    """Return the figures as a Markdown table."""
    lines = ["| | Go | ours | ratio | target | |", "|---|---|---|---|---|---|"]
    for row in ROWS:
        measured = medians.get(row.benchmark, {})
        if not measured:
            continue
        ours, go = (measured.get(name, {}) for name in ("ours", "go"))
        mine, gos = ours.get(row.figure), go.get(row.figure)
        ratio = mine / gos if mine is not None and gos else None
        judged = mine * row.factor if mine is not None and row.kind == "value" else ratio
        cells = (
            row.text,
            _cell(go, row),
            _cell(ours, row),
            "-" if ratio is None or row.benchmark == "start" or row.limit is None else f"{ratio:.2f}x",
            _target(row),
            "**missed**" if ENDED_AFTER in ours else _verdict(judged, row.limit),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _target(row: Row) -> str:
    if row.limit is None:
        return "-"
    return f"≤ {row.limit:g} {row.unit}".rstrip() if row.kind == "value" else f"≤ {row.limit:g}x"


def _verdict(judged: float | None, limit: float | None) -> str:
    if judged is None or limit is None:
        return ""
    return "met" if judged <= limit else "**missed**"


def said_origins(origins: Mapping[str, str]) -> str:
    """Say of which code the figures are: each benchmark's, if they differ."""
    by_origin: dict[str, list[str]] = {}
    for benchmark, origin in origins.items():
        by_origin.setdefault(origin, []).append(benchmark)
    parts = (f"{origin} ({', '.join(benchmarks)})" for origin, benchmarks in by_origin.items())
    return f"Measured at commit {next(iter(by_origin)) if len(by_origin) == 1 else '; '.join(parts)}."


def _with_others(medians: Medians) -> list[str]:
    """Return the benchmarks in which more took part than Go and ours."""
    return [benchmark for benchmark, measured in medians.items() if not measured.keys().isdisjoint(_OTHERS)]


def table_of_everybody(medians: Medians) -> str:
    """Return the figures of all contestants as a Markdown table; "-" where one did not take part."""
    lines = [f"| | {' | '.join(COLUMNS.values())} | rounds |", f"|---|{'---|' * len(COLUMNS)}---|"]
    among = _with_others(medians)
    for row in ROWS:
        if row.benchmark not in among:
            continue
        measured = medians[row.benchmark]
        cells = [_cell(measured.get(contestant, {}), row) for contestant in COLUMNS]
        rounds = max(of["rounds"] for of in measured.values())
        lines.append(f"| {row.text} | {' | '.join(cells)} | {rounds:.0f} |")
    return "\n".join(lines)


def _cell(figures: Mapping[str, float], row: Row) -> str:
    if ENDED_AFTER in figures:
        return f"ended after {figures[ENDED_AFTER]:.0f} s"
    return number(figures[row.figure] * row.factor, row.unit) if row.figure in figures else "-"


def number(value: float, unit: str) -> str:
    """Return a figure with three digits or so."""
    text = f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
    return f"{text} {unit}".rstrip()


def _ratios(medians: Medians, figures: tuple[str, ...]) -> list[tuple[str, float]]:
    bars = []
    for benchmark, name in NAMES.items():
        measured = medians.get(benchmark, {})
        for figure in figures:
            ours, go = (measured.get(contestant, {}).get(figure) for contestant in ("ours", "go"))
            if ours is not None and go:
                bars.append((name, ours / go))
    return bars


def _plot(title: str, bars: list[tuple[str, float]]) -> str:
    """Draw horizontal bars with a line at 1; readable on a light and on a dark page."""
    left, width, height, gap = 170, 420, 18, 8
    longest = max(1.2, *(ratio for _, ratio in bars))
    one = left + width / longest
    total = 40 + len(bars) * (height + gap)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 60}" height="{total}" role="img" '
        'font-family="sans-serif" font-size="12">',
        f"<title>{escape(title)}</title>",
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        f'<text x="{left}" y="18" font-weight="bold" fill="#222222">{escape(title)}</text>',
    ]
    for number, (name, ratio) in enumerate(bars):
        top = 30 + number * (height + gap)
        colour = "#2f7d4f" if ratio <= 1 else "#b4552d"
        lines += [
            f'<text x="{left - 8}" y="{top + 13}" text-anchor="end" fill="#222222">{escape(name)}</text>',
            f'<rect x="{left}" y="{top}" width="{width * ratio / longest:.1f}" height="{height}" fill="{colour}"/>',
            f'<text x="{left + width * ratio / longest + 6:.1f}" y="{top + 13}" fill="#222222">{ratio:.2f}</text>',
        ]
    lines += [
        f'<line x1="{one:.1f}" y1="26" x2="{one:.1f}" y2="{total - 6}" stroke="#222222" stroke-dasharray="4 3"/>',
        "</svg>",
        "",
    ]
    return "\n".join(lines)
