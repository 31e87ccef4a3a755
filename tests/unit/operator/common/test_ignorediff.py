"""`pingcap.com/ignore-diff`: what is left as it is, path by path, and that no path does harm."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from controller_runtime.api import to_builtins
from controller_runtime.api.k8s import PersistentVolumeClaim, PersistentVolumeClaimStatus, Pod
from controller_runtime.task import Status
from helpers.tikv_fakes import FakePD, make_cluster, make_context, make_pod, make_store, make_tikv
from tikv_operator.api import Overlay, PodOverlay, TemplateMeta, VolumeClaimOverlay
from tikv_operator.api.template import VolumeClaimTemplate
from tikv_operator.common.ignorediff import with_live_values
from tikv_operator.common.keys import ANNOTATION_IGNORE_DIFF
from tikv_operator.instance.inplace import can_take_over, frozen_differences
from tikv_operator.instance.pvc import plan_claim
from tikv_operator.tikv.pvc import render_claims
from tikv_operator.tikv.tasks.pod import pod
from tikv_operator.tikv.tasks.pvc import volume_claims

WANTED: dict[str, Any] = {
    "metadata": {
        "name": "a",
        "labels": {"team": "new", "example.com/zone": "new", "added": "new"},
        "annotations": {"note": "new"},
        "ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "new", "uid": "2"}],
    },
    "spec": {
        "nodeName": "node-2",
        "priorityClassName": "high",
        "containers": [{"name": "main", "image": "new"}],
        "securityContext": {"runAsUser": 2},
    },
}
LIVE: dict[str, Any] = {
    "metadata": {
        "name": "a",
        "uid": "1",
        "resourceVersion": "7",
        "labels": {"team": "old", "example.com/zone": "old"},
        "annotations": {"note": "old", "theirs": "x"},
    },
    "spec": {
        "nodeName": "node-1",
        "containers": [{"name": "main", "image": "old"}],
        "securityContext": {"runAsUser": 1, "fsGroup": 1},
        "dnsConfig": {"nameservers": ["10.0.0.1"]},
    },
    "status": {"phase": "Running"},
}


def pod_of(tree: dict[str, Any], paths: str | None = None) -> Pod:
    pod = msgspec.convert(tree, Pod)
    if paths is not None:
        pod.metadata.annotations = {**pod.metadata.annotations, ANNOTATION_IGNORE_DIFF: paths}
    return pod


def changed(paths: str) -> dict[str, Any]:
    """Return the leaves, by their place, that the annotation has made other than what was wanted; None: no more wanted."""
    wanted = pod_of(WANTED, paths)
    before, after = leaves(to_builtins(wanted)), leaves(to_builtins(with_live_values(wanted, pod_of(LIVE))))
    return {place: after.get(place) for place in before | after if before.get(place) != after.get(place)}


def leaves(value: Any, place: str = "") -> dict[str, Any]:
    if isinstance(value, dict):
        return {key: leaf for name, item in value.items() for key, leaf in leaves(item, f"{place}/{name}").items()}
    return {place: value}


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        pytest.param("spec.nodeName", {"/spec/nodeName": "node-1"}, id="a field gets the live value"),
        pytest.param("spec.priorityClassName", {"/spec/priorityClassName": None}, id="what the live object lacks goes"),
        pytest.param(
            "spec.dnsConfig.nameservers", {"/spec/dnsConfig/nameservers": ["10.0.0.1"]}, id="what only it has comes"
        ),
        pytest.param(
            "spec.securityContext.runAsUser", {"/spec/securityContext/runAsUser": 1}, id="its neighbours stay wanted"
        ),
        pytest.param(
            "spec.securityContext",
            {"/spec/securityContext/runAsUser": 1, "/spec/securityContext/fsGroup": 1},
            id="a whole struct",
        ),
        pytest.param("spec.containers", {"/spec/containers": [{"name": "main", "image": "old"}]}, id="a whole list"),
        pytest.param("metadata.labels.team", {"/metadata/labels/team": "old"}, id="a label"),
        pytest.param("metadata.labels.added", {"/metadata/labels/added": None}, id="a label that is not there"),
        pytest.param(
            "metadata.labels.example.com/zone", {"/metadata/labels/example.com/zone": "old"}, id="a label with dots"
        ),
        pytest.param("metadata.annotations.note", {"/metadata/annotations/note": "old"}, id="an annotation"),
        pytest.param(
            "metadata.annotations.theirs", {"/metadata/annotations/theirs": "x"}, id="an annotation of others"
        ),
        pytest.param(
            " spec.nodeName , metadata.labels.team,",
            {"/spec/nodeName": "node-1", "/metadata/labels/team": "old"},
            id="several, with spaces and a last comma",
        ),
        pytest.param("spec.no.such, spec.nodeName", {"/spec/nodeName": "node-1"}, id="a bad one spoils no other"),
        *(
            pytest.param(paths, {}, id=f"nothing: {why}")
            for paths, why in {
                "": "no path",
                ",, ,": "commas alone",
                ".": "a dot alone",
                "spec..nodeName": "an empty segment",
                "spec.nodeName.": "an empty segment at the end",
                "spec.containers.0.image": "through a list by number",
                "spec.containers.main.image": "through a list by name",
                "spec.containers[0].image": "through a list in brackets",
                "spec.nodeName.x": "through a text",
                "spec.noSuchField": "an unknown field",
                "spec.noSuchField.inner": "through an unknown field",
                "noSuchField": "an unknown field at the top",
                "metadata": "the whole metadata",
                "metadata.resourceVersion": "a version",
                "metadata.ownerReferences": "the owners",
                "kind": "the kind",
                "apiVersion": "the version of the kind",
                "status": "the status",
                "status.phase": "a field of the status",
            }.items()
        ),
    ],
)
def test_at_each_path_the_live_value_counts_as_wanted(paths: str, expected: dict[str, Any]) -> None:
    assert changed(paths) == expected


def test_neither_object_is_changed() -> None:
    wanted, live = pod_of(WANTED, "spec, metadata.labels"), pod_of(LIVE)
    with_live_values(wanted, live)
    assert wanted == pod_of(WANTED, "spec, metadata.labels")
    assert live == pod_of(LIVE)


def test_without_the_annotation_or_a_live_object_everything_is_wanted() -> None:
    plain, new = pod_of(WANTED), pod_of(WANTED, "spec.nodeName")
    assert with_live_values(plain, pod_of(LIVE)) is plain
    assert with_live_values(new, None) is new


@pytest.mark.parametrize(
    ("paths", "frozen"),
    [
        pytest.param(None, ["priorityClassName"], id="without it the pod waits for a restart"),
        pytest.param("spec.priorityClassName", [], id="with it there is no difference"),
        pytest.param("spec.nodeName", ["priorityClassName"], id="other paths are no help"),
    ],
)
def test_a_difference_of_a_running_pod_that_is_left_alone_is_none(paths: str | None, frozen: list[str]) -> None:
    annotations = {} if paths is None else {ANNOTATION_IGNORE_DIFF: paths}
    overlay = Overlay(
        pod=PodOverlay(metadata=TemplateMeta(annotations=annotations), spec={"priorityClassName": "high"})
    )
    wanted, current = make_pod(make_tikv(overlay=overlay)), make_pod(make_tikv(overlay=overlay))
    assert current.spec is not None
    current.spec.priority_class_name = "low"
    fitted = with_live_values(wanted, current)
    assert frozen_differences(fitted, current) == frozen
    assert not can_take_over(fitted, current)


@pytest.mark.parametrize("path", ["spec.resources.requests.storage", "spec.resources", "spec"])
def test_a_claim_keeps_the_size_that_it_has(path: str) -> None:
    def claim(size: str) -> PersistentVolumeClaim:
        tree = {
            "metadata": {"name": "data", "annotations": {ANNOTATION_IGNORE_DIFF: path}},
            "spec": {"resources": {"requests": {"storage": size}}},
            "status": {"phase": "Bound", "capacity": {"storage": size}},
        }
        return msgspec.convert(tree, PersistentVolumeClaim)

    for size in ("200Gi", "50Gi"):
        wanted, current = claim(size), claim("100Gi")
        plan = plan_claim(with_live_values(wanted, current), current, bound_only=True)
        assert (plan.claim, plan.waiting, plan.refused) == (None, "", ""), size


async def test_the_tasks_of_pods_and_claims_heed_it() -> None:
    heeded = {ANNOTATION_IGNORE_DIFF: "spec.terminationGracePeriodSeconds, spec.resources.requests.storage"}
    metadata = TemplateMeta(annotations=heeded)
    claims = [VolumeClaimOverlay(name="data", volume_claim=VolumeClaimTemplate(metadata=metadata))]
    tikv = make_tikv(overlay=Overlay(pod=PodOverlay(metadata=metadata), volume_claims=claims))
    current, claim = make_pod(tikv), render_claims(tikv, make_cluster())[0]
    assert current.spec is not None
    assert claim.spec is not None
    assert claim.spec.resources is not None
    current.spec.termination_grace_period_seconds = 60
    claim.spec.resources.requests = {"storage": "100Gi"}
    claim.status = PersistentVolumeClaimStatus(phase="Bound", capacity={"storage": "100Gi"})
    store = make_store()
    ctx = make_context(tikv, pod=current, pd=FakePD(store), store=store, others=[claim])
    assert (await pod(ctx)).status is Status.COMPLETE
    assert (await volume_claims(ctx)).status is Status.COMPLETE
    assert ctx.restart == []
    assert ctx.problems == []
    claims_written = [write for write in ctx.client.writes if "PersistentVolumeClaim" in write]
    assert claims_written == []
