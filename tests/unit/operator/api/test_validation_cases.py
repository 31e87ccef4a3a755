"""What the CRDs accept and refuse, case by case: the cases of TiDB Operator's own API, and their messages."""

from __future__ import annotations

from typing import Any

import pytest

from helpers.crd_check import violations
from tikv_operator.api import PD, Cluster, PDGroup, TiKV, TiKVGroup

DATA = {"name": "data", "mounts": [{"type": "data"}], "storage": "10Gi"}
TEMPLATE = {"version": "v8.1.0", "volumes": [DATA]}
Spec = dict[str, Any]


def cluster(**spec: Any) -> Spec:
    return {"metadata": {"name": "c"}, "spec": spec}


def instance(**spec: Any) -> Spec:
    return {"metadata": {"name": "a-1"}, "spec": {"cluster": {"name": "c"}, "subdomain": "s", **TEMPLATE, **spec}}


def group(template: Spec | None = None, **spec: Any) -> Spec:
    templated = {"template": {"spec": {**TEMPLATE, **(template or {})}}}
    return {"metadata": {"name": "g"}, "spec": {"cluster": {"name": "c"}, "replicas": 3, **templated, **spec}}


def without(spec: Spec, *path: str) -> Spec:
    """Return a copy of `spec` that lacks the field at `path`."""
    head, *rest = path
    return {
        key: (without(value, *rest) if rest and key == head else value)
        for key, value in spec.items()
        if rest or key != head
    }


def gates(*names: str) -> Spec:
    return cluster(featureGates=[{"name": name} for name in names])


def named(base: Spec, name: str) -> Spec:
    return {**base, "metadata": {"name": name}}


# --- Cluster

TLS_IMMUTABLE = ["spec: tlsCluster is immutable"]
SQL_SET_ONCE = [
    "spec: bootstrapSQL can only be set at creation, can be unset, but cannot be changed to a different value"
]
FM, VAC, OTHER = "FeatureModification", "VolumeAttributesClass", "DisablePDDefaultReadinessProbe"
ONLY_ENABLE_FM = ["spec.featureGates: can only enable FeatureModification if it's not enabled"]
KEEP_FM = ["spec.featureGates: cannot disable FeatureModification"]
ON, OFF, NONE, EMPTY = (
    cluster(tlsCluster={"enabled": True}),
    cluster(tlsCluster={"enabled": False}),
    cluster(),
    cluster(tlsCluster={}),
)
SQL_A, SQL_B = cluster(bootstrapSQL={"name": "a"}), cluster(bootstrapSQL={"name": "b"})


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (None, ON, []),
        (None, OFF, []),
        (OFF, ON, TLS_IMMUTABLE),
        (ON, OFF, TLS_IMMUTABLE),
        (NONE, ON, TLS_IMMUTABLE),
        (ON, NONE, TLS_IMMUTABLE),
        (ON, ON, []),
        (OFF, OFF, []),
        (NONE, NONE, []),
        (EMPTY, OFF, []),
        (EMPTY, ON, TLS_IMMUTABLE),
    ],
)
def test_tls_of_a_cluster_is_immutable(old: Spec | None, new: Spec, expected: list[str]) -> None:
    assert violations(Cluster, new, old) == expected


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (None, SQL_A, []),
        (None, NONE, []),
        (SQL_A, SQL_A, []),
        (SQL_A, NONE, []),
        (NONE, NONE, []),
        (SQL_A, SQL_B, SQL_SET_ONCE),
        (NONE, SQL_A, SQL_SET_ONCE),
    ],
)
def test_bootstrap_sql_is_set_at_creation_or_never(old: Spec | None, new: Spec, expected: list[str]) -> None:
    assert violations(Cluster, new, old) == expected


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (None, gates(), []),
        (None, gates(VAC), []),
        (None, gates(VAC, FM), []),
        (gates(), gates(), []),
        (gates(VAC, FM), gates(VAC, FM), []),
        (gates(VAC, FM), gates(OTHER, FM), []),
        (gates(VAC, FM), gates(FM), []),
        (gates(FM), gates(VAC, FM), []),
        (gates(VAC), gates(VAC, FM), []),
        (gates(VAC), gates(OTHER), ONLY_ENABLE_FM),
        (gates(VAC), gates(OTHER, FM), ONLY_ENABLE_FM),
        (gates(VAC, FM), gates(VAC), KEEP_FM),
        (NONE, gates(VAC), []),
        (gates(VAC), NONE, []),
        (None, gates("Unheard"), ["spec.featureGates[0].name: Unsupported value"]),
    ],
)
def test_features_change_only_with_feature_modification(old: Spec | None, new: Spec, expected: list[str]) -> None:
    assert violations(Cluster, new, old) == expected


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"revisionHistoryLimit": -1}, ["spec.revisionHistoryLimit: should be greater than or equal to 0"]),
        ({"revisionHistoryLimit": 0}, []),
        ({"dns": {"mode": "FQDN"}}, []),
        ({"dns": {"mode": "Other"}}, ["spec.dns.mode: Unsupported value"]),
        ({"upgradePolicy": "whatever"}, []),
    ],
)
def test_other_settings_of_a_cluster(spec: Spec, expected: list[str]) -> None:
    assert violations(Cluster, cluster(**spec)) == expected


