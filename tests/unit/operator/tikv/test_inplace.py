from __future__ import annotations

from collections.abc import Callable

import pytest

from controller_runtime.api.k8s import Container, EnvVar, Pod, PodSpec, Toleration
from helpers.tikv_fakes import make_cluster, make_pod, make_tikv
from tikv_operator.api import ClusterStatus, Feature, FeatureGate, Overlay, PodOverlay
from tikv_operator.instance.inplace import can_take_over, frozen_differences, metadata_changes

MORE = Overlay(
    pod=PodOverlay(
        spec={
            "tolerations": [{"key": "db", "operator": "Exists"}],
            "containers": [{"name": "tikv", "env": [{"name": "A", "value": "1"}]}],
            "volumes": [{"name": "scratch", "emptyDir": {"sizeLimit": "1024Mi"}}],
        }
    )
)


def spec(pod: Pod) -> PodSpec:
    assert pod.spec is not None
    return pod.spec


def server_defaults(pod: Pod) -> None:
    """Do what the API server, the scheduler and a webhook do to a pod."""
    found = spec(pod)
    found.node_name, found.dns_policy, found.restart_policy = "node-1", "ClusterFirst", "Always"
    found.tolerations = [Toleration(key="node.kubernetes.io/not-ready"), *(found.tolerations or [])]
    found.containers.insert(0, Container(name="injected"))
    for port in found.containers[1].ports or []:
        port.protocol = "TCP"
    found.containers[1].env = [EnvVar(name="INJECTED", value="x"), *(found.containers[1].env or [])]
    assert found.containers[1].resources is not None
    found.containers[1].resources.limits = {"cpu": "1000m", "memory": "2048Mi"}
    for volume in found.volumes or []:
        if volume.empty_dir is not None and volume.empty_dir.size_limit is not None:
            volume.empty_dir.size_limit = "1Gi"


@pytest.mark.parametrize("overlay", [None, MORE], ids=["plain", "overlaid"])
def test_what_others_add_is_no_difference(overlay: Overlay | None) -> None:
    tikv = make_tikv(overlay=overlay)
    current = make_pod(tikv)
    server_defaults(current)
    assert frozen_differences(make_pod(tikv), current) == []
    assert not can_take_over(make_pod(tikv), current)


def other_pd() -> Pod:
    cluster = make_cluster()
    cluster.status = ClusterStatus(pd="http://elsewhere:2379", id="7452180154224557728")
    return make_pod(cluster=cluster)


def ready_api() -> Pod:
    return make_pod(cluster=make_cluster(feature_gates=[FeatureGate(name=Feature.USE_TIKV_READY_API)]))


def grace() -> Pod:
    pod = make_pod()
    spec(pod).termination_grace_period_seconds = 60
    return pod


@pytest.mark.parametrize(
    ("expected", "paths"),
    [
        pytest.param(other_pd, ["containers[tikv].lifecycle.preStop.exec.command"], id="another address of PD"),
        pytest.param(ready_api, ["containers[tikv].readinessProbe"], id="a probe"),
        pytest.param(grace, ["terminationGracePeriodSeconds"], id="another grace period"),
        pytest.param(
            lambda: make_pod(make_tikv(overlay=MORE)),
            ["containers[tikv].env", "tolerations", "volumes[scratch]"],
            id="an overlay",
        ),
    ],
)
def test_what_a_running_pod_cannot_take_over_is_named(expected: Callable[[], Pod], paths: list[str]) -> None:
    assert sorted(frozen_differences(expected(), make_pod())) == paths


def test_an_image_can_be_taken_over() -> None:
    expected = make_pod()
    init = spec(expected).init_containers
    assert init is not None
    init[0].image = "other"
    assert frozen_differences(expected, make_pod()) == []
    assert can_take_over(expected, make_pod())


def test_metadata_can_be_taken_over_and_what_others_added_stays() -> None:
    expected, current = make_pod(), make_pod()
    expected.metadata.labels["new"] = "1"
    current.metadata.annotations |= {"theirs": "x", "core.pingcap.com/unreloaded-config": "{}"}
    assert metadata_changes(expected, current) == {
        "labels": {"new": "1"},
        "annotations": {"core.pingcap.com/unreloaded-config": None},
    }
