"""The stand-in for the PDGroup controller: its objects, its plan and its status."""

from __future__ import annotations

from typing import Any

import pytest

from controller_runtime.api import Condition, ObjectMeta
from controller_runtime.api.k8s import Pod, PodCondition, PodStatus, Service
from tikv_operator.api import (
    Cluster,
    ClusterReference,
    ClusterSpec,
    EvenlySpread,
    PDGroup,
    PDGroupSpec,
    PDTemplate,
    PDTemplateSpec,
    SchedulePolicy,
    ScheduleTopology,
    SuspendAction,
)
from tikv_operator.common.instances import is_group_healthy_and_up_to_date
from tikv_operator.simulation.pd.front import Address
from tikv_operator.simulation.pdgroup import objects
from tikv_operator.simulation.pdgroup.plan import Plan, is_suspended, make_plan, next_status

NOW = 1_767_225_600.0


def make_group(replicas: int = 3, **template: Any) -> PDGroup:
    spec = PDTemplateSpec(**({"version": "v8.5.0", "volumes": []} | template))
    return PDGroup(
        metadata=ObjectMeta(name="pd", namespace="ns1", uid="u1", generation=4),
        spec=PDGroupSpec(cluster=ClusterReference(name="tc"), replicas=replicas, template=PDTemplate(spec=spec)),
    )


def make_pods(group: PDGroup, count: int, *, ready: bool = True, revision: str = "") -> list[Pod]:
    pods = [objects.pod(group, number, revision or objects.revision_of(group)) for number in range(count)]
    for pod in pods:
        status = "True" if ready else "False"
        pod.status = PodStatus(conditions=[PodCondition(type="Ready", status=status)])
    return pods


CLUSTER = Cluster(metadata=ObjectMeta(name="tc", namespace="ns1", generation=7))


class TestObjects:
    def test_pods_are_called_as_tidb_operators_are(self) -> None:
        group = make_group()
        pod = objects.pod(group, 1, "pd-pd-abc")
        assert pod.metadata.name == "pd-pd-1"
        labels = pod.metadata.labels
        assert labels["pingcap.com/managed-by"] == "tidb-operator"
        assert labels["pingcap.com/component"] == "pd"
        assert labels["pingcap.com/cluster"] == "tc"
        assert labels["pingcap.com/group"] == "pd"
        assert labels["pingcap.com/instance"] == "pd-1"
        assert labels["pingcap.com/instance-revision-hash"] == "pd-pd-abc"
        assert pod.spec is not None
        assert (pod.spec.hostname, pod.spec.subdomain) == ("pd-pd-1", "pd-pd-peer")
        assert pod.spec.containers[0].image == "pingcap/pd:v8.5.0"
        assert objects.index_of(group, pod) == 1

    def test_pods_are_spread_over_topologies(self) -> None:
        group = make_group()
        topologies = [ScheduleTopology(topology={"zone": zone}) for zone in "ab"]
        spread = EvenlySpread(topologies=topologies)
        group.spec.schedule_policies = [SchedulePolicy(type="EvenlySpread", evenly_spread=spread)]
        selectors = [objects.pod(group, number, "r").spec.node_selector for number in range(3)]
        assert selectors == [{"zone": "a"}, {"zone": "b"}, {"zone": "a"}]

    def test_services_find_the_pods(self) -> None:
        headless, client = objects.services(make_group(), own_client_service=True)
        assert (headless.metadata.name, client.metadata.name) == ("pd-pd-peer", "pd-pd")
        assert headless.spec.cluster_ip == "None"
        assert headless.spec.publish_not_ready_addresses is True
        assert [(port.name, port.port) for port in client.spec.ports] == [("client", 2379), ("peer", 2380)]
        assert client.spec.selector.items() <= objects.pod(make_group(), 0, "r").metadata.labels.items()

    def test_a_cluster_wide_service_replaces_the_groups_own(self) -> None:
        (headless,) = objects.services(make_group(), own_client_service=False)
        assert headless.metadata.name == "pd-pd-peer"

    @pytest.mark.parametrize("ready", [True, False])
    def test_endpoints_lead_to_the_simulated_pd(self, ready: bool) -> None:
        service = Service(metadata=ObjectMeta(name="pd-pd", namespace="ns1", uid="u"))
        found = objects.endpoint_slice(service, Address("127.0.0.1", 4711), ready=ready)
        assert found.metadata.labels["kubernetes.io/service-name"] == "pd-pd"
        (endpoint,) = found.endpoints or []
        assert (endpoint.addresses, endpoint.conditions.ready) == (["127.0.0.1"], ready)
        assert [(port.name, port.port) for port in found.ports or []] == [("client", 4711)]

    @pytest.mark.parametrize(
        ("config", "replicas", "labels"),
        [
            (None, None, None),
            ("[replication]\nmax-replicas = 5\nlocation-labels = ['zone', 'host']", 5, ("zone", "host")),
            ("[replication]\nlocation-labels = 'zone, host'", None, ("zone", "host")),
            ("replication = 1", None, None),
        ],
    )
    def test_replication_is_configured_by_the_group(
        self, config: str | None, replicas: int | None, labels: tuple[str, ...] | None
    ) -> None:
        found = objects.replication_config(make_group(config=config))
        assert (found.max_replicas, found.location_labels) == (replicas, labels)

    def test_a_configuration_must_be_toml(self) -> None:
        with pytest.raises(ValueError, match="Invalid"):
            objects.replication_config(make_group(config="= 1"))


