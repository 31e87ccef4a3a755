"""The merge rule of every kind of field of a pod's spec, a row for each list and each struct that has a rule of its own."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from controller_runtime.api import to_builtins
from controller_runtime.api.k8s import Pod, PodSpec
from tikv_operator.api import PodOverlay
from tikv_operator.common.overlay import overlay_pod

Tree = dict[str, Any]


def merged(base: Tree, overlay: Tree) -> Tree:
    pod = Pod(spec=msgspec.convert({"containers": [], **base}, PodSpec))
    found: Tree = to_builtins(overlay_pod(pod, PodOverlay(spec=overlay)))["spec"]
    return found


def within(path: str, value: Any) -> Tree:
    """Return a pod's spec that has the value at a path; a name in brackets is that of a container or volume."""
    head, _, rest = path.partition(".")
    name, _, item = head.partition("[")
    inner = within(rest, value) if rest else value
    return {name: [{"name": item.rstrip("]"), **inner}]} if item else {name: inner}


def at(path: str, tree: Any) -> Any:
    for part in path.split("."):
        name, _, item = part.partition("[")
        tree = tree[name]
        if item:
            tree = next(found for found in tree if found["name"] == item.rstrip("]"))
    return tree


MAIN = "containers[tikv]"


@pytest.mark.parametrize(
    ("path", "base", "overlay", "expected"),
    [
        pytest.param("schedulerName", "a", "b", "b", id="a scalar"),
        pytest.param("schedulerName", "a", "", "a", id="an empty scalar"),
        pytest.param("hostNetwork", True, False, True, id="false"),
        pytest.param("terminationGracePeriodSeconds", 10, 20, 20, id="a pointer to a scalar"),
        pytest.param("terminationGracePeriodSeconds", 10, 0, 10, id="a pointer to zero"),
        pytest.param("shareProcessNamespace", None, False, False, id="a pointer to false where there is none"),
        pytest.param(
            "securityContext",
            {"runAsUser": 1, "fsGroup": 2},
            {"fsGroup": 3, "runAsGroup": 4},
            {"runAsUser": 1, "fsGroup": 3, "runAsGroup": 4},
            id="a struct",
        ),
        pytest.param("dnsConfig", None, {"searches": ["a"]}, {"searches": ["a"]}, id="a struct where there is none"),
        pytest.param(
            f"{MAIN}.resources.limits",
            {"cpu": "1", "memory": "2Gi"},
            {"cpu": "2"},
            {"cpu": "2", "memory": "2Gi"},
            id="a map",
        ),
        pytest.param(f"{MAIN}.resources.limits", {"cpu": "1"}, {"cpu": "2"}, {"cpu": "2"}, id="a quantity"),
        pytest.param("overhead", {"cpu": "1"}, {"memory": "1Gi"}, {"cpu": "1", "memory": "1Gi"}, id="the overhead"),
        pytest.param(
            "nodeSelector",
            {"zone": "a"},
            {"zone": "b", "disk": "ssd"},
            {"zone": "a", "disk": "ssd"},
            id="the node selector",
        ),
    ],
)
def test_a_field(path: str, base: Any, overlay: Any, expected: Any) -> None:
    found = merged({} if base is None else within(path, base), within(path, overlay))
    assert at(path, found) == expected


