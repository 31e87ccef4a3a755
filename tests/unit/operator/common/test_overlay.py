from __future__ import annotations

from typing import Any

import pytest

from controller_runtime.api import ObjectMeta, to_builtins
from controller_runtime.api.k8s import (
    ConfigMapVolumeSource,
    Container,
    ContainerPort,
    EnvVar,
    ExecAction,
    Lifecycle,
    LifecycleHandler,
    Pod,
    PodSpec,
    ResourceRequirements,
    Volume,
    VolumeMount,
)
from tikv_operator.api import PodOverlay, TemplateMeta
from tikv_operator.common.errors import OverlayInvalid
from tikv_operator.common.overlay import overlay_pod


def base() -> Pod:
    return Pod(
        metadata=ObjectMeta(name="p", labels={"own": "1"}, annotations={"prometheus.io/port": "20180"}),
        spec=PodSpec(
            termination_grace_period_seconds=65535,
            node_selector={"zone": "a"},
            hostname="h",
            containers=[
                Container(
                    name="tikv",
                    image="pingcap/tikv:v8.1.0",
                    command=["/tikv-server"],
                    env=[EnvVar(name="A", value="1")],
                    ports=[ContainerPort(name="client", container_port=20160)],
                    resources=ResourceRequirements(limits={"cpu": "1", "memory": "2Gi"}),
                    volume_mounts=[VolumeMount(name="ti-config", mount_path="/etc/tikv")],
                    lifecycle=Lifecycle(pre_stop=LifecycleHandler(exec=ExecAction(command=["a"]))),
                )
            ],
            volumes=[Volume(name="ti-config", config_map=ConfigMapVolumeSource(name="cm"))],
        ),
    )


def merged(**spec: Any) -> dict[str, Any]:
    result: dict[str, Any] = to_builtins(overlay_pod(base(), PodOverlay(spec=spec)))["spec"]
    return result


def container(**changes: Any) -> dict[str, Any]:
    result: dict[str, Any] = merged(containers=[{"name": "tikv", **changes}])["containers"][0]
    return result


class TestMetadata:
    def test_of_the_overlay_wins(self) -> None:
        overlay = PodOverlay(
            metadata=TemplateMeta(name="ignored", labels={"a": "b"}, annotations={"prometheus.io/port": "1"})
        )
        pod = overlay_pod(base(), overlay)
        assert pod.metadata.name == "p"
        assert pod.metadata.labels == {"own": "1", "a": "b"}
        assert pod.metadata.annotations == {"prometheus.io/port": "1"}

    def test_alone_leaves_the_spec_as_it_is_even_with_a_node_selector(self) -> None:
        assert overlay_pod(base(), PodOverlay(metadata=TemplateMeta(labels={"a": "b"}))).spec == base().spec

    def test_no_overlay_changes_nothing(self) -> None:
        assert overlay_pod(base(), None) == base()
        assert overlay_pod(base(), PodOverlay()) == base()
        assert overlay_pod(base(), PodOverlay(spec={})) == base()

    def test_the_rendered_pod_is_not_changed_in_place(self) -> None:
        pod = base()
        overlay_pod(pod, PodOverlay(metadata=TemplateMeta(labels={"a": "b"}), spec={"containers": [{"name": "x"}]}))
        assert pod == base()


class TestScalars:
    def test_are_replaced(self) -> None:
        assert merged(terminationGracePeriodSeconds=10)["terminationGracePeriodSeconds"] == 10
        assert container(image="other:1")["image"] == "other:1"

    @pytest.mark.parametrize("zero", [0, "", None])
    def test_cannot_be_replaced_by_a_zero_value(self, zero: object) -> None:
        assert merged(terminationGracePeriodSeconds=zero)["terminationGracePeriodSeconds"] == 65535
        assert container(image="")["image"] == "pingcap/tikv:v8.1.0"

    def test_that_the_operator_does_not_set_are_taken_even_if_zero(self) -> None:
        assert merged(hostUsers=False, automountServiceAccountToken=False)["hostUsers"] is False


