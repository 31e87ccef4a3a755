"""What the CRDs accept and refuse, case by case: the cases of TiDB Operator's own API, and their messages."""

from __future__ import annotations

from typing import Any

import pytest

from controller_runtime.api.crd import custom_resource_definition
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
        pytest.param(None, ON, [], id="created on"),
        pytest.param(None, OFF, [], id="created off"),
        pytest.param(OFF, ON, TLS_IMMUTABLE, id="off to on"),
        pytest.param(ON, OFF, TLS_IMMUTABLE, id="on to off"),
        pytest.param(NONE, ON, TLS_IMMUTABLE, id="none to on"),
        pytest.param(ON, NONE, TLS_IMMUTABLE, id="on to none"),
        pytest.param(ON, ON, [], id="stays on"),
        pytest.param(OFF, OFF, [], id="stays off"),
        pytest.param(NONE, NONE, [], id="stays none"),
        pytest.param(EMPTY, OFF, [], id="empty to off"),
        pytest.param(EMPTY, ON, TLS_IMMUTABLE, id="empty to on"),
    ],
)
def test_tls_of_a_cluster_is_immutable(old: Spec | None, new: Spec, expected: list[str]) -> None:
    assert violations(Cluster, new, old) == expected


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param(None, SQL_A, [], id="created with it"),
        pytest.param(None, NONE, [], id="created without"),
        pytest.param(SQL_A, SQL_A, [], id="stays"),
        pytest.param(SQL_A, NONE, [], id="unset"),
        pytest.param(NONE, NONE, [], id="stays unset"),
        pytest.param(SQL_A, SQL_B, SQL_SET_ONCE, id="changed"),
        pytest.param(NONE, SQL_A, SQL_SET_ONCE, id="set later"),
    ],
)
def test_bootstrap_sql_is_set_at_creation_or_never(old: Spec | None, new: Spec, expected: list[str]) -> None:
    assert violations(Cluster, new, old) == expected


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param(None, gates(), [], id="created with none"),
        pytest.param(None, gates(VAC), [], id="created with one"),
        pytest.param(None, gates(VAC, FM), [], id="created changeable"),
        pytest.param(gates(), gates(), [], id="stays empty"),
        pytest.param(gates(VAC), gates(VAC), [], id="stays"),
        pytest.param(gates(VAC, FM), gates(VAC, FM), [], id="stays changeable"),
        pytest.param(gates(VAC, FM), gates(OTHER, FM), [], id="exchanged, changeable"),
        pytest.param(gates(VAC, FM), gates(FM), [], id="removed, changeable"),
        pytest.param(gates(FM), gates(VAC, FM), [], id="added, changeable"),
        pytest.param(gates(VAC), gates(VAC, FM), [], id="becomes changeable"),
        pytest.param(gates(VAC), gates(OTHER), ONLY_ENABLE_FM, id="exchanged"),
        pytest.param(gates(VAC), gates(OTHER, FM), ONLY_ENABLE_FM, id="exchanged on becoming changeable"),
        pytest.param(gates(VAC, FM), gates(VAC), KEEP_FM, id="no longer changeable"),
        pytest.param(NONE, gates(VAC), [], id="the list appears"),
        pytest.param(gates(VAC), NONE, [], id="the list goes"),
        pytest.param(None, gates("Unheard"), ["spec.featureGates[0].name: Unsupported value"], id="unknown"),
    ],
)
def test_features_change_only_with_feature_modification(old: Spec | None, new: Spec, expected: list[str]) -> None:
    assert violations(Cluster, new, old) == expected


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        pytest.param(
            {"revisionHistoryLimit": -1},
            ["spec.revisionHistoryLimit: should be greater than or equal to 0"],
            id="revisionHistoryLimit -1",
        ),
        pytest.param({"revisionHistoryLimit": 0}, [], id="revisionHistoryLimit 0"),
        pytest.param({"dns": {"mode": "FQDN"}}, [], id="dns.mode FQDN"),
        pytest.param({"dns": {"mode": "InCluster"}}, [], id="dns.mode InCluster"),
        pytest.param({"dns": {"mode": "Other"}}, ["spec.dns.mode: Unsupported value"], id="dns.mode of another name"),
        pytest.param({"upgradePolicy": "whatever"}, [], id="any upgradePolicy"),
        pytest.param({"suspendAction": {}}, [], id="a suspendAction that says nothing"),
    ],
)
def test_other_settings_of_a_cluster(spec: Spec, expected: list[str]) -> None:
    assert violations(Cluster, cluster(**spec)) == expected


