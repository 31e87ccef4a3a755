"""The newest report of each object is kept, within a bound, and listeners hear of it."""

from __future__ import annotations

from controller_runtime.api.resource import ObjectKey
from controller_runtime.task import ReportStore, RunReport, combine


def report(name: str, controller: str = "widget", started: float = 0.0) -> RunReport:
    return RunReport(controller, ObjectKey("ns", name), "id", started, 0.1, combine([]), ())


def test_the_newest_report_replaces_the_older_one() -> None:
    store = ReportStore()
    store.record(report("a", started=1))
    store.record(report("a", started=2))
    found = store.get("widget", ObjectKey("ns", "a"))
    assert found is not None
    assert found.started == 2
    assert len(store) == 1


def test_the_longest_unwritten_report_goes_first() -> None:
    store = ReportStore(limit=2)
    for name in ("a", "b", "a", "c"):
        store.record(report(name))
    assert [found.key.name for found in store.find()] == ["a", "c"]


def test_reports_are_found_by_controller_and_name() -> None:
    store = ReportStore()
    for controller in ("widget", "gadget"):
        for name in ("b", "a"):
            store.record(report(name, controller))
    assert [(found.controller, found.key.name) for found in store.find(name="a")] == [("gadget", "a"), ("widget", "a")]
    assert [found.key.name for found in store.find(controller="widget", namespace="ns")] == ["a", "b"]


def test_the_report_of_a_gone_object_is_forgotten() -> None:
    store = ReportStore()
    store.record(report("a"))
    store.forget("widget", ObjectKey("ns", "a"))
    store.forget("widget", ObjectKey("ns", "never-there"))
    assert list(store.find()) == []


def test_listeners_hear_while_they_listen() -> None:
    store, heard = ReportStore(), []
    with store.listening(heard.append):
        store.record(report("a"))
    store.record(report("b"))
    assert [found.key.name for found in heard] == ["a"]
