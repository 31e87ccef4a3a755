"""How many stores may be down together."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tikv_operator.updater.budget import Budget, budget_of, invalid_budgets

KEY = "core.pingcap.com/max-unavailable"
IN_ZONE = "core.pingcap.com/max-unavailable-in-zone"


@pytest.mark.parametrize(
    ("cluster", "group", "expected"),
    [
        pytest.param({}, {}, Budget(cluster=1, group=1), id="one by default"),
        pytest.param({KEY: "5"}, {}, Budget(cluster=5, group=5), id="a group may use all that its cluster has"),
        pytest.param({KEY: "5"}, {KEY: "2"}, Budget(cluster=5, group=2), id="or less"),
        pytest.param({}, {KEY: "3"}, Budget(cluster=1, group=3), id="or more, of its own"),
        pytest.param({IN_ZONE: "10"}, {}, Budget(cluster=1, group=1, zone=10), id="together in a zone"),
        pytest.param({KEY: "0"}, {KEY: "-1"}, Budget(), id="none is no budget"),
        pytest.param({KEY: "two"}, {KEY: "1.5"}, Budget(), id="no number"),
        pytest.param({KEY: "9" * 5000}, {KEY: "\u0663"}, Budget(), id="no number that anybody meant"),
    ],
)
def test_annotations_make_a_budget(cluster: dict[str, str], group: dict[str, str], expected: Budget) -> None:
    assert budget_of(cluster, group) == expected


@pytest.mark.parametrize(
    ("budget", "own", "elsewhere", "allowed"),
    [
        pytest.param(Budget(), 0, 0, True, id="1: nothing is down"),
        pytest.param(Budget(), 1, 0, False, id="1: one of the group"),
        pytest.param(Budget(), 0, 1, False, id="1: one of another group"),
        pytest.param(Budget(cluster=3, group=3), 1, 1, True, id="3: one of each"),
        pytest.param(Budget(cluster=3, group=3), 1, 2, False, id="3: used up by both"),
        pytest.param(Budget(cluster=3, group=1), 0, 2, True, id="3, 1 of the group: its first"),
        pytest.param(Budget(cluster=3, group=1), 1, 0, False, id="3, 1 of the group: its second"),
        pytest.param(Budget(cluster=1, group=3), 2, 0, True, id="1, 3 of the group: all others serve"),
        pytest.param(Budget(cluster=1, group=3), 0, 1, False, id="1, 3 of the group: they don't"),
    ],
)
def test_one_more_store_may_go_or_not(budget: Budget, own: int, elsewhere: int, allowed: bool) -> None:
    assert budget.allows(own=own, elsewhere=elsewhere) is allowed


def test_what_is_no_number_is_named() -> None:
    assert invalid_budgets({KEY: "2", "other": "x"}) == ""
    assert invalid_budgets({KEY: "0"}) == f"not a number above 0, so it is not heeded: annotation {KEY}"
    assert invalid_budgets({KEY: "a", IN_ZONE: ""}).endswith(f"annotation {KEY}, {IN_ZONE}")


@given(
    cluster=st.integers(1, 9),
    groups=st.lists(st.integers(1, 9), min_size=1, max_size=5),
    asks=st.lists(st.integers(0, 4), max_size=60),
)
def test_whoever_asks_in_whatever_order_the_budgets_hold(cluster: int, groups: list[int], asks: list[int]) -> None:
    down = [0] * len(groups)
    for ask in asks:
        index = ask % len(groups)
        budget = Budget(cluster=cluster, group=groups[index])
        if budget.allows(own=down[index], elsewhere=sum(down) - down[index]):
            down[index] += 1
    assert all(count <= most for count, most in zip(down, groups, strict=True))
    assert sum(down) <= max(cluster, *groups)
    if sum(count > 0 for count in down) > 1:
        first = max(groups[index] for index, count in enumerate(down) if count)
        assert sum(down) <= max(cluster, first)