# --- names

LIMITS = [
    (Cluster, cluster(), 37),
    (TiKVGroup, group(), 40),
    (PDGroup, group(), 40),
    (TiKV, instance(), 47),
    (PD, instance(), 47),
]


@pytest.mark.parametrize(("kind", "valid", "limit"), LIMITS)
def test_names_leave_room_for_what_is_appended(kind: Any, valid: Spec, limit: int) -> None:
    assert violations(kind, named(valid, "x" * limit)) == []
    assert violations(kind, named(valid, "x" * (limit + 1))) == [f": name must not exceed {limit} characters"]


# --- groups

GROUPS = pytest.mark.parametrize("kind", [TiKVGroup, PDGroup])


@GROUPS
@pytest.mark.parametrize("seconds", [0, 10, 3600])
def test_min_ready_seconds_is_not_negative(kind: Any, seconds: int) -> None:
    assert violations(kind, group(minReadySeconds=seconds)) == []
    below = violations(kind, group(minReadySeconds=-1 - seconds))
    assert below == ["spec.minReadySeconds: should be greater than or equal to 0"]


@GROUPS
def test_replicas_are_required_and_not_negative(kind: Any) -> None:
    assert violations(kind, group(replicas=0)) == []
    assert violations(kind, group(replicas=-1)) == ["spec.replicas: should be greater than or equal to 0"]
    assert violations(kind, without(group(), "spec", "replicas")) == ["spec.replicas: Required value"]


@GROUPS
@pytest.mark.parametrize("name", ["a", "a-1", "0", "a.b.c", "abc-def.0"])
def test_names_that_a_cluster_may_have(kind: Any, name: str) -> None:
    assert violations(kind, group(cluster={"name": name})) == []


@GROUPS
@pytest.mark.parametrize("name", ["", "A", "-a", "a-", "a_b", "a..b", ".a", " a", "a@b"])
def test_names_that_a_cluster_cannot_have(kind: Any, name: str) -> None:
    assert violations(kind, group(cluster={"name": name})) == ["spec.cluster.name: should match the pattern"]


@GROUPS
def test_the_cluster_is_required_and_immutable(kind: Any) -> None:
    assert violations(kind, group(cluster={})) == ["spec.cluster.name: Required value"]
    changed = violations(kind, group(cluster={"name": "d"}), group())
    assert changed == ["spec.cluster.name: cluster name is immutable"]


@GROUPS
@pytest.mark.parametrize(
    ("topologies", "expected"),
    [
        ([{"topology": {"zone": "a"}}], []),
        ([{"topology": {"zone": "a"}, "weight": 2}], []),
        (
            [{"topology": {"zone": "a"}, "weight": 0}],
            ["spec.schedulePolicies[0].evenlySpread.topologies[0].weight: should be greater than or equal to 1"],
        ),
        (
            [{"topology": {}}],
            ["spec.schedulePolicies[0].evenlySpread.topologies[0].topology: should have at least 1 properties"],
        ),
        ([{}], ["spec.schedulePolicies[0].evenlySpread.topologies[0].topology: Required value"]),
    ],
)
def test_schedule_policies(kind: Any, topologies: list[Any], expected: list[str]) -> None:
    policy = {"type": "EvenlySpread", "evenlySpread": {"topologies": topologies}}
    assert violations(kind, group(schedulePolicies=[policy])) == expected


def test_labels_of_a_template_are_limited() -> None:
    metadata = {"labels": {f"l{number}": "" for number in range(513)}}
    too_many = group()
    too_many["spec"]["template"]["metadata"] = metadata
    assert violations(TiKVGroup, too_many) == ["spec.template.metadata.labels: must have at most 512 properties"]