class TestMaps:
    def test_the_operators_node_selector_wins(self) -> None:
        assert merged(nodeSelector={"zone": "b", "disk": "ssd"})["nodeSelector"] == {"zone": "a", "disk": "ssd"}

    def test_resources_are_merged_by_name_and_may_be_numbers(self) -> None:
        limits = container(resources={"limits": {"cpu": 2}, "requests": {"cpu": "500m"}})["resources"]
        assert limits == {"limits": {"cpu": "2", "memory": "2Gi"}, "requests": {"cpu": "500m"}}

    @pytest.mark.parametrize(
        ("spec", "place"),
        [
            pytest.param({"overhead": {"cpu": 2}}, "overhead.cpu", id="of a pod"),
            pytest.param(
                {"containers": [{"name": "tikv", "resources": {"requests": {"cpu": 2}}}]},
                "containers.0.resources.requests.cpu",
                id="of a container that has none",
            ),
            pytest.param(
                {"initContainers": [{"name": "i", "resources": {"limits": {"cpu": 2}}}]},
                "initContainers.0.resources.limits.cpu",
                id="of another container",
            ),
            pytest.param(
                {"volumes": [{"name": "v", "emptyDir": {"sizeLimit": 2}}]},
                "volumes.1.emptyDir.sizeLimit",
                id="of a volume",
            ),
            pytest.param(
                {
                    "initContainers": [
                        {
                            "name": "i",
                            "env": [
                                {
                                    "name": "A",
                                    "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": 2}},
                                }
                            ],
                        }
                    ]
                },
                "initContainers.0.env.0.valueFrom.resourceFieldRef.divisor",
                id="of a variable",
            ),
            pytest.param(
                {
                    "volumes": [
                        {
                            "name": "v",
                            "ephemeral": {"volumeClaimTemplate": {"spec": {"resources": {"requests": {"storage": 2}}}}},
                        }
                    ]
                },
                "volumes.1.ephemeral.volumeClaimTemplate.spec.resources.requests.storage",
                id="of a claim",
            ),
        ],
    )
    def test_a_quantity_may_be_a_number_wherever_it_stands(self, spec: dict[str, Any], place: str) -> None:
        value: Any = merged(**spec)
        for name in place.split("."):
            value = value[int(name)] if name.isdecimal() else value[name]
        assert value == "2"


class TestListsWithKeys:
    def test_new_items_go_to_the_end(self) -> None:
        names = [item["name"] for item in merged(containers=[{"name": "sidecar"}, {"name": "tikv"}])["containers"]]
        assert names == ["tikv", "sidecar"]

    def test_known_items_are_merged(self) -> None:
        env = container(env=[{"name": "B", "value": "2"}, {"name": "A", "value": "3"}])["env"]
        assert env == [{"name": "A", "value": "3"}, {"name": "B", "value": "2"}]
        mounts = container(volumeMounts=[{"mountPath": "/etc/tikv", "readOnly": True}])["volumeMounts"]
        assert mounts == [{"name": "ti-config", "mountPath": "/etc/tikv", "readOnly": True}]

    def test_lists_that_the_operator_does_not_have_are_taken(self) -> None:
        assert merged(hostAliases=[{"ip": "1.1.1.1", "hostnames": ["a"]}])["hostAliases"][0]["hostnames"] == ["a"]
        init = merged(initContainers=[{"name": "i", "image": "x"}])["initContainers"]
        assert init == [{"name": "i", "image": "x"}]

    @pytest.mark.parametrize("protocol", [{}, {"protocol": "TCP"}])
    def test_a_port_without_protocol_is_a_tcp_port(self, protocol: dict[str, str]) -> None:
        ports = container(ports=[{"name": "other", "containerPort": 20160, **protocol}])["ports"]
        assert ports == [{"name": "other", "containerPort": 20160, **protocol}]

    def test_a_port_of_another_protocol_is_another_port(self) -> None:
        ports = container(ports=[{"name": "udp", "containerPort": 20160, "protocol": "UDP"}])["ports"]
        assert [port["name"] for port in ports] == ["client", "udp"]


class TestOtherLists:
    def test_are_replaced_as_a_whole(self) -> None:
        assert container(command=["/bin/sh"])["command"] == ["/bin/sh"]
        assert merged(tolerations=[{"key": "a"}])["tolerations"] == [{"key": "a"}]


class TestAlternatives:
    def test_another_source_of_a_volume_replaces_the_operators(self) -> None:
        assert merged(volumes=[{"name": "ti-config", "emptyDir": {}}])["volumes"] == [
            {"name": "ti-config", "emptyDir": {}}
        ]

    def test_the_same_source_is_merged_and_keeps_its_name(self) -> None:
        volumes = merged(volumes=[{"name": "ti-config", "configMap": {"defaultMode": 420}}])["volumes"]
        assert volumes == [{"name": "ti-config", "configMap": {"name": "cm", "defaultMode": 420}}]

    def test_where_a_variable_comes_from_replaces_its_value(self) -> None:
        source = {"secretKeyRef": {"name": "s", "key": "k"}}
        assert container(env=[{"name": "A", "valueFrom": source}])["env"] == [{"name": "A", "valueFrom": source}]

    def test_another_action_of_a_hook_replaces_the_operators(self) -> None:
        assert container(lifecycle={"preStop": {"sleep": {"seconds": 5}}})["lifecycle"] == {
            "preStop": {"sleep": {"seconds": 5}}
        }


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ({"terminationGracePeriodSeconds": "long"}, "terminationGracePeriodSeconds"),
        ({"containers": "x"}, "containers"),
        ({"containers": [1]}, "does not fit"),
        ({"nodeSelector": {"a": 1}}, "nodeSelector"),
        ({"nodeSelector": [1]}, "does not fit"),
    ],
)
def test_an_overlay_that_is_no_pod_spec_is_an_error_of_the_spec(spec: dict[str, Any], complaint: str) -> None:
    with pytest.raises(OverlayInvalid, match=complaint):
        overlay_pod(base(), PodOverlay(spec=spec))
