"""The five kinds: what they are called, how they read and write, what must be on the wire."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from controller_runtime.api import Condition, Object, ObjectMeta, decode, encode, to_builtins
from controller_runtime.api.crd import custom_resource_definition
from tikv_operator.api import (
    KINDS,
    PD,
    Cluster,
    ClusterReference,
    ClusterSpec,
    ClusterStatus,
    Feature,
    PDGroup,
    PDSpec,
    PDStatus,
    PDTemplateSpec,
    TiKV,
    TiKVGroup,
    TiKVGroupSpec,
    TiKVGroupStatus,
    TiKVSpec,
    TiKVStatus,
    TiKVTemplate,
    TiKVTemplateSpec,
    Volume,
    VolumeMount,
)

DATA = Volume(name="data", mounts=[VolumeMount(type="data")], storage="10Gi")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.resource.kind)
def test_all_kinds_are_of_one_group_and_version(kind: type[Object]) -> None:
    assert kind.resource.api_version == "core.pingcap.com/v1alpha1"
    assert kind.resource.namespaced


def test_plurals() -> None:
    assert [kind.resource.plural for kind in KINDS] == ["clusters", "pdgroups", "pds", "tikvgroups", "tikvs"]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.resource.kind)
def test_an_object_without_a_spec_can_be_read(kind: type[Object]) -> None:
    obj = decode(kind, b'{"metadata":{"name":"a","namespace":"ns"}}')
    assert obj.key == ("ns", "a")


def test_unknown_fields_and_unknown_features_are_no_obstacle() -> None:
    cluster = decode(Cluster, b'{"spec":{"new":{"x":1},"featureGates":[{"name":"Brand New"}]}}')
    assert cluster.spec.feature_gates is not None
    assert cluster.spec.feature_gates[0].name == "Brand New"


def test_a_quantity_may_be_a_number() -> None:
    raw = b'{"version":"v8.1.0","resources":{"cpu":4,"memory":"8Gi"},"volumes":[]}'
    template = msgspec.json.decode(raw, type=TiKVTemplateSpec)
    assert template.resources is not None
    assert (template.resources.cpu, template.resources.memory) == (4, "8Gi")
    assert encode(template) == raw


def test_names_that_are_not_camel_case() -> None:
    raw = (
        b'{"bootstrapSQL":{"name":"sql"},"customizedPDServiceName":"pd",'
        b'"security":{"tls":{"client":{"ca":{"name":"x"},"insecureSkipTLSVerify":true}}}}'
    )
    spec = msgspec.json.decode(raw, type=ClusterSpec)
    assert spec.bootstrap_sql is not None
    assert spec.customized_pd_service_name == "pd"
    assert encode(spec) == raw


@pytest.mark.parametrize(
    ("status", "sent"),
    [
        pytest.param(ClusterStatus(), {"id": ""}, id="Cluster"),
        pytest.param(PDStatus(), {"id": "", "isLeader": False}, id="PD"),
        pytest.param(TiKVStatus(), {}, id="TiKV"),
        pytest.param(
            TiKVGroupStatus(),
            {"selector": "", "replicas": 0, "readyReplicas": 0, "currentReplicas": 0, "updatedReplicas": 0},
            id="TiKVGroup",
        ),
    ],
)
def test_an_empty_status_still_has_what_the_schema_requires(status: Any, sent: dict[str, Any]) -> None:
    assert to_builtins(status) == sent


def test_a_condition_is_sent_with_its_empty_message() -> None:
    condition = Condition(type="Ready", status="True", reason="Ready", last_transition_time="2026-11-24T09:00:00Z")
    assert to_builtins(condition)["message"] == ""


TIKV_TEMPLATE = [
    "version",
    "image",
    "server",
    "resources",
    "config",
    "updateStrategy",
    "placement",
    "security",
    "volumes",
    "preStop",
    "remoteWorkers",
    "overlay",
]
PD_TEMPLATE = [
    "version",
    "image",
    "mode",
    "server",
    "resources",
    "updateStrategy",
    "config",
    "security",
    "volumes",
    "overlay",
]


@pytest.mark.parametrize(
    ("template", "instance", "names"),
    [
        pytest.param(TiKVTemplateSpec, TiKVSpec, TIKV_TEMPLATE, id="TiKV"),
        pytest.param(PDTemplateSpec, PDSpec, PD_TEMPLATE, id="PD"),
    ],
)
def test_fields_of_the_template_come_first_and_in_the_order_of_recorded_templates(
    template: Any, instance: Any, names: list[str]
) -> None:
    assert list(template.__struct_encode_fields__) == names
    assert list(instance.__struct_encode_fields__)[: len(names)] == names


def test_a_group_is_written_as_a_user_would_write_it() -> None:
    group = TiKVGroup(
        metadata=ObjectMeta(name="kv", namespace="ns"),
        spec=TiKVGroupSpec(
            cluster=ClusterReference(name="basic"),
            replicas=3,
            template=TiKVTemplate(spec=TiKVTemplateSpec(version="v8.1.0", volumes=[DATA])),
        ),
    )
    assert to_builtins(group) == {
        "apiVersion": "core.pingcap.com/v1alpha1",
        "kind": "TiKVGroup",
        "metadata": {"name": "kv", "namespace": "ns"},
        "spec": {
            "cluster": {"name": "basic"},
            "replicas": 3,
            "template": {
                "spec": {
                    "version": "v8.1.0",
                    "volumes": [{"name": "data", "mounts": [{"type": "data"}], "storage": "10Gi"}],
                }
            },
        },
    }


@pytest.mark.parametrize(
    "name",
    [
        "FeatureModification",
        "VolumeAttributesClass",
        "DisablePDDefaultReadinessProbe",
        "UsePDReadyAPI",
        "SessionTokenSigning",
        "ClusterSubdomain",
        "TerminableLogTailer",
        "UseTSOReadyAPI",
        "UseSchedulingReadyAPI",
        "UseTiKVReadyAPI",
        "UsePDReadyAPIV2",
        "UseTiFlashReadyAPI",
        "MultiPDGroup",
        "TiCDCDynamicSecretSyncer",
        "IndependentKVEngineWorker",
    ],
)
def test_a_feature_is_known_by_name(name: str) -> None:
    assert Feature(name) == name


def test_there_are_no_other_features() -> None:
    assert len(Feature) == 15


def said(condition: str) -> str:
    return f'.status.conditions[?(@.type=="{condition}")].status'


def replicas(component: str) -> str:
    return f'.status.components[?(@.kind=="{component}")].replicas'


AGE = ("Age", "date", ".metadata.creationTimestamp")
CLUSTER = ("Cluster", "string", ".spec.cluster.name")
SYNCED, READY = ("Synced", "string", said("Synced")), ("Ready", "string", said("Ready"))
OF_A_GROUP = [
    CLUSTER,
    ("Desired", "string", ".spec.replicas"),
    ("Ready", "string", ".status.readyReplicas"),
    ("Updated", "string", ".status.updatedReplicas"),
    ("UpdateRevision", "string", ".status.updateRevision"),
    ("CurrentRevision", "string", ".status.currentRevision"),
    SYNCED,
    READY,
    AGE,
]
COLUMNS = {
    Cluster: [
        *((component, "integer", replicas(component)) for component in ("PD", "TiKV", "TiDB", "TiFlash", "TiProxy")),
        ("Available", "string", said("Available")),
        AGE,
    ],
    TiKVGroup: OF_A_GROUP,
    PDGroup: OF_A_GROUP,
    TiKV: [
        CLUSTER,
        ("StoreID", "string", ".status.id"),
        ("StoreState", "string", ".status.state"),
        ("Offline", "boolean", ".spec.offline"),
        SYNCED,
        READY,
        AGE,
    ],
    PD: [CLUSTER, ("Leader", "string", ".status.isLeader"), SYNCED, READY, AGE],
}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.resource.kind)
def test_the_columns_of_kubectl_get(kind: type[Object]) -> None:
    columns = custom_resource_definition(kind)["spec"]["versions"][0]["additionalPrinterColumns"]
    assert [(column["name"], column["type"], column["jsonPath"]) for column in columns] == COLUMNS[kind]