@pytest.mark.parametrize(
    ("path", "known", "same", "both", "new"),
    [
        pytest.param(
            "volumes",
            {"name": "a", "emptyDir": {}},
            {"name": "a", "emptyDir": {"medium": "Memory"}},
            {"name": "a", "emptyDir": {"medium": "Memory"}},
            {"name": "b", "emptyDir": {}},
            id="volumes by name",
        ),
        pytest.param(
            "containers",
            {"name": "a", "image": "x"},
            {"name": "a", "tty": True},
            {"name": "a", "image": "x", "tty": True},
            {"name": "b"},
            id="containers by name",
        ),
        pytest.param(
            "initContainers",
            {"name": "a", "image": "x"},
            {"name": "a", "tty": True},
            {"name": "a", "image": "x", "tty": True},
            {"name": "b"},
            id="initContainers by name",
        ),
        pytest.param(
            "ephemeralContainers",
            {"name": "a", "image": "x"},
            {"name": "a", "tty": True},
            {"name": "a", "image": "x", "tty": True},
            {"name": "b"},
            id="ephemeralContainers by name",
        ),
        pytest.param(
            f"{MAIN}.env",
            {"name": "A", "value": "1"},
            {"name": "A", "value": "2"},
            {"name": "A", "value": "2"},
            {"name": "B", "value": "3"},
            id="env by name",
        ),
        pytest.param(
            "imagePullSecrets",
            {"name": "a"},
            {"name": "a"},
            {"name": "a"},
            {"name": "b"},
            id="imagePullSecrets by name",
        ),
        pytest.param(
            "schedulingGates", {"name": "a"}, {"name": "a"}, {"name": "a"}, {"name": "b"}, id="schedulingGates by name"
        ),
        pytest.param(
            "resourceClaims",
            {"name": "a", "resourceClaimName": "x"},
            {"name": "a", "resourceClaimName": "y"},
            {"name": "a", "resourceClaimName": "y"},
            {"name": "b"},
            id="resourceClaims of the pod by name",
        ),
        pytest.param(
            f"{MAIN}.resources.claims",
            {"name": "a"},
            {"name": "a", "request": "r"},
            {"name": "a", "request": "r"},
            {"name": "b"},
            id="resource claims of a container by name",
        ),
        pytest.param(
            f"{MAIN}.ports",
            {"containerPort": 1, "protocol": "TCP", "name": "x"},
            {"containerPort": 1, "protocol": "TCP", "hostPort": 2},
            {"containerPort": 1, "protocol": "TCP", "name": "x", "hostPort": 2},
            {"containerPort": 1, "protocol": "UDP"},
            id="ports by number and protocol",
        ),
        pytest.param(
            f"{MAIN}.volumeMounts",
            {"mountPath": "/a", "name": "x"},
            {"mountPath": "/a", "name": "x", "readOnly": True},
            {"mountPath": "/a", "name": "x", "readOnly": True},
            {"mountPath": "/b", "name": "x"},
            id="volumeMounts by mountPath",
        ),
        pytest.param(
            f"{MAIN}.volumeDevices",
            {"devicePath": "/a", "name": "x"},
            {"devicePath": "/a", "name": "y"},
            {"devicePath": "/a", "name": "y"},
            {"devicePath": "/b", "name": "x"},
            id="volumeDevices by devicePath",
        ),
        pytest.param(
            "hostAliases",
            {"ip": "1.1.1.1", "hostnames": ["a"]},
            {"ip": "1.1.1.1", "hostnames": ["b"]},
            {"ip": "1.1.1.1", "hostnames": ["b"]},
            {"ip": "2.2.2.2", "hostnames": ["c"]},
            id="hostAliases by ip",
        ),
        pytest.param(
            "topologySpreadConstraints",
            {"topologyKey": "z", "whenUnsatisfiable": "DoNotSchedule", "maxSkew": 1},
            {"topologyKey": "z", "whenUnsatisfiable": "DoNotSchedule", "maxSkew": 2},
            {"topologyKey": "z", "whenUnsatisfiable": "DoNotSchedule", "maxSkew": 2},
            {"topologyKey": "z", "whenUnsatisfiable": "ScheduleAnyway", "maxSkew": 1},
            id="topologySpreadConstraints by key and effect",
        ),
    ],
)
def test_a_list_whose_items_have_an_identity(path: str, known: Tree, same: Tree, both: Tree, new: Tree) -> None:
    """The item that is known is merged and keeps its place; a new one goes to the end."""
    found = merged(within(path, [known]), within(path, [new, same]))
    assert at(path, found) == [both, new]


