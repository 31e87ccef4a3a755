"""The built-in kinds are what the generator makes of the installed tables, and behave as the package promises."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from controller_runtime.api import ObjectMeta, Resource, decode, encode
from controller_runtime.api import k8s as kinds
from controller_runtime.api.k8s import (
    ConfigMap,
    Container,
    ContainerPort,
    CoreEvent,
    Event,
    Pod,
    PodSpec,
    PodStatus,
    Service,
    ServicePort,
    ServiceSpec,
)
from helpers.generators import loaded


@pytest.fixture
def generator() -> Iterator[ModuleType]:
    with loaded("generate_k8s") as module:
        yield module


def test_committed_files_are_what_the_generator_makes(generator: ModuleType) -> None:
    folder = Path(kinds.__file__).parent
    committed = {path.name: path.read_text() for path in folder.glob("*.py")}
    assert committed == generator.generate(), "run `python hack/generate_k8s.py`"


def test_root_kinds_know_their_resource() -> None:
    assert Pod.resource == Resource(group="", version="v1", kind="Pod", plural="pods")
    assert kinds.Node.resource.namespaced is False
    assert kinds.Lease.resource.path("ns", "x") == "/apis/coordination.k8s.io/v1/namespaces/ns/leases/x"
    assert Event.resource.api_version == "events.k8s.io/v1"
    assert (CoreEvent.resource.api_version, CoreEvent.resource.kind) == ("v1", "Event")


def test_wire_names_that_are_not_camel_case_survive_a_round_trip() -> None:
    raw = (
        b'{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"},'
        b'"status":{"hostIP":"10.0.0.1","podIP":"10.1.0.1","podIPs":[{"ip":"10.1.0.1"}]}}'
    )
    pod = decode(Pod, raw)
    assert pod.status is not None
    assert (pod.status.pod_ip, pod.status.host_ip) == ("10.1.0.1", "10.0.0.1")
    assert encode(pod) == raw


def test_absent_optional_fields_are_none_and_not_sent() -> None:
    pod = Pod(metadata=ObjectMeta(name="a"), spec=PodSpec(containers=[Container(name="c", image="i")]))
    assert encode(pod) == (
        b'{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"},"spec":{"containers":[{"image":"i","name":"c"}]}}'
    )


def test_required_scalars_are_always_sent_and_never_missing() -> None:
    assert encode(ContainerPort(name="client")) == b'{"containerPort":0,"name":"client"}'
    status = decode(Pod, b'{"status":{"containerStatuses":[{"name":"c"}]}}').status
    assert status is not None
    assert status.container_statuses is not None
    assert status.container_statuses[0].restart_count == 0
    assert status.container_statuses[0].ready is False


def test_required_lists_are_empty_when_missing_and_left_out_when_empty() -> None:
    assert decode(Pod, b'{"spec":{}}').spec == PodSpec()
    assert encode(PodSpec()) == b"{}"


def test_port_may_be_a_number_or_a_name() -> None:
    service = decode(Service, b'{"spec":{"ports":[{"port":1,"targetPort":"client"},{"port":2,"targetPort":20160}]}}')
    assert service.spec is not None
    assert service.spec.ports is not None
    assert [port.target_port for port in service.spec.ports] == ["client", 20160]
    sent = encode(ServiceSpec(cluster_ip="None", ports=[ServicePort(port=1, target_port="x")]))
    assert sent == b'{"clusterIP":"None","ports":[{"port":1,"targetPort":"x"}]}'


def test_unknown_fields_are_ignored() -> None:
    assert decode(ConfigMap, b'{"data":{"a":"b"},"new":{"x":1},"metadata":{"managedFields":[]}}').data == {"a": "b"}


def test_statuses_can_be_built_partially() -> None:
    assert encode(PodStatus(phase="Running", qos_class="BestEffort")) == b'{"phase":"Running","qosClass":"BestEffort"}'
