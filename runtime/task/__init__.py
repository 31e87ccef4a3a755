"""Reconcilers as pipelines of small, named, measured tasks.

A task is one async function of a reconcile context that returns `complete`, `wait`, `retry` or `fail`. `block`, `if_`,
`if_not`, `if_break` and `break_` compose tasks; a `Runner` runs the pipeline, times and counts each task, keeps a report per
object, and answers the controller.
"""

from controller_runtime.task.combinators import Node, Task, block, break_, if_, if_break, if_not, task
from controller_runtime.task.metrics import TaskMetrics
from controller_runtime.task.reports import ReportStore, RunReport, TaskReport
from controller_runtime.task.results import Outcome, Result, Status, combine, complete, fail, retry, wait
from controller_runtime.task.runner import FailureHandler, Runner, TaskFailed

__all__ = [
    "FailureHandler",
    "Node",
    "Outcome",
    "ReportStore",
    "Result",
    "RunReport",
    "Runner",
    "Status",
    "Task",
    "TaskFailed",
    "TaskMetrics",
    "TaskReport",
    "block",
    "break_",
    "combine",
    "complete",
    "fail",
    "if_",
    "if_break",
    "if_not",
    "retry",
    "task",
    "wait",
]
