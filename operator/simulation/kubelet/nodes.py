"""Nodes, and which of them a pod runs on. Pure functions.

The simulated machines have room for any number of pods, so only labels decide: a pod's node selector, and the zone in which
its volumes already are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from controller_runtime.api import ObjectMeta, format_time
from controller_runtime.api.k8s import Node, NodeAddress, NodeCondition, NodeStatus, NodeSystemInfo

__all__ = ["HOSTNAME", "REGION", "ZONE", "Placement", "choose_node", "describe_misfit", "make_node", "wanted_labels"]

HOSTNAME: Final = "kubernetes.io/hostname"
ZONE: Final = "topology.kubernetes.io/zone"
REGION: Final = "topology.kubernetes.io/region"

_RESOURCES: Final = {"cpu": "64", "memory": "256Gi", "pods": "500", "ephemeral-storage": "1Ti"}


@dataclass(frozen=True, slots=True)
class Placement:
    """How full a node is: pods of the same group, pods of all kinds."""

    alike: int = 0
    pods: int = 0


def make_node(name: str, labels: Mapping[str, str], *, number: int, now: float) -> Node:
    """A node that is ready at once. Labels that say where it is override the defaults."""
    moment = format_time(now)
    standard = {HOSTNAME: name, REGION: "local", "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
    return Node(
        metadata=ObjectMeta(name=name, labels=standard | dict(labels)),
        status=NodeStatus(
            capacity=dict(_RESOURCES),
            allocatable=dict(_RESOURCES),
            addresses=[
                NodeAddress(type="InternalIP", address=f"10.0.{number // 250}.{number % 250 + 1}"),
                NodeAddress(type="Hostname", address=name),
            ],
            conditions=[
                NodeCondition(
                    type="Ready",
                    status="True",
                    reason="KubeletReady",
                    message="kubelet is posting ready status",
                    last_heartbeat_time=moment,
                    last_transition_time=moment,
                )
            ],
            node_info=NodeSystemInfo(
                architecture="amd64",
                boot_id=name,
                container_runtime_version="simulated://1",
                kernel_version="6.0",
                kube_proxy_version="",
                kubelet_version="v1.34.0-simulated",
                machine_id=name,
                operating_system="linux",
                os_image="simulated",
                system_uuid=name,
            ),
        ),
    )


def wanted_labels(selector: Mapping[str, str] | None, volume_zones: Iterable[str]) -> dict[str, str] | None:
    """The labels that a pod's node must have; None if its volumes are in places that contradict each other."""
    wanted = dict(selector or {})
    for zone in volume_zones:
        if wanted.setdefault(ZONE, zone) != zone:
            return None
    return wanted


def choose_node(nodes: Iterable[Node], wanted: Mapping[str, str], load: Mapping[str, Placement]) -> str | None:
    """The name of the node with these labels that has the fewest pods of the group, then the fewest pods."""
    fitting = [node.metadata.name for node in nodes if _usable(node) and _has_labels(node, wanted)]

    def fullness(name: str) -> tuple[int, int, str]:
        placement = load.get(name, Placement())
        return (placement.alike, placement.pods, name)

    return min(fitting, key=fullness, default=None)


def describe_misfit(nodes: int, wanted: Mapping[str, str] | None) -> str:
    """The scheduler's words for a pod that fits nowhere."""
    why = "volume node affinity conflict" if wanted is None else "node affinity/selector"
    return f"0/{nodes} nodes are available: {nodes} node(s) didn't match Pod's {why}."


def _usable(node: Node) -> bool:
    return node.metadata.deletion_timestamp is None and not (node.spec is not None and node.spec.unschedulable)


def _has_labels(node: Node, wanted: Mapping[str, str]) -> bool:
    return wanted.items() <= node.metadata.labels.items()