@pytest.mark.parametrize(
    ("path", "item", "other"),
    [
        pytest.param(f"{MAIN}.command", "a", "b", id="command"),
        pytest.param(f"{MAIN}.args", "a", "b", id="args"),
        pytest.param(f"{MAIN}.envFrom", {"configMapRef": {"name": "a"}}, {"configMapRef": {"name": "b"}}, id="envFrom"),
        pytest.param("tolerations", {"key": "a"}, {"key": "b"}, id="tolerations"),
        pytest.param("readinessGates", {"conditionType": "a"}, {"conditionType": "b"}, id="readinessGates"),
        pytest.param("dnsConfig.nameservers", "1.1.1.1", "2.2.2.2", id="dnsConfig.nameservers"),
        pytest.param("dnsConfig.searches", "a", "b", id="dnsConfig.searches"),
        pytest.param("dnsConfig.options", {"name": "a"}, {"name": "b"}, id="dnsConfig.options"),
        pytest.param(f"{MAIN}.securityContext.capabilities.add", "A", "B", id="capabilities.add"),
        pytest.param(f"{MAIN}.securityContext.capabilities.drop", "A", "B", id="capabilities.drop"),
        pytest.param("securityContext.sysctls", {"name": "a", "value": "1"}, {"name": "b", "value": "2"}, id="sysctls"),
        pytest.param("securityContext.supplementalGroups", 1, 2, id="supplementalGroups"),
        pytest.param(
            "affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution",
            {"weight": 1, "preference": {"matchExpressions": [{"key": "a", "operator": "Exists"}]}},
            {"weight": 2, "preference": {"matchExpressions": [{"key": "b", "operator": "Exists"}]}},
            id="preferred terms of nodeAffinity",
        ),
        *(
            pytest.param(
                f"affinity.{affinity}.requiredDuringSchedulingIgnoredDuringExecution",
                {"topologyKey": "a"},
                {"topologyKey": "b"},
                id=f"required terms of {affinity}",
            )
            for affinity in ("podAffinity", "podAntiAffinity")
        ),
        *(
            pytest.param(
                f"affinity.{affinity}.preferredDuringSchedulingIgnoredDuringExecution",
                {"weight": 1, "podAffinityTerm": {"topologyKey": "a"}},
                {"weight": 2, "podAffinityTerm": {"topologyKey": "b"}},
                id=f"preferred terms of {affinity}",
            )
            for affinity in ("podAffinity", "podAntiAffinity")
        ),
        pytest.param(
            f"{MAIN}.resizePolicy",
            {"resourceName": "cpu", "restartPolicy": "NotRequired"},
            {"resourceName": "memory", "restartPolicy": "RestartContainer"},
            id="resizePolicy",
        ),
        pytest.param(
            f"{MAIN}.livenessProbe.httpGet.httpHeaders",
            {"name": "a", "value": "1"},
            {"name": "b", "value": "2"},
            id="httpHeaders",
        ),
        pytest.param(
            "volumes[v].projected.sources", {"secret": {"name": "a"}}, {"secret": {"name": "b"}}, id="projected.sources"
        ),
        pytest.param(
            "volumes[v].configMap.items", {"key": "a", "path": "a"}, {"key": "b", "path": "b"}, id="configMap.items"
        ),
        pytest.param(
            "volumes[v].secret.items", {"key": "a", "path": "a"}, {"key": "b", "path": "b"}, id="secret.items"
        ),
    ],
)
def test_a_list_that_is_replaced_as_a_whole(path: str, item: Any, other: Any) -> None:
    needed = {"port": 1} if path.endswith("httpHeaders") else {}
    base = within(path, [item, item])
    if needed:
        at(path.rpartition(".")[0], base).update(needed)
    assert at(path, merged(base, within(path, [other]))) == [other]
    assert at(path, merged(base, {})) == [item, item]


