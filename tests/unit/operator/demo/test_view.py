"""What the demo shows: each table says what it is given, and nothing is lost on a narrow screen."""

from __future__ import annotations

import io

from rich.console import Console, RenderableType

from controller_runtime.api import ObjectKey
from controller_runtime.task import RunReport, Status, TaskReport, combine, retry
from tikv_operator.demo import view
from tikv_operator.demo.scenario import StepResult
from tikv_operator.demo.view import InstanceRow, Totals


def text(renderable: RenderableType, width: int = 120) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(renderable)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def report(name: str, *tasks: TaskReport) -> RunReport:
    return RunReport("tikv", ObjectKey("ns", name), "id", 0.0, 0.1, combine([("x", retry(5, "later"))]), tasks)


TOTALS = Totals(
    reconciles={"tikv": 10, "tikvgroup": 3},
    tasks={("tikv", "Pod", "complete"): 7, ("tikv", "Pod", "wait"): 3, ("tikv", "PVC", "fail"): 0},
    requests={"GET": 4, "PATCH": 6},
    pd_requests=12,
)


def test_an_instance_shows_its_pod_and_its_store() -> None:
    row = InstanceRow("kv-abc123", "a", "Running", "4", "Serving", "17", "60", ready=True, offline=False)
    line = next(line for line in text(view.instances([row])).splitlines() if "kv-abc123" in line)
    assert [part for part in line.replace("│", " ").split() if part] == [
        "kv-abc123", "a", "Running", "4", "Serving", "17", "60", "yes",
    ]  # fmt: skip


def test_an_instance_that_is_being_removed_is_marked() -> None:
    row = InstanceRow("kv-abc123", "", "Running", "4", "Removing", "0", "3", ready=False, offline=True)
    assert "kv-abc123 (going)" in text(view.instances([row]))


def test_a_reconcile_shows_the_tasks_that_have_something_to_say() -> None:
    shown = text(
        view.reconciles(
            [
                report(
                    "kv-1",
                    TaskReport("ConfigMap", Status.COMPLETE, "", 0.1),
                    TaskReport("Pod", Status.RETRY, "leaders are left", 0.1),
                )
            ]
        )
    )
    assert "Pod leaders are left" in shown
    assert "ConfigMap" not in shown


def test_a_settled_reconcile_is_one_short_line() -> None:
    assert "2 tasks complete" in text(
        view.reconciles([report("kv-1", *(TaskReport(name, Status.COMPLETE, "", 0.1) for name in ("A", "B")))])
    )


def test_the_summary_counts_steps_tasks_and_requests() -> None:
    shown = text(view.summary([StepResult("create", 4.2, "3 pods ready")], [13], TOTALS))
    for expected in ("create", "4.2", "13", "3 pods ready", "Pod", "PATCH", "10", "12"):
        assert expected in shown
    assert "PVC" not in shown


def test_a_failed_step_says_why() -> None:
    result = StepResult("scale out", 90.0, error="TiKVGroup ns/kv has 4 instances, not 5")
    assert "4 instances, not 5" in text(view.step_line(result))
    assert "4 instances, not 5" in text(view.summary([result], [1], TOTALS))


def test_the_running_step_is_shown_below_the_finished_ones() -> None:
    lines = text(view.steps([StepResult("create", 1.0, "ready")], "scale out", 2.5)).splitlines()
    assert "create" in lines[0]
    assert "scale out" in lines[1]
