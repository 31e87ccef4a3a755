"""What a pod was made from, and the decisions whether it must be made again."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from controller_runtime.api import ObjectMeta
from controller_runtime.api.k8s import ControllerRevision, Pod
from helpers.tikv_fakes import IMAGE, make_cluster, make_tikv
from tikv_operator.api import (
    CertificateSecrets,
    ComponentTLS,
    LocalObjectReference,
    Overlay,
    PodOverlay,
    Port,
    PreStop,
    RemoteWorkers,
    ResourceRequirements,
    SecretReference,
    Security,
    TemplateMeta,
    TiKV,
    TiKVPlacement,
    TiKVPorts,
    TiKVServer,
    UpdateStrategy,
    Volume,
    VolumeClaimOverlay,
    VolumeClaimTemplate,
    VolumeMount,
)
from tikv_operator.common.errors import OverlayInvalid
from tikv_operator.instance.template import TemplateKeys, template_annotation, template_keys
from tikv_operator.tikv.pod import render_pod
from tikv_operator.tikv.template import recorded_template, reloadable

LAST = "core.pingcap.com/last-instance-template"
FM = "FeatureModification"


def pod_of(tikv: TiKV) -> Pod:
    return render_pod(tikv, make_cluster(), store_id="4", prestop_image=IMAGE)


class TestAnnotation:
    def test_is_tidb_operators_byte_for_byte(self) -> None:
        tikv = make_tikv()
        tikv.metadata.labels = {"pingcap.com/cluster": "tc", "mylabel": "x"}
        tikv.metadata.annotations = {"note": "<a & b>"}
        assert template_annotation(tikv) == (
            '{"metadata":{"labels":{"mylabel":"x","pingcap.com/cluster":"tc"},'
            r'"annotations":{"note":"\u003ca \u0026 b\u003e"}},'
            '"spec":{"version":"v8.1.0","server":{"ports":{}},"resources":{"cpu":"1","memory":"2Gi"},'
            r'"config":"log.level = \"info\"\n","updateStrategy":{"config":"Restart"},'
            '"volumes":[{"name":"data","mounts":[{"type":"data"}],"storage":"20Gi"}]}}'
        )

    def test_empty_metadata_is_left_out_but_some_structs_are_always_there(self) -> None:
        tikv = make_tikv(resources=None, update_strategy=None, config=None)
        tikv.metadata.labels = {}
        assert template_annotation(tikv) == (
            '{"metadata":{},"spec":{"version":"v8.1.0","server":{"ports":{}},"resources":{},"updateStrategy":{},'
            '"volumes":[{"name":"data","mounts":[{"type":"data"}],"storage":"20Gi"}]}}'
        )

    def test_quantities_are_canonical(self) -> None:
        text = template_annotation(make_tikv(resources=ResourceRequirements(cpu="1000m", memory="2048Mi")))
        assert json.loads(text)["spec"]["resources"] == {"cpu": "1", "memory": "2Gi"}

    def test_a_malformed_quantity_in_an_overlay_is_an_error_of_the_spec(self) -> None:
        overlay = overlaid(containers=[{"name": "x", "resources": {"limits": {"cpu": "much"}}}])
        with pytest.raises(OverlayInvalid, match="much"):
            template_annotation(make_tikv(overlay=overlay))

    @pytest.mark.parametrize("text", ["", "no json", "[]", "{}", '{"spec":{}}', '{"spec":{"version":1,"volumes":[]}}'])
    def test_one_that_says_nothing_is_no_template(self, text: str) -> None:
        assert recorded_template(Pod(metadata=ObjectMeta(annotations={LAST: text}))) is None


def overlaid(**spec: Any) -> Overlay:
    return Overlay(pod=PodOverlay(spec=spec))


def sidecar(image: str) -> Overlay:
    return overlaid(containers=[{"name": "sidecar", "image": image}], initContainers=[{"name": "i", "image": image}])


def volume(**changes: Any) -> list[Volume]:
    defaults: dict[str, Any] = {"name": "data", "mounts": [VolumeMount(type="data")], "storage": "20Gi"}
    return [Volume(**(defaults | changes))]


def strategy(config: str | None) -> UpdateStrategy:
    return UpdateStrategy(config=config)


OTHER_PORT = TiKVServer(ports=TiKVPorts(peer=Port(port=20181)))

SPEC_CHANGES = [
    # what, before, after, in place?
    ("nothing", {}, {}, True),
    ("version", {}, {"version": "v8.1.1"}, False),
    ("image", {}, {"image": "other"}, False),
    ("cpu", {}, {"resources": ResourceRequirements(cpu="2", memory="2Gi")}, False),
    ("cpu 1 -> 1000m", {}, {"resources": ResourceRequirements(cpu="1000m", memory="2Gi")}, True),
    ("configuration, Restart", {}, {"config": 'log.level = "warn"\n'}, False),
    ("a space at the end of the configuration", {}, {"config": 'log.level = "info"\n '}, False),
    ("configuration, HotReload now", {}, {"config": "a = 1", "update_strategy": strategy("HotReload")}, True),
    (
        "configuration, HotReload before and Restart now",
        {"update_strategy": strategy("HotReload")},
        {"config": "a = 1", "update_strategy": strategy("Restart")},
        False,
    ),
    ("strategy alone", {}, {"update_strategy": strategy("HotReload")}, True),
    ("configuration, no strategy: Restart is the default", {}, {"config": "a = 1", "update_strategy": None}, False),
    ("configuration, empty strategy", {}, {"config": "a = 1", "update_strategy": strategy(None)}, False),
    ("configuration absent -> empty", {"config": None}, {"config": ""}, True),
    ("preStop absent -> {image}", {}, {"pre_stop": PreStop(image="a")}, True),
    ("preStop absent -> {}", {}, {"pre_stop": PreStop()}, True),
    ("preStop.image", {"pre_stop": PreStop(image="a")}, {"pre_stop": PreStop(image="b")}, True),
    ("server.labels", {}, {"server": TiKVServer(labels={"a": "b"})}, True),
    ("placement", {}, {"placement": TiKVPlacement(exclusive=True)}, True),
    ("explicit default port", {}, {"server": TiKVServer(ports=TiKVPorts(client=Port(port=20160)))}, True),
    ("another port", {}, {"server": TiKVServer(ports=TiKVPorts(client=Port(port=20161)))}, False),
    ("a port goes back to the default", {"server": OTHER_PORT}, {"server": None}, False),
    (
        "security",
        {},
        {"security": Security(tls=ComponentTLS(cluster=CertificateSecrets(ca=SecretReference(name="ca"))))},
        False,
    ),
    ("remoteWorkers", {}, {"remote_workers": RemoteWorkers(worker=LocalObjectReference(name="w"))}, False),
    ("storage", {}, {"volumes": volume(storage="30Gi")}, True),
    ("storageClassName", {}, {"volumes": volume(storage_class_name="fast")}, True),
    ("volumeAttributesClassName", {}, {"volumes": volume(volume_attributes_class_name="gold")}, True),
    ("mountPath", {}, {"volumes": volume(mounts=[VolumeMount(type="data", mount_path="/data")])}, False),
    ("extra volume", {}, {"volumes": volume() + volume(name="more")}, False),
    ("overlay absent -> {}", {}, {"overlay": Overlay()}, True),
    ("overlay absent -> {pod: {spec: {}}}", {}, {"overlay": overlaid()}, True),
    (
        "overlay.pod.metadata labels and annotations",
        {},
        {"overlay": Overlay(pod=PodOverlay(metadata=TemplateMeta(labels={"a": "b"}, annotations={"c": "d"})))},
        True,
    ),
    (
        "overlay.pod.metadata.name",
        {},
        {"overlay": Overlay(pod=PodOverlay(metadata=TemplateMeta(name="n")))},
        True,
    ),
    (
        "overlay: a variable of the main container",
        {},
        {"overlay": overlaid(containers=[{"name": "tikv", "env": [{"name": "A", "value": "1"}]}])},
        False,
    ),
    ("overlay: a sidecar is added", {}, {"overlay": sidecar("a")}, False),
    ("overlay: images of sidecar and init container", {"overlay": sidecar("a")}, {"overlay": sidecar("b")}, True),
    (
        "overlay: the main image",
        {"overlay": overlaid(containers=[{"name": "tikv", "image": "a"}])},
        {"overlay": overlaid(containers=[{"name": "tikv", "image": "b"}])},
        False,
    ),
    ("overlay: terminationGracePeriodSeconds", {}, {"overlay": overlaid(terminationGracePeriodSeconds=10)}, False),
    (
        "overlay: a quantity written in another way",
        {"overlay": overlaid(containers=[{"name": "x", "resources": {"limits": {"cpu": "1"}}}])},
        {"overlay": overlaid(containers=[{"name": "x", "resources": {"limits": {"cpu": "1000m"}}}])},
        True,
    ),
    (
        "overlay: the protocol that a port has anyway",
        {"overlay": overlaid(containers=[{"name": "x", "ports": [{"containerPort": 9}]}])},
        {"overlay": overlaid(containers=[{"name": "x", "ports": [{"containerPort": 9, "protocol": "TCP"}]}])},
        True,
    ),
    (
        "overlay: another protocol of a port",
        {"overlay": overlaid(containers=[{"name": "x", "ports": [{"containerPort": 9}]}])},
        {"overlay": overlaid(containers=[{"name": "x", "ports": [{"containerPort": 9, "protocol": "UDP"}]}])},
        False,
    ),
    (
        "overlay volumeClaims",
        {},
        {
            "overlay": Overlay(
                volume_claims=[
                    VolumeClaimOverlay(
                        name="data", volume_claim=VolumeClaimTemplate(metadata=TemplateMeta(labels={"a": "b"}))
                    )
                ]
            )
        },
        True,
    ),
    ("feature added, features were fixed", {"features": []}, {"features": ["UseTiKVReadyAPI"]}, True),
    ("restarting feature added", {"features": [FM]}, {"features": [FM, "UseTiKVReadyAPI"]}, False),
    ("other feature added", {"features": [FM]}, {"features": [FM, "VolumeAttributesClass"]}, True),
    (
        "features reordered",
        {"features": [FM, "UseTiKVReadyAPI"]},
        {"features": ["UseTiKVReadyAPI", FM]},
        True,
    ),
    ("restarting feature removed", {"features": [FM, "ClusterSubdomain"]}, {"features": [FM]}, False),
    ("topology", {}, {"topology": {"zone": "a"}}, True),
    ("subdomain", {}, {"subdomain": "tc-cluster"}, True),
    ("offline", {}, {"offline": True}, True),
]


@pytest.mark.parametrize(("before", "after", "in_place"), [pytest.param(*row, id=what) for what, *row in SPEC_CHANGES])
def test_a_change_of_the_spec(before: dict[str, Any], after: dict[str, Any], in_place: bool) -> None:
    pod = pod_of(make_tikv(**before))
    assert reloadable(make_tikv(**(before | after)), pod) is in_place


@pytest.mark.parametrize(
    ("feature", "in_place"),
    [
        ("ClusterSubdomain", False),
        ("UseTiKVReadyAPI", False),
        ("IndependentKVEngineWorker", False),
        ("VolumeAttributesClass", True),
        ("MultiPDGroup", True),
        ("DisablePDDefaultReadinessProbe", True),
        ("UsePDReadyAPI", True),
        ("SessionTokenSigning", True),
        ("TerminableLogTailer", True),
        ("UseTSOReadyAPI", True),
        ("UseSchedulingReadyAPI", True),
        ("UsePDReadyAPIV2", True),
        ("UseTiFlashReadyAPI", True),
        ("TiCDCDynamicSecretSyncer", True),
        ("FeatureModification", True),
    ],
)
def test_a_feature_that_is_toggled_where_features_can_change(feature: str, in_place: bool) -> None:
    without, with_it = make_tikv(features=[FM]), make_tikv(features=[FM, feature])
    assert reloadable(with_it, pod_of(without)) is in_place
    assert reloadable(without, pod_of(with_it)) is in_place


MAIN_CONTAINERS = (
    "pd",
    "tikv",
    "tidb",
    "tiflash",
    "ticdc",
    "tso",
    "scheduler",
    "scheduling",
    "tiproxy",
    "tikv-worker",
    "dm-master",
    "dm-worker",
)


@pytest.mark.parametrize("name", MAIN_CONTAINERS)
def test_the_image_of_a_container_that_is_called_like_a_component_recreates_the_pod(name: str) -> None:
    before, after = ({"overlay": overlaid(containers=[{"name": name, "image": image}])} for image in ("a", "b"))
    assert not reloadable(make_tikv(**after), pod_of(make_tikv(**before)))


def with_label(key: str, value: str = "x") -> Callable[[TiKV], None]:
    return lambda tikv: tikv.metadata.labels.update({key: value})


def with_annotation(key: str, value: str = "x") -> Callable[[TiKV], None]:
    return lambda tikv: tikv.metadata.annotations.update({key: value})


@pytest.mark.parametrize(
    ("change", "in_place"),
    [
        pytest.param(with_label("pingcap.com/managed-by"), True, id="who manages it"),
        pytest.param(with_label("pingcap.com/component"), True, id="the component"),
        pytest.param(with_label("pingcap.com/cluster"), True, id="the cluster"),
        pytest.param(with_label("pingcap.com/group"), True, id="the group"),
        pytest.param(with_label("pingcap.com/instance-revision-hash"), True, id="the revision"),
        pytest.param(with_annotation("core.pingcap.com/defer-delete"), True, id="defer-delete"),
        pytest.param(with_annotation("pd.core.pingcap.com/initial-cluster-num"), True, id="initial-cluster-num"),
        pytest.param(
            with_annotation("core.pingcap.com/tiproxy-graceful-shutdown-delete-delay-seconds"),
            True,
            id="the delay of TiProxy",
        ),
        pytest.param(with_label("mine"), False, id="any other label"),
        pytest.param(with_annotation("core.pingcap.com/priority", "0"), False, id="any other annotation"),
    ],
)
def test_a_change_of_metadata_whose_origin_is_unknown(change: Callable[[TiKV], None], in_place: bool) -> None:
    tikv = make_tikv()
    pod = pod_of(tikv)
    change(tikv)
    assert reloadable(tikv, pod) is in_place


class TestMetadataWhoseOriginIsKnown:
    def test_what_a_user_adds_does_not_restart_a_database(self) -> None:
        tikv = make_tikv()
        pod = pod_of(tikv)
        with_annotation("core.pingcap.com/priority", "0")(tikv)
        with_label("cost-center", "7")(tikv)
        assert reloadable(tikv, pod, TemplateKeys())

    def test_what_the_template_changes_does(self) -> None:
        tikv = make_tikv()
        pod = pod_of(tikv)
        with_label("team", "blue")(tikv)
        assert not reloadable(tikv, pod, TemplateKeys(labels=frozenset({"team"})))

    def test_a_change_of_the_spec_still_does(self) -> None:
        pod = pod_of(make_tikv())
        assert not reloadable(make_tikv(version="v8.1.1"), pod, TemplateKeys())

    def test_is_read_from_the_revisions_of_now_and_then(self) -> None:
        before = revision({"labels": {"a": "1"}})
        after = revision({"labels": {"b": "1"}, "annotations": {"c": "1"}})
        assert template_keys([before, after]) == TemplateKeys(frozenset("ab"), frozenset("c"))
        assert template_keys([revision({})]) == TemplateKeys()
        assert template_keys([revision(None)]) == TemplateKeys()

    @pytest.mark.parametrize("unknown", [None, ControllerRevision(data=None), ControllerRevision(data={"spec": 1})])
    def test_is_unknown_if_a_revision_is(self, unknown: ControllerRevision | None) -> None:
        assert template_keys([revision({}), unknown]) is None


def revision(metadata: dict[str, Any] | None) -> ControllerRevision:
    template: dict[str, Any] = {"$patch": "replace", "spec": {"version": "v8.1.0", "volumes": None}}
    if metadata is not None:
        template["metadata"] = metadata
    return ControllerRevision(data={"spec": {"template": template}})


@pytest.mark.parametrize("text", [None, "no json"])
def test_a_pod_that_does_not_tell_what_it_was_made_from_is_changed_in_place(text: str | None) -> None:
    pod = pod_of(make_tikv())
    del pod.metadata.annotations[LAST]
    if text is not None:
        pod.metadata.annotations[LAST] = text
    assert reloadable(make_tikv(version="v9.0.0"), pod)


def test_what_a_newer_operator_has_recorded_beside_what_we_know_is_ignored() -> None:
    pod = pod_of(make_tikv())
    recorded = json.loads(pod.metadata.annotations[LAST])
    recorded["spec"]["brandNew"] = {"a": 1}
    pod.metadata.annotations[LAST] = json.dumps(recorded)
    assert reloadable(make_tikv(), pod)