class TestPlan:
    def test_starts_all_servers_at_once(self) -> None:
        assert make_plan(make_group(), [], "r", suspended=False) == Plan(create=(0, 1, 2))

    def test_replaces_a_server_that_is_gone(self) -> None:
        group = make_group()
        _, *rest = make_pods(group, 3)
        assert make_plan(group, rest, objects.revision_of(group), suspended=False) == Plan(create=(0,))

    def test_waits_for_the_end_of_a_server_before_it_makes_another(self) -> None:
        group = make_group()
        first, *rest = make_pods(group, 3)
        first.metadata.deletion_timestamp = "2026-01-01T00:00:00Z"
        assert make_plan(group, [first, *rest], objects.revision_of(group), suspended=False) == Plan()

    def test_removes_surplus_servers_one_at_a_time(self) -> None:
        group = make_group(replicas=1)
        pods = make_pods(group, 3)
        revision = objects.revision_of(group)
        assert make_plan(group, pods, revision, suspended=False) == Plan(remove=(pods[2],))
        pods[0].status = None
        assert make_plan(group, pods, revision, suspended=False) == Plan()

    def test_updates_servers_one_at_a_time(self) -> None:
        group = make_group()
        pods = make_pods(group, 3, revision="old")
        assert make_plan(group, pods, "new", suspended=False) == Plan(delete=(pods[2],))
        pods[2].metadata.labels["pingcap.com/instance-revision-hash"] = "new"
        assert make_plan(group, pods, "new", suspended=False) == Plan(delete=(pods[1],))
        pods[2].status = None
        assert make_plan(group, pods, "new", suspended=False) == Plan()

    def test_repairs_a_broken_update_where_it_began(self) -> None:
        group = make_group()
        pods = make_pods(group, 3, revision="bad")
        pods[2].status = None
        assert make_plan(group, pods, "good", suspended=False) == Plan(delete=(pods[2],))
        for pod in pods:
            pod.status = None
        assert make_plan(group, pods, "good", suspended=False) == Plan(delete=(pods[2],))

    def test_stops_all_servers_of_a_suspended_cluster(self) -> None:
        group = make_group()
        pods = make_pods(group, 3)
        assert make_plan(group, pods, objects.revision_of(group), suspended=True) == Plan(delete=tuple(pods))

    def test_a_revision_is_the_template(self) -> None:
        assert objects.revision_of(make_group()) == objects.revision_of(make_group(replicas=9))
        assert objects.revision_of(make_group()) != objects.revision_of(make_group(version="v9.0.0"))


class TestStatus:
    def status(self, group: PDGroup, pods: list[Pod], *, suspended: bool = False) -> dict[str, Condition]:
        revision = objects.revision_of(group)
        group.status = next_status(group, CLUSTER, pods, revision, suspended=suspended, now=NOW)
        return {condition.type: condition for condition in group.status.conditions}

    def test_of_a_settled_group_satisfies_its_cluster_and_upgrades(self) -> None:
        group = make_group()
        found = self.status(group, make_pods(group, 3))
        assert {name: condition.status for name, condition in found.items()} == {
            "Suspended": "False",
            "Ready": "True",
            "Synced": "True",
        }
        assert all(condition.observed_generation == 4 for condition in found.values())
        assert group.status is not None
        assert group.status.observed_cluster_generation == 7
        assert group.status.version == "v8.5.0"
        assert group.status.selector == (
            "pingcap.com/cluster=tc,pingcap.com/component=pd,pingcap.com/group=pd,pingcap.com/managed-by=tidb-operator"
        )
        assert is_group_healthy_and_up_to_date(group)

    def test_keeps_the_old_version_during_an_update(self) -> None:
        group = make_group()
        self.status(group, make_pods(group, 3))
        old = objects.revision_of(group)
        group.spec.template.spec.version = "v9.0.0"
        found = self.status(group, make_pods(group, 3, revision=old))
        assert group.status is not None
        assert group.status.version == "v8.5.0"
        assert group.status.current_revision == old
        assert (group.status.current_replicas, group.status.updated_replicas) == (3, 0)
        assert found["Synced"].status == "False"
        assert not is_group_healthy_and_up_to_date(group)

    def test_is_not_ready_while_a_server_is_missing(self) -> None:
        group = make_group()
        found = self.status(group, make_pods(group, 2))
        assert found["Ready"].status == "False"
        assert group.status is not None
        assert (group.status.replicas, group.status.ready_replicas) == (2, 2)

    def test_of_a_suspended_group(self) -> None:
        group = make_group()
        found = self.status(group, make_pods(group, 1), suspended=True)
        assert (found["Suspended"].status, found["Suspended"].reason) == ("False", "Suspending")
        found = self.status(group, [], suspended=True)
        assert (found["Suspended"].status, found["Synced"].status, found["Ready"].status) == ("True", "True", "False")

    def test_does_not_change_what_it_is_given(self) -> None:
        group = make_group()
        self.status(group, make_pods(group, 3))
        before = group.status
        again = next_status(
            group, CLUSTER, make_pods(group, 3), objects.revision_of(group), suspended=False, now=NOW + 60
        )
        assert again == before
        assert again is not before


def test_a_cluster_says_whether_it_is_suspended() -> None:
    assert not is_suspended(CLUSTER)
    suspended = Cluster(spec=ClusterSpec(suspend_action=SuspendAction(suspend_compute=True)))
    assert is_suspended(suspended)
