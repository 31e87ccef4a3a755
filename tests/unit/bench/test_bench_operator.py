"""The operator's benchmark: which writes changed nothing, what belongs to a piece of work, and what its table says."""

from __future__ import annotations

import importlib
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from controller_runtime.client import Request, Response, Stream

BENCH = Path(__file__).parents[3] / "bench"


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Import one of the benchmarks' modules, which are scripts beside one another and no package."""
    monkeypatch.syspath_prepend(str(BENCH))
    return importlib.import_module


class Answering:
    """A transport that gives the same answer to everything."""

    def __init__(self, status: int, body: bytes) -> None:
        self._response = Response(status, {}, body)

    async def request(self, request: Request) -> Response:
        return self._response

    def stream(self, request: Request) -> AbstractAsyncContextManager[Stream]:
        raise NotImplementedError

    async def close(self) -> None:
        raise NotImplementedError


def write(module: Any, version: str, *, at: int, status: int = 200, gone: bool = False, path: str = "/x") -> Any:
    return module("operator_recorder").Write(at - 1, at, "PATCH", path, status, version, gone, 0)


def test_a_write_that_is_answered_with_a_version_of_its_own_has_changed_something(module: Any) -> None:
    writes = [write(module, "7", at=10), write(module, "8", at=20)]
    assert module("operator_recorder").without_effect(writes, []) == []


@pytest.mark.parametrize("by_others", [False, True])
def test_a_write_that_is_answered_with_the_version_of_another_one_has_changed_nothing(
    module: Any, by_others: bool
) -> None:
    first, second = write(module, "7", at=10), write(module, "7", at=20)
    ours, theirs = ([second], [first]) if by_others else ([first, second], [])
    assert module("operator_recorder").without_effect(ours, theirs) == [second]


def test_a_write_after_which_another_one_changed_nothing_has_changed_something(module: Any) -> None:
    assert module("operator_recorder").without_effect([write(module, "7", at=10)], [write(module, "7", at=20)]) == []


def test_a_write_that_was_refused_has_changed_nothing(module: Any) -> None:
    refused = write(module, "", at=10, status=409)
    assert module("operator_recorder").without_effect([refused], []) == [refused]


def test_a_deletion_that_is_answered_with_the_last_version_has_changed_something(module: Any) -> None:
    writes = [write(module, "7", at=10), write(module, "7", at=20, gone=True)]
    assert module("operator_recorder").without_effect(writes, []) == []


@pytest.mark.parametrize(
    ("method", "body", "version", "gone"),
    [
        pytest.param("PATCH", b'{"kind": "Pod", "metadata": {"resourceVersion": "7"}}', "7", False, id="patch"),
        pytest.param("DELETE", b'{"kind": "Status", "metadata": {}}', "", True, id="deleted"),
        pytest.param(
            "DELETE",
            b'{"kind": "Pod", "metadata": {"resourceVersion": "7", "deletionTimestamp": "2026-01-01T00:00:00Z",'
            b' "deletionGracePeriodSeconds": 30}}',
            "7",
            False,
            id="to be deleted later",
        ),
        pytest.param(
            "PATCH",
            b'{"kind": "TiKV", "metadata": {"resourceVersion": "7", "deletionTimestamp": "2026-01-01T00:00:00Z",'
            b' "deletionGracePeriodSeconds": 0, "finalizers": ["another"]}}',
            "7",
            False,
            id="a finalizer is left",
        ),
        pytest.param(
            "PATCH",
            b'{"kind": "TiKV", "metadata": {"resourceVersion": "7", "deletionTimestamp": "2026-01-01T00:00:00Z",'
            b' "deletionGracePeriodSeconds": 0}}',
            "7",
            True,
            id="the last finalizer has gone",
        ),
    ],
)
async def test_writes_are_noted_with_what_was_answered(
    module: Any, method: str, body: bytes, version: str, gone: bool
) -> None:
    recorder = module("operator_recorder").Recorder(Answering(200, body))
    await recorder.request(Request(method=method, path="/api/v1/namespaces/default/pods/a"))
    (noted,) = recorder.writes
    assert (noted.version, noted.gone) == (version, gone)


async def test_reads_and_reviews_are_no_writes(module: Any) -> None:
    recorder = module("operator_recorder").Recorder(Answering(200, b"{}"))
    await recorder.request(Request(method="GET", path="/api/v1/pods"))
    await recorder.request(Request(method="POST", path="/apis/authorization.k8s.io/v1/subjectaccessreviews"))
    assert recorder.writes == []


def test_the_table_adds_the_parts_of_a_work_and_takes_the_worse_of_both_clusters(module: Any) -> None:
    figures = {"wall": 100.0, "writes": 500.0, "futile_writes": 0.0, "pd_requests": 700.0, "cpu": 5.0, "peak_mb": 60.0}
    worse = figures | {"futile_writes": 1.0}
    medians = {
        "embedded/fleet-create": figures,
        "embedded/fleet-restart": figures,
        "real/fleet-create": figures,
        "real/fleet-restart": worse,
    }
    lines = module("operator_report").table(medians).splitlines()
    assert "| 5 groups of 10, budget 5, created and restarted: wall | 627 s | 219 s | 200 s | 200 s | met |" in lines
    assert "| - of which change nothing | 1641 | 0 | 0 | 1 | **missed** |" in lines
    assert "| - API writes | 3250 | 1138 | 1000 | 1000 | met |" in lines


def test_what_was_not_measured_is_neither_met_nor_missed(module: Any) -> None:
    table = module("operator_report").table({"embedded/fleet-create": {"wall": 20.0}})
    assert "| 5 groups of 10, budget 5, created and restarted: wall | 627 s | 219 s | - | - |  |" in table.splitlines()


def test_the_page_keeps_its_text(module: Any, tmp_path: Path) -> None:
    page = tmp_path / "performance-operator.md"
    begin, end = module("operator_report").BEGIN, module("report").END
    page.write_text(f"Before.\n\n{begin}\nold\n{end}\n\nAfter.\n")
    module("operator_report").write({"embedded/create": {"wall": 20.0}}, {"embedded/create": "abc"}, tmp_path)
    text = page.read_text()
    assert text.startswith("Before.\n")
    assert text.endswith("After.\n")
    assert "20.0 s" in text
    assert "old" not in text


@pytest.mark.parametrize(
    ("path", "status", "kind"),
    [
        ("/apis/core.pingcap.com/v1alpha1/namespaces/default/tikvs/kv-1/status", 200, "PATCH tikvs/status"),
        ("/api/v1/namespaces/default/pods/kv-1", 409, "PATCH pods 409"),
    ],
)
def test_kinds_of_writes_have_no_names_of_objects(module: Any, path: str, status: int, kind: str) -> None:
    assert module("operator_work").kind_of(write(module, "7", at=10, status=status, path=path)) == kind
