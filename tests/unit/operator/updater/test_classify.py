"""Which class an instance is in, and which of the instances can't be counted on."""

from __future__ import annotations

from typing import Any

import pytest

from helpers.group_instances import NEW, NOW, OLD, make_tikv
from tikv_operator.updater.classify import classify, is_unavailable_update

CLASSES = ("update", "outdated", "being_offline", "deleted", "ending")


def class_of(*, wanted: str | None = NEW, **state: Any) -> str:
    classes = classify([make_tikv("kv-a", **state)], wanted)
    (found,) = [name for name in CLASSES if getattr(classes, name)]
    return found


def test_of_no_instances_every_class_is_empty() -> None:
    classes = classify([], NEW)
    assert [getattr(classes, name) for name in CLASSES] == [[], [], [], [], []]


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        pytest.param({}, "update", id="the wanted revision"),
        pytest.param({"revision": OLD}, "outdated", id="another revision"),
        pytest.param({"deferred": None}, "update", id="no annotations"),
        pytest.param({"deferred": "true"}, "deleted", id="marked"),
        pytest.param({"deferred": ""}, "deleted", id="marked with an empty text"),
        pytest.param({"deferred": "false"}, "deleted", id="marked with false"),
        pytest.param({"offlined": True}, "deleted", id="offlined"),
        pytest.param({"offlined": False}, "update", id="Offlined is False"),
        pytest.param({"offlined": False, "revision": OLD}, "outdated", id="Offlined is False, another revision"),
        pytest.param({"offline": True}, "being_offline", id="offline"),
        pytest.param({"offline": True, "revision": OLD}, "being_offline", id="offline, another revision"),
        pytest.param({"offline": False}, "update", id="not offline"),
        pytest.param({"deferred": "true", "offline": True}, "deleted", id="the mark wins over offline"),
        pytest.param({"offlined": True, "offline": True}, "deleted", id="offlined wins over offline"),
        pytest.param({"deleting": True}, "ending", id="being deleted"),
        pytest.param(
            {"deleting": True, "deferred": "true", "offline": True}, "ending", id="being deleted wins over all"
        ),
        pytest.param({"deleting": False}, "update", id="no time of deletion"),
    ],
)
def test_the_class_of_an_instance(state: dict[str, Any], expected: str) -> None:
    assert class_of(**state) == expected


def test_while_any_revision_is_right_none_is_outdated() -> None:
    assert class_of(revision=OLD, wanted=None) == "update"


def test_the_order_of_instances_is_kept() -> None:
    instances = [make_tikv(f"kv-{letter}", revision=OLD if letter in "bd" else NEW) for letter in "abcd"]
    classes = classify(instances, NEW)
    assert [found.metadata.name for found in classes.update] == ["kv-a", "kv-c"]
    assert [found.metadata.name for found in classes.outdated] == ["kv-b", "kv-d"]


@pytest.mark.parametrize(
    ("state", "unavailable"),
    [
        pytest.param({}, False, id="ready for long, up to date"),
        pytest.param({"ready": False}, True, id="not ready"),
        pytest.param({"ready": None}, True, id="nobody knows"),
        pytest.param({"ready_for": 3}, True, id="ready for less than the minimum"),
        pytest.param({"ready_for": 5}, True, id="ready for exactly the minimum"),
        pytest.param({"synced": False}, True, id="ready at another revision"),
        pytest.param({"generation": 2, "observed": 1}, True, id="ready before it was changed"),
    ],
)
def test_an_instance_of_the_wanted_revision_that_cannot_be_counted_on(state: dict[str, Any], unavailable: bool) -> None:
    assert is_unavailable_update(make_tikv("kv-a", **state), 5.0, NOW) is unavailable
