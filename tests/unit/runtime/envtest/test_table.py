"""Tables for `kubectl get`, JSONPath columns, and ages."""

from __future__ import annotations

from typing import Any

import pytest

from controller_runtime.envtest.jsonpath import JsonPathError, compile_path
from controller_runtime.envtest.table import human_duration
from helpers.apiserver import PODS, WIDGETS, Server, pod, widget, widget_crd

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"

CONDITIONS = {
    "conditions": [{"type": "Ready", "status": "True"}, {"type": "Synced", "status": "False"}],
    "n": 3,
    "a.b": "dotted",
    "list": [1, 2, 3],
}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (".n", [3]),
        ("{.n}", [3]),
        ("$.n", [3]),
        (".missing.deeper", []),
        ('.conditions[?(@.type=="Ready")].status', ["True"]),
        (".conditions[?(@.type=='Synced')].status", ["False"]),
        ('.conditions[?(@.type!="Ready")].type', ["Synced"]),
        (".conditions[*].type", ["Ready", "Synced"]),
        (".list[0]", [1]),
        (".list[-1]", [3]),
        (".list[9]", []),
        (".list[?(@>1)]", [2, 3]),
        ("['n']", [3]),
        (r".a\.b", ["dotted"]),
        ("['a.b']", ["dotted"]),
    ],
)
def test_paths_find_what_they_name(path: str, expected: list[Any]) -> None:
    assert compile_path(path)(CONDITIONS) == expected


@pytest.mark.parametrize("path", ["n", ".a[", ".a[1:2]", ".a[?(@.b~'x')]", "..a"])
def test_other_paths_are_refused(path: str) -> None:
    with pytest.raises(JsonPathError):
        compile_path(path)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "<invalid>"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (125, "2m5s"),
        (600, "10m"),
        (3 * 3600 - 1, "179m"),
        (3 * 3600, "3h"),
        (3 * 3600 + 60, "3h1m"),
        (9 * 3600 + 60, "9h"),
        (47 * 3600, "47h"),
        (49 * 3600, "2d1h"),
        (9 * 86400 + 3600, "9d"),
        (3 * 365 * 86400, "3y"),
        (3 * 365 * 86400 + 86400, "3y1d"),
    ],
)
def test_ages_are_written_as_kubectl_does(seconds: float, text: str) -> None:
    assert human_duration(seconds) == text


def column(name: str, path: str, kind: str = "string") -> dict[str, str]:
    return {"name": name, "type": kind, "jsonPath": path}


def test_the_columns_of_a_crd_are_printed_in_their_types() -> None:
    columns = [
        column("Desired", ".spec.n"),
        column("Count", ".spec.n", "integer"),
        column("Flag", ".spec.flag", "boolean"),
        column("Ready", '.status.conditions[?(@.type=="Ready")].status'),
        column("Ready", ".spec.text", "integer"),
        column("Age", ".metadata.creationTimestamp", "date"),
    ]
    server = Server(widget_crd(additionalPrinterColumns=columns))
    server.ok("POST", WIDGETS, widget(spec={"n": 5, "flag": True, "text": "x"}))
    server.merge(f"{WIDGETS}/w/status", {"status": {"conditions": [{"type": "Ready", "status": "True"}]}})
    server.clock.time += 65
    table = server.ok("GET", WIDGETS, accept=TABLE)
    assert [item["name"] for item in table["columnDefinitions"]] == [
        "Name", "Desired", "Count", "Flag", "Ready", "Ready", "Age"
    ]  # fmt: skip
    assert table["rows"][0]["cells"] == ["w", "5", 5, True, "True", None, "65s"]
    assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"


@pytest.mark.parametrize(
    ("include", "kind"), [("Object", "Widget"), ("Metadata", "PartialObjectMetadata"), ("None", None)]
)
def test_rows_bring_as_much_of_the_object_as_is_asked_for(include: str, kind: str | None) -> None:
    server = Server(widget_crd())
    server.ok("POST", WIDGETS, widget(spec={}))
    [row] = server.ok("GET", WIDGETS, accept=TABLE, includeObject=include)["rows"]
    assert (row["object"] or {}).get("kind") == kind


def test_a_single_object_is_a_table_of_one_row() -> None:
    server = Server(widget_crd())
    server.ok("POST", WIDGETS, widget(spec={}))
    assert len(server.ok("GET", f"{WIDGETS}/w", accept=TABLE)["rows"]) == 1


def test_a_watch_repeats_no_columns() -> None:
    server = Server()
    answer = server.call("GET", PODS, watch="1", accept=TABLE)
    for name in ("a", "b"):
        server.ok("POST", PODS, pod(name))
    import json

    lines = [json.loads(line)["object"] for line in answer.watch.pull()]  # type: ignore[union-attr]
    assert [bool(line["columnDefinitions"]) for line in lines] == [True, False]


@pytest.mark.parametrize(
    ("status", "cells"),
    [
        ({}, ["p", "0/1", "Pending", "0", "0s"]),
        (
            {"phase": "Running", "containerStatuses": [{"ready": True, "restartCount": 2, "state": {"running": {}}}]},
            ["p", "1/1", "Running", "2", "0s"],
        ),
        (
            {
                "phase": "Running",
                "containerStatuses": [
                    {"ready": False, "restartCount": 0, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}
                ],
            },
            ["p", "0/1", "CrashLoopBackOff", "0", "0s"],
        ),
    ],
)
def test_pods_are_printed_as_people_know_them(status: dict[str, Any], cells: list[str]) -> None:
    server = Server()
    server.ok("POST", PODS, pod())
    server.merge(f"{PODS}/p/status", {"status": status})
    assert server.ok("GET", PODS, accept=TABLE)["rows"][0]["cells"][:5] == cells
