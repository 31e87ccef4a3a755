"""The embedded server enforces the operator's own CRDs as a real one does."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest
import yaml

from helpers.apiserver import Reply, Server

CONFIG = Path(__file__).parents[4] / "config" / "crd"
BASE = "/apis/core.pingcap.com/v1alpha1/namespaces/default"


@functools.cache
def definitions() -> list[dict[str, Any]]:
    files = [CONFIG / f"core.pingcap.com_{plural}.yaml" for plural in ("clusters", "tikvs")]
    return [yaml.load(path.read_text(), yaml.CSafeLoader) for path in files]


V1 = "core.pingcap.com/v1alpha1"


@pytest.fixture
def server() -> Server:
    return Server(*definitions())


def cluster(spec: Any, name: str = "c") -> dict[str, Any]:
    return {"apiVersion": V1, "kind": "Cluster", "metadata": {"name": name}, "spec": spec}


def tikv(**changes: Any) -> dict[str, Any]:
    spec = {
        "cluster": {"name": "c"},
        "subdomain": "s",
        "version": "v8.1.0",
        "volumes": [{"name": "data", "mounts": [{"type": "data"}], "storage": "1Gi"}],
    }
    spec.update(changes)
    set_values = {name: value for name, value in spec.items() if value is not None}
    return {"apiVersion": V1, "kind": "TiKV", "metadata": {"name": "t"}, "spec": set_values}


def outcome(reply: Reply) -> list[str]:
    if reply.status < 300:
        return []
    return [f"{cause['field']}: {cause['message']}" for cause in reply.body["details"]["causes"]]


def update(server: Server, path: str, body: Any) -> list[str]:
    server.ok("POST", path, body[0])
    name = body[0]["metadata"]["name"]
    live = server.ok("GET", f"{path}/{name}")
    return outcome(server("PUT", f"{path}/{name}", {**live, "spec": body[1]["spec"]}))


TLS = "spec: Invalid value: tlsCluster is immutable"
GATE = "only enable FeatureModification if it's not enabled"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"tlsCluster": {"enabled": True}}, {"tlsCluster": {"enabled": True}}, []),
        ({"tlsCluster": {"enabled": False}}, {"tlsCluster": {"enabled": True}}, [TLS]),
        ({}, {"tlsCluster": {"enabled": True}}, [TLS]),
        ({"tlsCluster": {"enabled": True}}, {}, [TLS]),
        ({"bootstrapSQL": {"name": "a"}}, {}, []),
        (
            {},
            {"bootstrapSQL": {"name": "a"}},
            [
                "spec: Invalid value: bootstrapSQL can only be set at creation, can be unset, but cannot be "
                "changed to a different value"
            ],
        ),
        (
            {"featureGates": [{"name": "VolumeAttributesClass"}]},
            {"featureGates": [{"name": "DisablePDDefaultReadinessProbe"}]},
            [f"spec.featureGates: Invalid value: can {GATE}"],
        ),
        (
            {"featureGates": [{"name": "VolumeAttributesClass"}, {"name": "FeatureModification"}]},
            {"featureGates": [{"name": "VolumeAttributesClass"}]},
            ["spec.featureGates: Invalid value: cannot disable FeatureModification"],
        ),
    ],
)
def test_transitions_of_a_cluster(server: Server, old: Any, new: Any, expected: list[str]) -> None:
    assert update(server, f"{BASE}/clusters", (cluster(old), cluster(new))) == expected


@pytest.mark.parametrize(("length", "expected"), [(37, []), (38, ["<nil>: Invalid value"])])
def test_names_of_clusters_are_bounded(server: Server, length: int, expected: list[str]) -> None:
    found = outcome(server("POST", f"{BASE}/clusters", cluster({}, "x" * length)))
    assert [text[:20] for text in found] == expected
    if found:
        assert found == ["<nil>: Invalid value: name must not exceed 37 characters"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"topology": {"zone": "a"}}, []),
        (
            {"topology": {}},
            ["spec.topology: Invalid value: 0: spec.topology in body should have at least 1 properties"],
        ),
        ({"cluster": {}}, ["spec.cluster.name: Required value"]),
        ({"volumes": None}, ["spec.volumes: Required value"]),
        ({"volumes": []}, ["spec: Invalid value: data volume must be configured"]),
        (
            {"server": {"labels": {"k/tikvgroup": "x"}}},
            ["spec.server.labels: Invalid value: labels cannot contain keys with 'k/' or '$k/' prefix"],
        ),
        (
            {"overlay": {"volumeClaims": [{"name": "other", "volumeClaim": {}}]}},
            ["spec: Invalid value: overlay volumeClaims names must exist in volumes"],
        ),
        (
            {"overlay": {"pod": {"metadata": {"labels": {"pingcap.com/x": "y"}}}}},
            ["spec.overlay.pod.metadata: Invalid value: cannot overlay pod labels starting with 'pingcap.com/'"],
        ),
        ({"replicas": 2}, ["spec.replicas: Invalid value: 2: spec.replicas in body should be less than or equal to 1"]),
    ],
)
def test_creation_of_a_tikv(server: Server, changes: Any, expected: list[str]) -> None:
    found = outcome(server("POST", f"{BASE}/tikvs", tikv(**changes)))
    assert [text for text in found if "some validation rules were not checked" not in text] == expected


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"topology": {"z": "a"}}, {"topology": {"z": "a"}}, []),
        ({"topology": {"z": "a"}}, {"topology": {"z": "b"}}, ["topology is immutable"]),
        ({"topology": {"z": "a"}}, {}, ["topology can only be set when creating"]),
        ({}, {"topology": {"z": "a"}}, ["topology can only be set when creating"]),
        ({"subdomain": "s"}, {"subdomain": "t"}, ["subdomain is immutable"]),
        ({}, {"cluster": {"name": "d"}}, ["cluster name is immutable"]),
        ({}, {"version": "v8.2.0"}, []),
        (
            {"volumes": [{"name": "data", "mounts": [], "storage": "1Gi", "volumeAttributesClassName": "x"}]},
            {"volumes": [{"name": "data", "mounts": [], "storage": "1Gi"}]},
            ["VolumeAttributesClassName cannot be changed from non-nil to nil"],
        ),
    ],
)
def test_transitions_of_a_tikv(server: Server, old: Any, new: Any, expected: list[str]) -> None:
    found = update(server, f"{BASE}/tikvs", (tikv(**old), tikv(**new)))
    assert [text.rpartition(": ")[2] for text in found] == expected


@pytest.mark.parametrize("good", ["0.0.4", "1.0.0-alpha.beta.1", "2.0.0+build.1848", "v8.1.0"])
def test_versions_that_are_semantic_are_accepted(server: Server, good: str) -> None:
    assert outcome(server("POST", f"{BASE}/tikvs", tikv(version=good))) == []


@pytest.mark.parametrize("bad", ["1", "1.2", "01.1.1", "1.2.3-0123", "1.2.3-", "1.2.3+", "vv1.2.3", "", "1.2.3.DEV"])
def test_versions_that_are_not_are_refused(server: Server, bad: str) -> None:
    [text] = outcome(server("POST", f"{BASE}/tikvs", tikv(version=bad)))
    assert "spec.version in body should match" in text


def test_the_summary_names_the_object_and_every_field(server: Server) -> None:
    reply = server("POST", f"{BASE}/tikvs", tikv(cluster={}, version="1"))
    assert reply.message.startswith('TiKV.core.pingcap.com "t" is invalid: [')
    assert "spec.cluster.name: Required value" in reply.message


def test_defaults_are_the_servers(server: Server) -> None:
    created = server.ok("POST", f"{BASE}/tikvs", tikv(updateStrategy={}))
    assert created["spec"]["updateStrategy"] == {"config": "Restart"}
    assert created["spec"]["replicas"] == 1