# --- TiKVGroup

NOT_K = "labels cannot contain keys with 'k/' or '$k/' prefix"
NOT_TOPOLOGY = "labels cannot contain 'host', 'region', or 'zone' keys"


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("k/tikvgroup", NOT_K),
        ("$k/exclusive", NOT_K),
        ("host", NOT_TOPOLOGY),
        ("region", NOT_TOPOLOGY),
        ("zone", NOT_TOPOLOGY),
        ("custom/k", ""),
        ("topology.kubernetes.io/zone", ""),
    ],
)
def test_store_labels_that_a_user_may_set(key: str, message: str) -> None:
    server = {"labels": {key: "x"}}
    assert violations(TiKVGroup, group({"server": server})) == (
        [f"spec.template.spec.server.labels: {message}"] if message else []
    )
    assert violations(TiKV, instance(server=server)) == ([f"spec.server.labels: {message}"] if message else [])


# --- PDGroup


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (None, {"bootstrapped": True}, []),
        ({"bootstrapped": False}, {"bootstrapped": True}, []),
        (
            {"bootstrapped": True},
            {"bootstrapped": False},
            ["spec.bootstrapped: bootstrapped cannot be changed from true to false"],
        ),
        ({"bootstrapped": True}, {}, []),
        ({"bootstrapped": True}, {"bootstrapped": True, "replicas": 5}, []),
        ({}, {"bootstrapped": True, "replicas": 5}, []),
        ({}, {"replicas": 5}, ["spec: replicas cannot be changed when bootstrapped is false"]),
        (
            {"bootstrapped": False},
            {"bootstrapped": False, "replicas": 5},
            ["spec: replicas cannot be changed when bootstrapped is false"],
        ),
        ({}, {}, []),
    ],
)
def test_a_pd_group_scales_once_it_is_bootstrapped(old: Spec | None, new: Spec, expected: list[str]) -> None:
    assert violations(PDGroup, group(**new), None if old is None else group(**old)) == expected


# --- instances

INSTANCES = pytest.mark.parametrize("kind", [TiKV, PD])
SET_AT_CREATION = ["spec.topology: topology can only be set when creating"]


@INSTANCES
@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (None, {"topology": {"aaa": "bbb"}}, []),
        (None, {"topology": {}}, ["spec.topology: should have at least 1 properties"]),
        ({"topology": {"a": "b"}}, {"topology": {"a": "b"}}, []),
        ({"topology": {"a": "b"}}, {"topology": {"a": "c"}}, ["spec.topology: topology is immutable"]),
        ({}, {"topology": {"a": "b"}}, SET_AT_CREATION),
        ({"topology": {"a": "b"}}, {}, SET_AT_CREATION),
    ],
)
def test_topology_is_set_at_creation(kind: Any, old: Spec | None, new: Spec, expected: list[str]) -> None:
    assert violations(kind, instance(**new), None if old is None else instance(**old)) == expected


@INSTANCES
def test_subdomain_is_required_and_immutable(kind: Any) -> None:
    assert violations(kind, without(instance(), "spec", "subdomain")) == ["spec.subdomain: Required value"]
    assert violations(kind, instance(subdomain="t"), instance()) == ["spec.subdomain: subdomain is immutable"]


@INSTANCES
@pytest.mark.parametrize(("replicas", "accepted"), [(0, False), (1, True), (2, False)])
def test_an_instance_is_exactly_one(kind: Any, replicas: int, accepted: bool) -> None:
    assert (violations(kind, instance(replicas=replicas)) == []) is accepted


@INSTANCES
@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (
            without(instance(), "spec", "volumes"),
            ["spec.volumes: Required value", "spec: data volume must be configured"],
        ),
        (instance(volumes=[]), ["spec: data volume must be configured"]),
        (instance(volumes=[{**DATA, "name": "raft"}]), ["spec: data volume must be configured"]),
        (instance(volumes=[DATA, {**DATA, "name": "raft"}]), []),
        (
            instance(volumes=[DATA] + [{**DATA, "name": f"v{number}"} for number in range(256)]),
            ["spec.volumes: must have at most 256 items"],
        ),
        (instance(volumes=[without(DATA, "storage")]), ["spec.volumes[0].storage: Required value"]),
        (instance(volumes=[without(DATA, "mounts")]), ["spec.volumes[0].mounts: Required value"]),
        (instance(volumes=[{**DATA, "storage": "ten"}]), ["spec.volumes[0].storage: should match the pattern"]),
        (instance(volumes=[{**DATA, "storage": 1024}]), []),
    ],
)
def test_volumes(kind: Any, spec: Spec, expected: list[str]) -> None:
    assert violations(kind, spec) == expected