# --- names

LIMITS = [
    pytest.param(Cluster, cluster(), 37, id="Cluster"),
    pytest.param(TiKVGroup, group(), 40, id="TiKVGroup"),
    pytest.param(PDGroup, group(), 40, id="PDGroup"),
    pytest.param(TiKV, instance(), 47, id="TiKV"),
    pytest.param(PD, instance(), 47, id="PD"),
]


@pytest.mark.parametrize(("kind", "valid", "limit"), LIMITS)
def test_names_leave_room_for_what_is_appended(kind: Any, valid: Spec, limit: int) -> None:
    assert violations(kind, named(valid, "x" * limit)) == []
    assert violations(kind, named(valid, "x" * (limit + 1))) == [f": name must not exceed {limit} characters"]


# --- groups

GROUPS = pytest.mark.parametrize("kind", [TiKVGroup, PDGroup])


def waiting(seconds: int | None) -> Spec:
    return group() if seconds is None else group(minReadySeconds=seconds)


@GROUPS
@pytest.mark.parametrize(
    ("old", "new", "accepted"),
    [
        pytest.param("none", None, True, id="created without"),
        pytest.param("none", 0, True, id="created with 0"),
        pytest.param("none", 10, True, id="created with 10"),
        pytest.param("none", 3600, True, id="created with 3600"),
        pytest.param("none", -1, False, id="created with -1"),
        pytest.param("none", -100, False, id="created with -100"),
        pytest.param(None, 10, True, id="set to 10"),
        pytest.param(10, 0, True, id="10 to 0"),
        pytest.param(0, 3600, True, id="0 to 3600"),
        pytest.param(10, None, True, id="unset"),
        pytest.param(10, -1, False, id="10 to -1"),
    ],
)
def test_min_ready_seconds_is_not_negative(kind: Any, old: Any, new: int | None, accepted: bool) -> None:
    found = violations(kind, waiting(new), None if old == "none" else waiting(old))
    assert found == ([] if accepted else ["spec.minReadySeconds: should be greater than or equal to 0"])


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
        pytest.param([{"topology": {"zone": "a"}}], [], id="a place"),
        pytest.param([{"topology": {"zone": "a"}, "weight": 2}], [], id="a weight"),
        pytest.param(
            [{"topology": {"zone": "a"}, "weight": 0}],
            ["spec.schedulePolicies[0].evenlySpread.topologies[0].weight: should be greater than or equal to 1"],
            id="a weight of 0",
        ),
        pytest.param(
            [{"topology": {}}],
            ["spec.schedulePolicies[0].evenlySpread.topologies[0].topology: should have at least 1 properties"],
            id="a place without labels",
        ),
        pytest.param(
            [{}], ["spec.schedulePolicies[0].evenlySpread.topologies[0].topology: Required value"], id="no place"
        ),
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

