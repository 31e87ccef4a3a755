"""Where simulated pods run."""

from __future__ import annotations

import pytest

from controller_runtime.api.k8s import NodeSpec
from tikv_operator.simulation.kubelet.nodes import HOSTNAME, ZONE, Placement, choose_node, make_node, wanted_labels

NODES = [make_node(f"n{number}", {ZONE: "abc"[number % 3]}, number=number, now=0.0) for number in range(6)]


def test_a_node_says_where_it_is_and_that_it_is_ready() -> None:
    labels = NODES[1].metadata.labels
    assert (labels[HOSTNAME], labels[ZONE]) == ("n1", "b")
    status = NODES[1].status
    assert status is not None
    assert [(condition.type, condition.status) for condition in status.conditions or []] == [("Ready", "True")]


def test_labels_of_the_world_override_the_standard_ones() -> None:
    assert make_node("n", {HOSTNAME: "other"}, number=1, now=0.0).metadata.labels[HOSTNAME] == "other"


@pytest.mark.parametrize(
    ("selector", "zones", "wanted"),
    [
        (None, [], {}),
        ({"disk": "ssd"}, [], {"disk": "ssd"}),
        ({"disk": "ssd"}, ["a", "a"], {"disk": "ssd", ZONE: "a"}),
        ({ZONE: "a"}, ["a"], {ZONE: "a"}),
        ({ZONE: "a"}, ["b"], None),
        (None, ["a", "b"], None),
    ],
)
def test_volumes_bind_a_pod_to_their_zone(
    selector: dict[str, str] | None, zones: list[str], wanted: dict[str, str] | None
) -> None:
    assert wanted_labels(selector, zones) == wanted


@pytest.mark.parametrize(
    ("wanted", "load", "chosen"),
    [
        ({}, {}, "n0"),
        ({ZONE: "b"}, {}, "n1"),
        ({ZONE: "b"}, {"n1": Placement(1, 1)}, "n4"),
        ({ZONE: "b"}, {"n1": Placement(0, 5), "n4": Placement(1, 1)}, "n1"),
        ({}, {f"n{number}": Placement(0, number + 1) for number in range(6)}, "n0"),
        ({HOSTNAME: "n5"}, {"n5": Placement(9, 9)}, "n5"),
        ({ZONE: "z"}, {}, None),
    ],
)
def test_the_emptiest_fitting_node_is_chosen(
    wanted: dict[str, str], load: dict[str, Placement], chosen: str | None
) -> None:
    assert choose_node(NODES, wanted, load) == chosen


def test_a_cordoned_node_takes_no_pods() -> None:
    node = make_node("n", {}, number=1, now=0.0)
    node.spec = NodeSpec(unschedulable=True)
    assert choose_node([node], {}, {}) is None
