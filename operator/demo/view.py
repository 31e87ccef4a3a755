"""Draws the demo: the steps, the instances with their stores, the tasks of the last reconciles, and the summary at the end.

Everything here is a pure function of what it is given; showing it, live or line by line, is `live`'s part.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from controller_runtime.task import RunReport, Status
from tikv_operator.demo.scenario import StepResult

__all__ = [
    "SHOWN_REPORTS",
    "InstanceRow",
    "Totals",
    "explanation",
    "instances",
    "reconciles",
    "screen",
    "step_line",
    "steps",
    "summary",
]

SHOWN_REPORTS: Final = 6
_STYLES: Final[Mapping[Status, str]] = {
    Status.COMPLETE: "green",
    Status.WAIT: "yellow",
    Status.RETRY: "yellow",
    Status.FAIL: "red",
}


@dataclass(frozen=True, slots=True)
class InstanceRow:
    """One TiKV as the live view shows it."""

    name: str
    zone: str
    pod: str
    store: str
    state: str
    leaders: str
    regions: str
    ready: bool
    offline: bool


@dataclass(frozen=True, slots=True)
class Totals:
    """What was counted since the start.

    Attributes:
        reconciles: by controller.
        tasks: by controller, task and result.
        requests: of the operator to the API server, by verb.
        pd_requests: of the operator to PD.
    """

    reconciles: Mapping[str, int]
    tasks: Mapping[tuple[str, str, str], int]
    requests: Mapping[str, int]
    pd_requests: int

    @property
    def all_reconciles(self) -> int:
        return sum(self.reconciles.values())


def steps(done: Sequence[StepResult], running: str = "", seconds: float = 0.0) -> Table:
    """The steps so far, and the one that is running."""
    table = Table(box=None, show_header=False, pad_edge=False)
    for column in ("mark", "step", "seconds", "note"):
        table.add_column(column, justify="right" if column == "seconds" else "left", overflow="fold")
    for result in done:
        mark = Text("failed", "bold red") if result.error else Text("done", "green")
        table.add_row(mark, result.name, f"{result.seconds:.1f} s", Text(result.error or result.note, "dim"))
    if running:
        table.add_row(Text("now", "bold yellow"), Text(running, "bold"), f"{seconds:.1f} s", "")
    return table


def instances(rows: Iterable[InstanceRow]) -> Table:
    """The TiKVs with their pods and stores."""
    table = Table(title="TiKV instances", title_justify="left", title_style="bold", expand=False)
    for column in ("instance", "zone", "pod", "store", "state"):
        table.add_column(column)
    for column in ("leaders", "regions"):
        table.add_column(column, justify="right")
    table.add_column("ready")
    for row in rows:
        ready = Text("yes", "green") if row.ready else Text("no", "yellow")
        name = Text(f"{row.name} (going)", "magenta") if row.offline else Text(row.name)
        table.add_row(name, row.zone, row.pod, row.store, row.state, row.leaders, row.regions, ready)
    return table


def reconciles(reports: Sequence[RunReport], limit: int = SHOWN_REPORTS) -> Table:
    """The newest reconciles: of each the tasks that have something to say."""
    table = Table(title="Last reconciles", title_justify="left", title_style="bold", expand=True)
    for column, width in (("controller", 10), ("object", 12), ("status", 8)):
        table.add_column(column, overflow="ellipsis", no_wrap=True, min_width=width)
    table.add_column("tasks", overflow="ellipsis", no_wrap=True, ratio=1)
    for report in reports[-limit:]:
        status = report.outcome.status
        table.add_row(report.controller, report.key.name, Text(str(status), _STYLES[status]), _telling(report))
    return table


def _telling(report: RunReport) -> Text:
    """The tasks that did not simply complete; if all did, how many there were."""
    text = Text(overflow="ellipsis", no_wrap=True)
    for task in report.tasks:
        if task.status is not Status.COMPLETE:
            text.append(task.name, _STYLES[task.status])
            text.append(f" {task.message}  " if task.message else "  ", "dim")
    return text if text.plain else Text(f"{len(report.tasks)} tasks complete", "dim")


def step_line(result: StepResult) -> Text:
    """One finished step, as one line."""
    mark = ("failed ", "bold red") if result.error else ("done ", "green")
    return Text.assemble(mark, f"{result.name} ", (f"{result.seconds:.1f} s  {result.error or result.note}", "dim"))


def explanation(reports: Iterable[RunReport]) -> Table:
    """Why an end state was not reached: the objects whose last run was not simply complete."""
    return reconciles([report for report in reports if report.outcome.status is not Status.COMPLETE], limit=50)


def screen(done: Sequence[StepResult], running: str, seconds: float, *parts: RenderableType) -> Group:
    """The whole live view."""
    return Group(steps(done, running, seconds), Text(), *parts)


def summary(done: Sequence[StepResult], per_step: Sequence[int], totals: Totals) -> Group:
    """What the whole demo amounted to: tasks by result, requests by verb, and last, where the eye ends, the steps."""
    story = Table(title="Steps", title_justify="left", title_style="bold")
    story.add_column("step")
    story.add_column("seconds", justify="right")
    story.add_column("reconciles", justify="right")
    story.add_column("end state")
    for result, count in zip(done, per_step, strict=True):
        note = Text(result.error, "red") if result.error else Text(result.note or "reached", "green")
        story.add_row(result.name, f"{result.seconds:.1f}", str(count), note)
    story.add_section()
    story.add_row("total", f"{sum(result.seconds for result in done):.1f}", str(sum(per_step)), "")
    return Group(_tasks(totals), Text(), _requests(totals), Text(), story)


def _tasks(totals: Totals) -> Table:
    table = Table(title="Task results", title_justify="left", title_style="bold")
    table.add_column("controller")
    table.add_column("task")
    for status in Status:
        table.add_column(str(status), justify="right", style=_STYLES[status])
    seen: dict[tuple[str, str], dict[str, int]] = {}
    for (controller, task, result), count in totals.tasks.items():
        if count:
            seen.setdefault((controller, task), {})[result] = count
    previous = ""
    for (controller, task), counts in seen.items():
        if previous and controller != previous:
            table.add_section()
        cells = [str(counts.get(status.value, "")) for status in Status]
        table.add_row(controller if controller != previous else "", task, *cells)
        previous = controller
    return table


def _requests(totals: Totals) -> Table:
    table = Table(title="Requests of the operator to the API server", title_justify="left", title_style="bold")
    table.add_column("verb")
    table.add_column("requests", justify="right")
    for verb, count in sorted(totals.requests.items()):
        table.add_row(verb, str(count))
    table.add_section()
    table.add_row("all", str(sum(totals.requests.values())))
    table.add_row("of them passed on to PD", str(totals.pd_requests))
    return table