def source(kind: str, **reference: Any) -> Tree:
    return within(f"{MAIN}.env", [{"name": "A", "valueFrom": {kind: reference}}])


@pytest.mark.parametrize(
    ("path", "base", "overlay"),
    [
        pytest.param(
            "configMapKeyRef",
            {"name": "a", "key": "x", "optional": True},
            {"name": "b", "key": "y"},
            id="configMapKeyRef",
        ),
        pytest.param(
            "secretKeyRef", {"name": "a", "key": "x", "optional": True}, {"name": "b", "key": "y"}, id="secretKeyRef"
        ),
        pytest.param("fieldRef", {"fieldPath": "a", "apiVersion": "v1"}, {"fieldPath": "b"}, id="fieldRef"),
        pytest.param(
            "resourceFieldRef",
            {"resource": "limits.cpu", "containerName": "a"},
            {"resource": "limits.memory"},
            id="resourceFieldRef",
        ),
        pytest.param(
            "affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution",
            {"nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "Exists"}]}]},
            {"nodeSelectorTerms": [{"matchFields": [{"key": "b", "operator": "Exists"}]}]},
            id="a node selector",
        ),
        pytest.param(
            "volumes[v].ephemeral.volumeClaimTemplate.spec.dataSource",
            {"kind": "VolumeSnapshot", "name": "a", "apiGroup": "x"},
            {"kind": "PersistentVolumeClaim", "name": "b"},
            id="a typed reference",
        ),
        pytest.param(
            "volumes[v].ephemeral.volumeClaimTemplate.spec.selector",
            {"matchLabels": {"a": "1"}},
            {"matchLabels": {"b": "2"}},
            id="a label selector",
        ),
    ],
)
def test_a_struct_that_is_replaced_as_a_whole(path: str, base: Tree, overlay: Tree) -> None:
    if "." in path:
        assert at(path, merged(within(path, base), within(path, overlay))) == overlay
    else:
        (found,) = at(f"{MAIN}.env", merged(source(path, **base), source(path, **overlay)))
        assert found["valueFrom"][path] == overlay


def test_the_selector_of_a_spread_constraint_is_replaced_as_a_whole() -> None:
    def constraint(**labels: str) -> Tree:
        selector = {"matchLabels": labels}
        return {"topologyKey": "z", "whenUnsatisfiable": "DoNotSchedule", "maxSkew": 1, "labelSelector": selector}

    found = merged(
        {"topologySpreadConstraints": [constraint(a="1")]}, {"topologySpreadConstraints": [constraint(b="2")]}
    )
    assert found["topologySpreadConstraints"] == [constraint(b="2")]


@pytest.mark.parametrize(
    ("path", "base", "overlay", "expected"),
    [
        pytest.param(
            f"{MAIN}.ports",
            [{"name": "client", "containerPort": 20160}],
            [{"name": "other", "containerPort": 20160, "protocol": "TCP"}],
            [{"name": "other", "containerPort": 20160, "protocol": "TCP"}],
            id="a port without a protocol: one port here, two there",
        ),
        pytest.param(
            "volumes",
            [{"name": "ti-config", "configMap": {"name": "cm"}}],
            [{"name": "ti-config", "emptyDir": {}}],
            [{"name": "ti-config", "emptyDir": {}}],
            id="another source of a volume: one source here, two there",
        ),
        pytest.param("hostNetwork", True, False, True, id="zero values can't be set"),
        pytest.param(
            "volumes",
            [{"name": "v", "configMap": {"name": "cm"}}],
            [{"name": "v", "configMap": {"defaultMode": 420}}],
            [{"name": "v", "configMap": {"name": "cm", "defaultMode": 420}}],
            id="a reference without a name: kept here, emptied there",
        ),
    ],
)
def test_a_trap(path: str, base: Any, overlay: Any, expected: Any) -> None:
    assert at(path, merged(within(path, base), within(path, overlay))) == expected
