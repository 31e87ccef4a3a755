from __future__ import annotations

from typing import Any

import pytest

from tikv_operator.common.errors import ConfigInvalid
from tikv_operator.tikv.onlineconfig import Unreloaded, changed_items, flat_items, read_unreloaded, sendable

ITEMS = {"log.level": "info", "raftstore.store-pool-size": 2}


def test_a_configuration_has_items_by_their_dotted_names() -> None:
    config = 'a = 1\n[log]\nlevel = "info"\n[rocksdb.defaultcf]\nsize = "1GB"\nratios = [1, 2]\n'
    assert flat_items(config) == {
        "a": 1,
        "log.level": "info",
        "rocksdb.defaultcf.size": "1GB",
        "rocksdb.defaultcf.ratios": [1, 2],
    }
    assert flat_items("") == {}


def test_a_configuration_that_is_no_toml_has_none() -> None:
    with pytest.raises(ConfigInvalid, match="cannot be decoded"):
        flat_items("= 1")


@pytest.mark.parametrize(
    ("after", "known", "changed"),
    [
        pytest.param(ITEMS, Unreloaded(), {}, id="nothing"),
        pytest.param(ITEMS | {"log.level": "warn"}, Unreloaded(), {"log.level": "info"}, id="a value"),
        pytest.param(ITEMS | {"new": 1}, Unreloaded(), {"new": None}, id="a new item"),
        pytest.param({"log.level": "info"}, Unreloaded(), {"raftstore.store-pool-size": 2}, id="one that is gone"),
        pytest.param(ITEMS, Unreloaded(refused={"log.level": "warn"}), {}, id="refused before: not asked again"),
        pytest.param(
            ITEMS, Unreloaded(unasked={"log.level": "warn"}), {"log.level": "warn"}, id="not told so far: asked again"
        ),
        pytest.param(
            ITEMS | {"log.level": "warn"}, Unreloaded(refused={"log.level": "warn"}), {}, id="back to what runs"
        ),
        pytest.param(
            ITEMS | {"log.level": "error"},
            Unreloaded(refused={"log.level": "warn"}),
            {"log.level": "warn"},
            id="refused before, and changed again",
        ),
    ],
)
def test_what_tikv_has_to_be_told(after: dict[str, Any], known: Unreloaded, changed: dict[str, Any]) -> None:
    assert changed_items(ITEMS, after, known) == changed


def test_what_is_remembered_survives_the_annotation() -> None:
    known = Unreloaded(5.5, {"a": 1, "b": None}, {"c": "x"})
    assert read_unreloaded(known.text(), 5.5) == known


@pytest.mark.parametrize("text", ["", "{}", "no json", '{"process":4.0,"refused":{"a":1}}'])
def test_it_is_about_one_process_only(text: str) -> None:
    assert read_unreloaded(text, 5.5) == Unreloaded(5.5)
    assert Unreloaded(5.5).text() == ""


@pytest.mark.parametrize(
    ("value", "can"), [("x", True), (1, True), (0.5, True), (False, True), (None, False), ([1], False), ({}, False)]
)
def test_which_values_tikv_takes(value: object, can: bool) -> None:
    assert sendable(value) is can
