"""The CRDs in config/crd are generated from the types, and say what TiDB Operator's users expect of each kind."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from controller_runtime.api import Object, decode, encode
from helpers.crd_check import violations
from tikv_operator.api import KINDS
from tikv_operator.api.manifests import crd_manifests

REPOSITORY = Path(__file__).parents[4]
CRDS = REPOSITORY / "config" / "crd"
SAMPLE = REPOSITORY / "config" / "samples" / "basic"


@functools.cache
def manifests() -> dict[str, str]:
    return crd_manifests()


@functools.cache
def read_manifests() -> dict[str, Any]:
    """The committed manifests by their files' names; libyaml reads a megabyte of YAML ten times as fast as Python."""
    return {name: yaml.load((CRDS / name).read_text(), yaml.CSafeLoader) for name in sorted(manifests())}


@functools.cache
def definitions() -> dict[str, Any]:
    return {found["spec"]["names"]["kind"]: found["spec"] for found in read_manifests().values()}


def test_committed_manifests_are_what_the_types_say() -> None:
    committed = {path.name: path.read_text() for path in CRDS.glob("core.pingcap.com_*.yaml")}
    assert committed == manifests(), "run `make manifests`"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_plain_kubectl_apply_can_keep_a_manifest_in_its_annotation(kind: type[Object]) -> None:
    """`kubectl apply` notes what it was given in an annotation, as JSON; all annotations together may have 256 KiB."""
    name = f"{kind.resource.group}_{kind.resource.plural}.yaml"
    assert len(encode(read_manifests()[name])) < 128 * 1024


def test_the_kustomization_lists_every_manifest() -> None:
    assert yaml.safe_load((CRDS / "kustomization.yaml").read_text())["resources"] == sorted(manifests())


def test_manifests_have_no_aliases() -> None:
    assert all("&id0" not in text for text in manifests().values())


BY_SELECTOR = {"labelSelectorPath": ".status.selector"}


@pytest.mark.parametrize(
    ("kind", "short_names", "categories", "subresources"),
    [
        pytest.param("Cluster", None, None, {"status": {}}, id="Cluster"),
        pytest.param("TiKVGroup", ["kvg"], ["group"], {"status": {}, "scale": {**BY_SELECTOR}}, id="TiKVGroup"),
        pytest.param("PDGroup", ["pdg"], ["group"], {"status": {}, "scale": {**BY_SELECTOR}}, id="PDGroup"),
        pytest.param("TiKV", None, ["instance"], {"status": {}, "scale": {}}, id="TiKV"),
        pytest.param("PD", None, ["instance"], {"status": {}, "scale": {}}, id="PD"),
    ],
)
def test_names_and_subresources(
    kind: str, short_names: list[str] | None, categories: list[str] | None, subresources: dict[str, Any]
) -> None:
    if "scale" in subresources:
        subresources["scale"] |= {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}
    spec = definitions()[kind]
    assert spec["names"].get("shortNames") == short_names
    assert spec["names"].get("categories") == categories
    assert spec["versions"][0]["subresources"] == subresources


def test_objects_of_a_cluster_can_be_selected_by_its_name() -> None:
    for kind, spec in definitions().items():
        fields = spec["versions"][0].get("selectableFields")
        assert fields == (None if kind == "Cluster" else [{"jsonPath": ".spec.cluster.name"}])


@pytest.mark.parametrize(
    ("kind", "plural", "singular", "list_kind"),
    [
        pytest.param("Cluster", "clusters", "cluster", "ClusterList", id="Cluster"),
        pytest.param("TiKVGroup", "tikvgroups", "tikvgroup", "TiKVGroupList", id="TiKVGroup"),
        pytest.param("TiKV", "tikvs", "tikv", "TiKVList", id="TiKV"),
        pytest.param("PDGroup", "pdgroups", "pdgroup", "PDGroupList", id="PDGroup"),
        pytest.param("PD", "pds", "pd", "PDList", id="PD"),
    ],
)
def test_what_a_kind_is_called(kind: str, plural: str, singular: str, list_kind: str) -> None:
    names = definitions()[kind]["names"]
    assert (names["plural"], names["singular"], names["listKind"]) == (plural, singular, list_kind)
    assert definitions()[kind]["scope"] == "Namespaced"


