"""The CRDs in config/crd are generated from the types, and say what TiDB Operator's users expect of each kind."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest
import yaml

from controller_runtime.api import decode, encode
from helpers.crd_check import violations
from tikv_operator.api import KINDS
from tikv_operator.api.manifests import crd_manifests

REPOSITORY = Path(__file__).parents[4]
CRDS = REPOSITORY / "config" / "crd"
SAMPLE = REPOSITORY / "config" / "samples" / "basic"


@functools.cache
def definitions() -> dict[str, Any]:
    return {found["spec"]["names"]["kind"]: found["spec"] for found in map(yaml.safe_load, crd_manifests().values())}


def test_committed_manifests_are_what_the_types_say() -> None:
    committed = {path.name: path.read_text() for path in CRDS.glob("core.pingcap.com_*.yaml")}
    assert committed == crd_manifests(), "run `make manifests`"


def test_the_kustomization_lists_every_manifest() -> None:
    assert yaml.safe_load((CRDS / "kustomization.yaml").read_text())["resources"] == sorted(crd_manifests())


def test_manifests_have_no_aliases() -> None:
    assert all("&id0" not in text for text in crd_manifests().values())


@pytest.mark.parametrize(
    ("kind", "short_names", "categories", "subresources"),
    [
        ("Cluster", None, None, {"status": {}}),
        ("TiKVGroup", ["kvg"], ["group"], {"status": {}, "scale": {"labelSelectorPath": ".status.selector"}}),
        ("PDGroup", ["pdg"], ["group"], {"status": {}, "scale": {"labelSelectorPath": ".status.selector"}}),
        ("TiKV", None, ["instance"], {"status": {}, "scale": {}}),
        ("PD", None, ["instance"], {"status": {}, "scale": {}}),
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
    ("kind", "required"),
    [
        ("TiKV", ["cluster", "subdomain", "version", "volumes"]),
        ("PD", ["cluster", "subdomain", "version", "volumes"]),
        ("TiKVGroup", ["cluster", "replicas", "template"]),
        ("PDGroup", ["cluster", "replicas", "template"]),
        ("Cluster", None),
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
