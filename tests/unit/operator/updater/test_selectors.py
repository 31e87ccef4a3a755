"""Which instance is chosen."""

from __future__ import annotations

import pytest

from helpers.group_instances import make_tikv
from tikv_operator.api import TiKV
from tikv_operator.updater.selectors import Policy, choose, not_running, preferred, priority, unready

Row = tuple[str, bool, bool, str | None]
"""Name, running, ready, priority."""


def instances(*rows: Row) -> list[TiKV]:
    return [make_tikv(name, running=running, ready=ready, priority=rank) for name, running, ready, rank in rows]


DEFAULT: list[Policy[TiKV]] = [not_running, unready]


@pytest.mark.parametrize(
    ("policies", "rows", "expected"),
    [
        pytest.param([], [("aaa", True, True, None), ("bbb", False, False, None)], "aaa", id="no policy: the first"),
        pytest.param(
            DEFAULT,
            [
                ("aaa", True, True, None),
                ("bbb", True, False, None),
                ("ccc", True, True, None),
                ("ddd", True, False, None),
            ],
            "bbb",
            id="unready ones first",
        ),
        pytest.param(
            DEFAULT,
            [
                ("aaa", True, True, None),
                ("bbb", True, False, None),
                ("ccc", False, True, None),
                ("ddd", True, False, None),
            ],
            "ccc",
            id="one that does not run before unready ones",
        ),
        pytest.param(
            DEFAULT,
            [
                ("aaa", True, True, None),
                ("bbb", True, False, None),
                ("ccc", False, True, None),
                ("ddd", False, False, None),
            ],
            "ddd",
            id="of those that do not run, the unready one",
        ),
        pytest.param(
            [priority],
            [("aaa", True, True, "1"), ("bbb", True, True, "5"), ("ccc", True, True, "3"), ("ddd", True, True, None)],
            "aaa",
            id="the smallest priority",
        ),
        pytest.param(
            [priority],
            [("aaa", True, True, "3"), ("bbb", True, True, "0"), ("ccc", True, True, "0")],
            "bbb",
            id="the first of equal priorities",
        ),
        pytest.param(
            [priority],
            [
                ("aaa", True, True, "-1"),
                ("bbb", True, True, "invalid"),
                ("ccc", True, True, "2"),
                ("ddd", True, True, "1" * 5000),
            ],
            "ccc",
            id="invalid and negative priorities don't count",
        ),
        pytest.param(
            [priority],
            [("aaa", True, True, "\u0661"), ("bbb", True, True, ""), ("ccc", True, True, "1.0")],
            "aaa",
            id="no valid priority at all: the first",
        ),
        pytest.param(
            [not_running, unready, priority],
            [
                ("aaa", True, True, "0"),
                ("bbb", True, False, "10"),
                ("ccc", False, True, "10"),
                ("ddd", False, False, "10"),
                ("eee", False, False, "5"),
            ],
            "eee",
            id="each policy narrows what the one before left",
        ),
        pytest.param(
            [preferred(["ccc", "ddd"]), not_running],
            [("aaa", False, True, None), ("ccc", True, True, None), ("ddd", True, True, None)],
            "ccc",
            id="the first policy outweighs all others",
        ),
        pytest.param(
            [preferred(["zzz"]), not_running],
            [("aaa", True, True, None), ("bbb", False, True, None)],
            "bbb",
            id="a policy that matches nothing is passed over",
        ),
    ],
)
def test_the_chosen_instance(policies: list[Policy[TiKV]], rows: list[Row], expected: str) -> None:
    assert choose(instances(*rows), *policies).metadata.name == expected


def test_an_instance_that_its_controller_has_not_caught_up_with_counts_as_unready() -> None:
    candidates = [make_tikv("aaa"), make_tikv("bbb", synced=False)]
    assert choose(candidates, unready).metadata.name == "bbb"


def test_choosing_from_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="no instance"):
        choose([], not_running)