NOT_SCALED = "spec: replicas cannot be changed when bootstrapped is false"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param(None, {"bootstrapped": True}, [], id="created bootstrapped"),
        pytest.param({"bootstrapped": False}, {"bootstrapped": True}, [], id="false to true"),
        pytest.param(
            {"bootstrapped": True},
            {"bootstrapped": False},
            ["spec.bootstrapped: bootstrapped cannot be changed from true to false"],
            id="true to false",
        ),
        pytest.param({"bootstrapped": True}, {}, [], id="unset"),
        pytest.param({"bootstrapped": True}, {"bootstrapped": True, "replicas": 5}, [], id="scaled"),
        pytest.param({}, {"bootstrapped": True, "replicas": 5}, [], id="scaled on becoming bootstrapped"),
        pytest.param({}, {"replicas": 5}, [NOT_SCALED], id="scaled, absent"),
        pytest.param({"bootstrapped": False}, {"bootstrapped": False, "replicas": 5}, [NOT_SCALED], id="scaled, false"),
        pytest.param({}, {}, [], id="unchanged"),
    ],
)
def test_a_pd_group_scales_once_it_is_bootstrapped(old: Spec | None, new: Spec, expected: list[str]) -> None:
    assert violations(PDGroup, group(**new), None if old is None else group(**old)) == expected


# --- instances

INSTANCES = pytest.mark.parametrize("kind", [TiKV, PD])
NO_DATA = "spec: data volume must be configured"
SET_AT_CREATION = ["spec.topology: topology can only be set when creating"]


@INSTANCES
@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param(None, {"topology": {"aaa": "bbb"}}, [], id="created with one"),
        pytest.param(
            None, {"topology": {}}, ["spec.topology: should have at least 1 properties"], id="created with an empty one"
        ),
        pytest.param({"topology": {"a": "b"}}, {"topology": {"a": "b"}}, [], id="stays"),
        pytest.param(
            {"topology": {"a": "b"}}, {"topology": {"a": "c"}}, ["spec.topology: topology is immutable"], id="changed"
        ),
        pytest.param({}, {"topology": {"a": "b"}}, SET_AT_CREATION, id="set later"),
        pytest.param({"topology": {"a": "b"}}, {}, SET_AT_CREATION, id="unset later"),
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
        pytest.param(
            without(instance(), "spec", "volumes"), ["spec.volumes: Required value", NO_DATA], id="no list of volumes"
        ),
        pytest.param(instance(volumes=[]), [NO_DATA], id="no volume"),
        pytest.param(instance(volumes=[{**DATA, "name": "raft"}]), [NO_DATA], id="a data mount in another volume"),
        pytest.param(instance(volumes=[DATA, {**DATA, "name": "raft"}]), [], id="two volumes"),
        pytest.param(
            instance(volumes=[DATA] + [{**DATA, "name": f"v{number}"} for number in range(256)]),
            ["spec.volumes: must have at most 256 items"],
            id="257 volumes",
        ),
        pytest.param(
            instance(volumes=[without(DATA, "storage")]), ["spec.volumes[0].storage: Required value"], id="no size"
        ),
        pytest.param(
            instance(volumes=[without(DATA, "mounts")]), ["spec.volumes[0].mounts: Required value"], id="no mounts"
        ),
        pytest.param(
            instance(volumes=[{**DATA, "storage": "ten"}]),
            ["spec.volumes[0].storage: should match the pattern"],
            id="a size that is none",
        ),
        pytest.param(instance(volumes=[{**DATA, "storage": 1024}]), [], id="a size as a number"),
    ],
)
def test_volumes(kind: Any, spec: Spec, expected: list[str]) -> None:
    assert violations(kind, spec) == expected


def claims(*names: str) -> Spec:
    return {"volumeClaims": [{"name": name, "volumeClaim": {"metadata": {"labels": {"a": "b"}}}} for name in names]}


NO_VOLUME = "spec: overlay volumeClaims names must exist in volumes"
MANY = [DATA, *({**DATA, "name": f"v{number}"} for number in range(255))]


