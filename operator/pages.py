"""The operator's own page: what the last reconcile of each object did, as JSON.

`GET /debug/reconciles?namespace=ns&name=kv-abc123&controller=tikv` on the metrics address answers "why isn't it ready?"
with every task's status and message. It shows names and messages, never the content of objects.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, final

from controller_runtime.task import ReportStore

__all__ = ["ReportsPage"]


@final
class ReportsPage:
    """Answers with the reports that match the query; all of them without one."""

    def __init__(self, reports: ReportStore) -> None:
        self._reports = reports

    def __call__(self, query: Mapping[str, str]) -> list[dict[str, Any]]:
        found = self._reports.find(
            controller=query.get("controller", ""), namespace=query.get("namespace", ""), name=query.get("name", "")
        )
        return [report.as_dict() for report in found]