# What the API server fills in, by the path of the field; `[]` stands for the items of a list.
TIKV_DEFAULTS = {
    "updateStrategy.config": "Restart",
    "remoteWorkers.worker.name": "",
    "remoteWorkers.coprocessor.name": "",
    "remoteWorkers.compactor.name": "",
}
PD_DEFAULTS = {"updateStrategy.config": "Restart"}


def below(prefix: str, defaults: dict[str, Any]) -> dict[str, Any]:
    return {f"{prefix}.{path}": value for path, value in defaults.items()}


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        pytest.param(
            "Cluster",
            {
                "spec.bootstrapSQL.name": "",
                "spec.dns.mode": "InCluster",
                "spec.dns.clusterDomain": "cluster.local",
                "spec.security.sessionTokenSigningCertKeyPair.name": "",
            },
            id="Cluster",
        ),
        pytest.param("TiKVGroup", below("spec.template.spec", TIKV_DEFAULTS), id="TiKVGroup"),
        pytest.param("TiKV", {"spec.replicas": 1} | below("spec", TIKV_DEFAULTS), id="TiKV"),
        pytest.param("PDGroup", below("spec.template.spec", PD_DEFAULTS), id="PDGroup"),
        pytest.param("PD", {"spec.replicas": 1} | below("spec", PD_DEFAULTS), id="PD"),
    ],
)
def test_what_the_api_server_fills_in(kind: str, expected: dict[str, Any]) -> None:
    schema = definitions()[kind]["versions"][0]["schema"]["openAPIV3Schema"]
    found = {path: value for path, value in defaults_of(schema, "") if ".overlay." not in path}
    assert found == expected


def defaults_of(schema: dict[str, Any], path: str) -> Iterator[tuple[str, Any]]:
    if "default" in schema:
        yield path, schema["default"]
    for name, inner in schema.get("properties", {}).items():
        yield from defaults_of(inner, f"{path}.{name}" if path else name)
    if "items" in schema:
        yield from defaults_of(schema["items"], f"{path}[]")


@pytest.mark.parametrize(
    ("kind", "required"),
    [
        pytest.param("TiKV", ["cluster", "subdomain", "version", "volumes"], id="TiKV"),
        pytest.param("PD", ["cluster", "subdomain", "version", "volumes"], id="PD"),
        pytest.param("TiKVGroup", ["cluster", "replicas", "template"], id="TiKVGroup"),
        pytest.param("PDGroup", ["cluster", "replicas", "template"], id="PDGroup"),
        pytest.param("Cluster", None, id="Cluster"),
    ],
)
def test_required_fields(kind: str, required: list[str] | None) -> None:
    root = definitions()[kind]["versions"][0]["schema"]["openAPIV3Schema"]
    assert "required" not in root
    assert root["properties"]["spec"].get("required") == required


def test_rules_of_an_instance_are_in_the_order_in_which_they_are_reported() -> None:
    spec = definitions()["TiKV"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    assert [rule["message"] for rule in spec["x-kubernetes-validations"]] == [
        "topology can only be set when creating",
        "overlay volumeClaims names must exist in volumes",
        "data volume must be configured",
    ]


def test_the_sample_is_valid_and_nothing_of_it_is_unknown_to_the_types() -> None:
    kinds = {kind.resource.kind: kind for kind in KINDS}
    manifests = [yaml.safe_load(path.read_text()) for path in sorted(SAMPLE.glob("*.yaml"))]
    assert [manifest["kind"] for manifest in manifests] == ["Cluster", "PDGroup", "TiKVGroup"]
    for manifest in manifests:
        kind = kinds[manifest["kind"]]
        assert violations(kind, manifest) == []
        assert "namespace" not in manifest["metadata"]
        read = decode(kind, encode(manifest))
        assert yaml.safe_load(encode(read)) == manifest