@INSTANCES
@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        pytest.param(instance(overlay=claims("data")), [], id="of a volume"),
        pytest.param(instance(overlay=claims("raft")), [NO_VOLUME], id="of none"),
        pytest.param(instance(overlay=claims("raft"), volumes=[]), [NO_VOLUME, NO_DATA], id="without any volume"),
        pytest.param(
            instance(overlay=claims(*(volume["name"] for volume in MANY), "data"), volumes=MANY),
            ["spec.overlay.volumeClaims: must have at most 256 items"],
            id="257 of them",
        ),
    ],
)
def test_overlays_of_claims_name_volumes(kind: Any, spec: Spec, expected: list[str]) -> None:
    assert violations(kind, spec) == expected


@pytest.mark.parametrize(
    ("old", "new", "accepted"),
    [
        pytest.param(None, None, True, id="stays unset"),
        pytest.param(None, "x", True, id="set"),
        pytest.param("x", "y", True, id="changed"),
        pytest.param("x", None, False, id="unset"),
    ],
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


@pytest.mark.parametrize("new", ["ms", "", None], ids=["to ms", "to nothing said", "to none"])
@pytest.mark.parametrize(
    "old", ["created", None, "", "ms"], ids=["created", "from none", "from nothing said", "from ms"]
)
def test_the_mode_of_a_pd_may_change(old: str | None, new: str | None) -> None:
    def in_mode(mode: str | None) -> Spec:
        return instance() if mode is None else instance(mode=mode)

    assert violations(PD, in_mode(new), None if old == "created" else in_mode(old)) == []


@pytest.mark.parametrize(
    ("spec", "missing"),
    [
        pytest.param({"server": {"ports": {"client": {}}}}, "server.ports.client.port", id="a client port"),
        pytest.param({"server": {"ports": {"peer": {}}}}, "server.ports.peer.port", id="a status port"),
        pytest.param({"remoteWorkers": {}}, "remoteWorkers.worker", id="remote workers"),
        pytest.param(
            {"overlay": {"volumeClaims": [{"name": "data"}]}}, "overlay.volumeClaims[0].volumeClaim", id="an overlay"
        ),
    ],
)
def test_what_a_part_of_a_template_must_say(spec: Spec, missing: str) -> None:
    assert f"spec.{missing}: Required value" in violations(TiKV, instance(**spec))
    assert f"spec.template.spec.{missing}: Required value" in violations(TiKVGroup, group(spec))


# --- status


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param({}, [], id="as it should be"),
        pytest.param({"message": ""}, [], id="no message"),
        pytest.param({"status": "Unknown"}, [], id="Unknown"),
        pytest.param({"reason": ""}, ["status.conditions[0].reason: should match the pattern"], id="no reason"),
        pytest.param(
            {"reason": "not one word"}, ["status.conditions[0].reason: should match the pattern"], id="reason of words"
        ),
        pytest.param({"status": "Yes"}, ["status.conditions[0].status: Unsupported value"], id="another status"),
        pytest.param(
            {"observedGeneration": -1},
            ["status.conditions[0].observedGeneration: should be greater than or equal to 0"],
            id="a negative generation",
        ),
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


@pytest.mark.parametrize("field", ["lastTransitionTime", "message", "reason", "status", "type"])
def test_what_every_condition_must_say(field: str) -> None:
    spec = custom_resource_definition(TiKV)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    condition = spec["properties"]["status"]["properties"]["conditions"]["items"]
    assert field in condition["required"]


@pytest.mark.parametrize(
    ("field", "limit"),
    [
        pytest.param("reason", {"minLength": 1, "maxLength": 1024}, id="reason"),
        pytest.param("message", {"maxLength": 32768}, id="message"),
        pytest.param("type", {"maxLength": 316}, id="type"),
    ],
)
def test_how_long_the_words_of_a_condition_may_be(field: str, limit: dict[str, int]) -> None:
    spec = custom_resource_definition(TiKV)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    schema = spec["properties"]["status"]["properties"]["conditions"]["items"]["properties"][field]
    assert {name: schema.get(name) for name in limit} == limit
