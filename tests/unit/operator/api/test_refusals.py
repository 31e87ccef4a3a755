"""What the API server answers to what the CRDs refuse: the field and the words. How it quotes the value is its own affair."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from controller_runtime.api import Object
from controller_runtime.api.crd import custom_resource_definition
from controller_runtime.api.k8s import Namespace
from controller_runtime.client import Invalid, LiveClient
from controller_runtime.clock import LoopClock
from controller_runtime.envtest import EmbeddedCluster
from tikv_operator.api import KINDS, Cluster, PDGroup, TiKV, TiKVGroup

DATA = {"name": "data", "mounts": [{"type": "data"}], "storage": "10Gi"}
TEMPLATE = {"version": "v8.1.0", "volumes": [DATA]}
GROUP = {"cluster": {"name": "c"}, "replicas": 1, "template": {"spec": TEMPLATE}}
INSTANCE = {"cluster": {"name": "c"}, "subdomain": "s", **TEMPLATE}
VAC, FM, OTHER = ({"name": name} for name in ("VolumeAttributesClass", "FeatureModification", "MultiPDGroup"))
K_LABELS = {"template": {"spec": {**TEMPLATE, "server": {"labels": {"k/tikvgroup": "x"}}}}}
OUR_LABEL = {"overlay": {"pod": {"metadata": {"labels": {"pingcap.com/x": "y"}}}}}
NO_VOLUME = {"overlay": {"volumeClaims": [{"name": "raft", "volumeClaim": {}}]}}


@functools.cache
def definitions() -> tuple[dict[str, Any], ...]:
    return tuple(custom_resource_definition(kind) for kind in KINDS)


async def refusal(kind: type[Object], name: str, old: dict[str, Any] | None, new: dict[str, Any]) -> str:
    """Return why the API server refuses an object, to be created, or to be changed from what is `old`."""
    resource = kind.resource
    base = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": {"name": name, "namespace": "ns1"}}
    async with EmbeddedCluster(clock=LoopClock(), crds=definitions()) as server:
        client = LiveClient(server.transport, field_manager="user")
        namespace = Namespace()
        namespace.metadata.name = "ns1"
        await client.create(namespace)
        if old is not None:
            await client.apply({**base, "spec": old})
        with pytest.raises(Invalid) as raised:
            await client.apply({**base, "spec": {**(old or {}), **new}})
        return raised.value.message.partition(" is invalid: ")[2]


@pytest.mark.parametrize(
    ("kind", "old", "new", "expected"),
    [
        pytest.param(
            Cluster,
            {"tlsCluster": {"enabled": False}},
            {"tlsCluster": {"enabled": True}},
            "spec: Invalid value: tlsCluster is immutable",
            id="tlsCluster",
        ),
        pytest.param(
            Cluster,
            {"bootstrapSQL": {"name": "a"}},
            {"bootstrapSQL": {"name": "b"}},
            "spec: Invalid value: bootstrapSQL can only be set at creation, can be unset, "
            "but cannot be changed to a different value",
            id="bootstrapSQL",
        ),
        pytest.param(
            Cluster,
            {"featureGates": [VAC]},
            {"featureGates": [OTHER]},
            "spec.featureGates: Invalid value: can only enable FeatureModification if it's not enabled",
            id="features that are fixed",
        ),
        pytest.param(
            Cluster,
            {"featureGates": [VAC, FM]},
            {"featureGates": [VAC]},
            "spec.featureGates: Invalid value: cannot disable FeatureModification",
            id="features that are fixed again",
        ),
        pytest.param(
            TiKVGroup,
            None,
            {**GROUP, "minReadySeconds": -1},
            "spec.minReadySeconds: Invalid value: spec.minReadySeconds in body should be greater than or equal to 0",
            id="minReadySeconds",
        ),
        pytest.param(
            TiKVGroup,
            None,
            {**GROUP, **K_LABELS},
            "spec.template.spec.server.labels: Invalid value: labels cannot contain keys with 'k/' or '$k/' prefix",
            id="labels of a store",
        ),
        pytest.param(
            TiKVGroup,
            GROUP,
            {"cluster": {"name": "d"}},
            "spec.cluster.name: Invalid value: cluster name is immutable",
            id="another cluster",
        ),
        pytest.param(
            TiKV,
            None,
            {**INSTANCE, "topology": {}},
            "spec.topology: Invalid value: spec.topology in body should have at least 1 properties",
            id="an empty topology",
        ),
        pytest.param(
            TiKV,
            {**INSTANCE, "topology": {"zone": "a"}},
            {"topology": {"zone": "b"}},
            "spec.topology: Invalid value: topology is immutable",
            id="another topology",
        ),
        pytest.param(
            TiKV,
            INSTANCE,
            {"topology": {"zone": "a"}},
            "spec.topology: Invalid value: topology can only be set when creating",
            id="a topology later",
        ),
        pytest.param(
            TiKV,
            None,
            {**INSTANCE, "volumes": []},
            "spec: Invalid value: data volume must be configured",
            id="no data volume",
        ),
        pytest.param(
            TiKV,
            None,
            {**INSTANCE, **NO_VOLUME},
            "spec: Invalid value: overlay volumeClaims names must exist in volumes",
            id="an overlay of no volume",
        ),
        pytest.param(
            TiKV,
            {**INSTANCE, "volumes": [{**DATA, "volumeAttributesClassName": "x"}]},
            {"volumes": [DATA]},
            "spec.volumes[0]: Invalid value: VolumeAttributesClassName cannot be changed from non-nil to nil",
            id="volumeAttributesClassName",
        ),
        pytest.param(
            TiKV,
            None,
            {**INSTANCE, **OUR_LABEL},
            "spec.overlay.pod.metadata: Invalid value: cannot overlay pod labels starting with 'pingcap.com/'",
            id="a label of ours in an overlay",
        ),
        pytest.param(
            PDGroup,
            {**GROUP, "bootstrapped": True},
            {"bootstrapped": False},
            "spec.bootstrapped: Invalid value: bootstrapped cannot be changed from true to false",
            id="bootstrapped",
        ),
        pytest.param(
            PDGroup,
            {**GROUP, "bootstrapped": False},
            {"replicas": 3},
            "spec: Invalid value: replicas cannot be changed when bootstrapped is false",
            id="replicas of what is not bootstrapped",
        ),
    ],
)
async def test_a_refusal(kind: type[Object], old: dict[str, Any] | None, new: dict[str, Any], expected: str) -> None:
    field, words = expected.split(": Invalid value: ")
    said = await refusal(kind, "a-1", old, new)
    assert said.startswith(f"{field}: Invalid value: ")
    assert said.endswith(f": {words}")


async def test_what_is_required_is_named() -> None:
    spec = {key: value for key, value in INSTANCE.items() if key != "volumes"}
    assert "spec.volumes: Required value" in await refusal(TiKV, "a-1", None, spec)
    assert "spec.cluster.name: Required value" in await refusal(TiKVGroup, "a-1", None, {**GROUP, "cluster": {}})


async def test_an_overlay_without_any_volume_is_refused_for_both_reasons() -> None:
    said = await refusal(TiKV, "a-1", None, {**INSTANCE, **NO_VOLUME, "volumes": []})
    assert "overlay volumeClaims names must exist in volumes" in said
    assert "data volume must be configured" in said


async def test_a_name_that_is_too_long() -> None:
    said = await refusal(Cluster, "x" * 38, None, {})
    assert said.startswith("<nil>: Invalid value: ")
    assert said.endswith(": name must not exceed 37 characters")