@INSTANCES
def test_overlays_of_claims_name_volumes(kind: Any) -> None:
    overlay = {"volumeClaims": [{"name": "data", "volumeClaim": {"metadata": {"labels": {"a": "b"}}}}]}
    unknown = {"volumeClaims": [{"name": "raft", "volumeClaim": {}}]}
    missing = "spec: overlay volumeClaims names must exist in volumes"
    assert violations(kind, instance(overlay=overlay)) == []
    assert violations(kind, instance(overlay=unknown)) == [missing]
    both = [missing, "spec: data volume must be configured"]
    assert violations(kind, instance(overlay=unknown, volumes=[])) == both


@pytest.mark.parametrize(
    ("old", "new", "accepted"),
    [(None, None, True), (None, "x", True), ("x", "y", True), ("x", None, False)],
)
def test_a_volume_attributes_class_stays_set(old: str | None, new: str | None, accepted: bool) -> None:
    def with_class(name: str | None) -> Spec:
        return instance(volumes=[DATA if name is None else {**DATA, "volumeAttributesClassName": name}])

    message = "spec.volumes[0]: VolumeAttributesClassName cannot be changed from non-nil to nil"
    assert violations(TiKV, with_class(new), with_class(old)) == ([] if accepted else [message])


def test_volumes_are_matched_by_name_not_by_position() -> None:
    classed = {**DATA, "name": "raft", "volumeAttributesClassName": "x"}
    assert violations(TiKV, instance(volumes=[DATA, classed]), instance(volumes=[classed, DATA])) == []


@INSTANCES
@pytest.mark.parametrize(
    "version",
    [
        "0.0.4",
        "1.0.0-alpha.beta.1",
        "2.0.0+build.1848",
        "v8.1.0",
        "1.2.3----RC-SNAPSHOT.12.9.1--.12+788",
        "99999999999999999999999.999999999999999999.99999999999999999",
    ],
)
def test_versions_that_are_semantic(kind: Any, version: str) -> None:
    assert violations(kind, instance(version=version)) == []


@INSTANCES
@pytest.mark.parametrize(
    "version", ["1", "1.2", "01.1.1", "1.2.3-0123", "1.2.3-", "1.2.3+", "vv1.2.3", "", "1.2.3.DEV", "latest"]
)
def test_versions_that_are_not_semantic(kind: Any, version: str) -> None:
    assert violations(kind, instance(version=version)) == ["spec.version: should match the pattern"]


@INSTANCES
@pytest.mark.parametrize(("key", "accepted"), [("pingcap.com/x", False), ("pingcap.com", True), ("a/b", True)])
def test_overlays_of_pods_keep_off_our_labels(kind: Any, key: str, accepted: bool) -> None:
    overlay = {"pod": {"metadata": {"labels": {key: "x"}, "annotations": {"pingcap.com/x": "y"}}}}
    message = "spec.overlay.pod.metadata: cannot overlay pod labels starting with 'pingcap.com/'"
    assert violations(kind, instance(overlay=overlay)) == ([] if accepted else [message])


@INSTANCES
@pytest.mark.parametrize(("config", "accepted"), [("Restart", True), ("HotReload", True), ("Other", False)])
def test_update_strategies(kind: Any, config: str, accepted: bool) -> None:
    assert (violations(kind, instance(updateStrategy={"config": config})) == []) is accepted


# --- status


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, []),
        ({"message": ""}, []),
        ({"reason": ""}, ["status.conditions[0].reason: should match the pattern"]),
        ({"reason": "not one word"}, ["status.conditions[0].reason: should match the pattern"]),
        ({"status": "Yes"}, ["status.conditions[0].status: Unsupported value"]),
        ({"observedGeneration": -1}, ["status.conditions[0].observedGeneration: should be greater than or equal to 0"]),
    ],
)
def test_conditions(change: Spec, expected: list[str]) -> None:
    condition = {
        "type": "Ready",
        "status": "True",
        "reason": "Ready",
        "message": "m",
        "lastTransitionTime": "2026-11-24T09:00:00Z",
        **change,
    }
    assert violations(TiKV, {**instance(), "status": {"conditions": [condition]}}) == expected
