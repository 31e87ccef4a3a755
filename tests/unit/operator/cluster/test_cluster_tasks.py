"""The tasks of the Cluster controller, one by one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from controller_runtime.api import encode
from controller_runtime.api.k8s import Service
from controller_runtime.client import Conflict, Forbidden, ServiceUnavailable
from controller_runtime.task import Status, fail
from helpers.group_fakes import FakeCluster, FakePD, FakePDs, events_of, names
from helpers.group_world import cluster_context, make_cluster, make_group, make_pd_group
from tikv_operator.api import Cluster, PDGroup, TiKVGroup
from tikv_operator.cluster.build import pd_service, subdomain_service
from tikv_operator.cluster.controller import pipeline
from tikv_operator.cluster.tasks import ctx as look
from tikv_operator.cluster.tasks import features, finalizer, pd, status, svc
from tikv_operator.cluster.tasks.state import ClusterContext
from tikv_operator.common.keys import FINALIZER
from tikv_operator.pdclient import PDUnreachable

OWNER = {
    "apiVersion": "core.pingcap.com/v1alpha1",
    "kind": "Cluster",
    "name": "tc",
    "uid": "uid-tc",
    "controller": True,
    "blockOwnerDeletion": True,
}


async def world_of(*objects: Any, pd: FakePD | None = None) -> tuple[FakeCluster, ClusterContext]:
    """Return a world and a context that has looked at it."""
    world = FakeCluster()
    world.add(*objects)
    found = cluster_context(world, pds=FakePDs(pd or FakePD()))
    await look.cluster(found)
    if found.found is not None:
        await look.groups(found)
    return world, found


# Looking


async def test_groups_are_read_kind_by_kind_each_by_name() -> None:
    _, ctx = await world_of(
        make_cluster(),
        make_group("b"),
        make_group("a"),
        make_pd_group("z"),
        make_group("foreign", cluster={"name": "other"}),
    )
    assert [f"{group.kind}/{group.metadata.name}" for group in ctx.groups] == [
        "PDGroup/z",
        "TiKVGroup/a",
        "TiKVGroup/b",
    ]


async def test_the_pd_client_of_a_cluster_that_is_gone_goes_too() -> None:
    ctx = cluster_context(FakeCluster())
    assert isinstance(ctx.pds, FakePDs)
    ctx.pds.registered[ctx.key] = "http://pd"
    await look.cluster(ctx)
    assert ctx.found is None
    assert ctx.pds.registered == {}


async def test_a_paused_cluster_says_why_nothing_is_done() -> None:
    _, ctx = await world_of(make_cluster(spec={"paused": True}))
    result = await look.paused(ctx)
    assert (result.status, result.message) == (Status.WAIT, "the cluster is paused")


async def test_what_the_api_server_refuses_to_tell_fails_the_task() -> None:
    world, ctx = await world_of(make_cluster())

    async def refuse(*_: Any, **__: Any) -> Any:
        raise Forbidden("no", code=403)

    world.find = world.list = refuse  # type: ignore[method-assign]
    for task in (look.cluster, look.groups):
        with pytest.raises(Forbidden):
            await task(ctx)


def test_the_order_of_tasks_is_that_of_a_run_from_top_to_bottom() -> None:
    assert [task.name for task in pipeline().tasks()] == [
        "Context",
        "ContextGroups",
        "Finalizer",
        "Components",
        "Conditions",
        "Status",
        "Paused",
        "Finalizer",
        "FeatureGates",
        "Service",
        "PDURL",
        "PDClient",
        "ClusterID",
        "Components",
        "Conditions",
        "Status",
    ]


# The finalizer


async def test_the_finalizer_is_added_once() -> None:
    world, ctx = await world_of(make_cluster())
    await finalizer.add(ctx)
    await finalizer.add(ctx)
    assert world.writes == ["update Cluster tc"]


def deleting() -> Cluster:
    return make_cluster(metadata={"deletionTimestamp": "2027-01-15T08:00:00Z", "finalizers": [FINALIZER]})


async def test_groups_go_first_each_is_asked_once() -> None:
    gone = {"deletionTimestamp": "2027-01-15T08:00:00Z", "finalizers": [FINALIZER]}
    world, ctx = await world_of(deleting(), make_pd_group(), make_group("a", metadata=gone), make_group("b"))
    assert isinstance(ctx.pds, FakePDs)
    ctx.pds.registered[ctx.key] = "http://pd"
    result = await finalizer.remove(ctx)
    assert result.status is Status.WAIT
    assert result.message == "deleting components: PDGroup/pd, TiKVGroup/a, TiKVGroup/b"
    assert world.writes == ["delete PDGroup pd", "delete TiKVGroup b"]
    assert ctx.pds.registered == {}


async def test_then_the_cluster_is_let_go() -> None:
    world, ctx = await world_of(deleting())
    assert (await finalizer.remove(ctx)).status is Status.COMPLETE
    assert world.all(Cluster) == []
    assert ctx.found is None


async def test_a_group_that_can_not_be_deleted_keeps_no_other_from_it() -> None:
    world, ctx = await world_of(deleting(), make_pd_group(), make_group())

    def refuse(verb: str, kind: str, key: Any) -> None:
        if kind == "PDGroup":
            raise Forbidden("no", code=403)

    world.before_write = refuse
    with pytest.raises(Forbidden):
        await finalizer.remove(ctx)
    assert world.all(TiKVGroup) == []


# Features


async def test_features_are_copied_in_order_to_the_groups_that_lack_them() -> None:
    gates = [{"name": "UseTiKVReadyAPI"}, {"name": "FeatureModification"}]
    wanted = ["UseTiKVReadyAPI", "FeatureModification"]
    world, ctx = await world_of(
        make_cluster(spec={"featureGates": gates}),
        make_pd_group(features=wanted),
        make_group("a", features=list(reversed(wanted))),
        make_group("b"),
    )
    await features.copy(ctx)
    assert world.writes == ["patch TiKVGroup a", "patch TiKVGroup b"]
    assert [group.spec.features for group in world.all(TiKVGroup)] == [wanted, wanted]


@pytest.mark.parametrize("had", [pytest.param(None, id="no list"), pytest.param([], id="an empty list")])
@pytest.mark.parametrize("gates", [pytest.param({}, id="none"), pytest.param({"featureGates": []}, id="an empty list")])
async def test_no_features_is_no_features_however_it_is_written(had: list[str] | None, gates: dict[str, Any]) -> None:
    world, ctx = await world_of(make_cluster(spec=gates), make_group(features=had))
    await features.copy(ctx)
    assert world.writes == []


async def test_features_are_taken_away_too() -> None:
    world, ctx = await world_of(make_cluster(), make_group(features=["MultiPDGroup"]))
    await features.copy(ctx)
    assert world.one(TiKVGroup, "basic").spec.features == []


async def test_a_group_that_changed_meanwhile_is_not_overwritten() -> None:
    world, ctx = await world_of(make_cluster(spec={"featureGates": [{"name": "MultiPDGroup"}]}), make_group())
    world.change(world.one(TiKVGroup, "basic"))
    with pytest.raises(Conflict):
        await features.copy(ctx)


# Services


async def test_no_service_without_a_feature() -> None:
    world, ctx = await world_of(make_cluster())
    await svc.services(ctx)
    assert world.all(Service) == []


async def test_services_that_features_ask_for() -> None:
    gates = [{"name": "ClusterSubdomain"}, {"name": "MultiPDGroup"}]
    world, ctx = await world_of(make_cluster(spec={"featureGates": gates}))
    await svc.services(ctx)
    await svc.services(ctx)
    assert names(world.all(Service)) == ["tc-cluster", "tc-pd"]
    assert len(world.writes) == 2


def test_the_service_of_all_pods_of_a_cluster() -> None:
    labels = {"pingcap.com/managed-by": "tidb-operator", "pingcap.com/cluster": "tc"}
    assert json.loads(encode(subdomain_service(make_cluster()))) == {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "tc-cluster", "namespace": "ns1", "labels": labels, "ownerReferences": [OWNER]},
        "spec": {
            "type": "ClusterIP",
            "clusterIP": "None",
            "ipFamilyPolicy": "PreferDualStack",
            "publishNotReadyAddresses": True,
            "selector": labels,
        },
    }


def test_the_service_of_all_pds_of_a_cluster() -> None:
    labels = {
        "pingcap.com/managed-by": "tidb-operator",
        "pingcap.com/component": "pd",
        "pingcap.com/cluster": "tc",
    }
    made = pd_service(make_cluster(spec={"customizedPDServiceName": "mypd"}))
    assert json.loads(encode(made)) == {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "mypd", "namespace": "ns1", "labels": labels, "ownerReferences": [OWNER]},
        "spec": {
            "type": "ClusterIP",
            "ipFamilyPolicy": "PreferDualStack",
            "selector": labels,
            "ports": [{"name": "client", "port": 2379, "protocol": "TCP", "targetPort": "client"}],
        },
    }


# PD


@pytest.mark.parametrize(
    ("spec", "groups", "url"),
    [
        pytest.param({}, [], None, id="no PD group"),
        pytest.param({}, [make_pd_group("b"), make_pd_group("a")], "http://a-pd.ns1:2379", id="the first by name"),
        pytest.param({"tlsCluster": {"enabled": True}}, [make_pd_group()], "https://pd-pd.ns1:2379", id="TLS"),
        pytest.param(
            {"dns": {"mode": "FQDN"}}, [make_pd_group()], "http://pd-pd.ns1.svc.cluster.local:2379", id="full names"
        ),
        pytest.param(
            {"featureGates": [{"name": "MultiPDGroup"}]},
            [make_pd_group()],
            "http://tc-pd.ns1:2379",
            id="over all groups",
        ),
    ],
)
async def test_where_pd_is(spec: dict[str, Any], groups: list[PDGroup], url: str | None) -> None:
    _, ctx = await world_of(make_cluster(spec=spec), *groups)
    await pd.locate(ctx)
    assert ctx.status.pd == url


async def test_a_pd_group_may_have_another_port() -> None:
    group = make_pd_group(template={"server": {"ports": {"client": {"port": 32379}}}})
    _, ctx = await world_of(make_cluster(), group)
    await pd.locate(ctx)
    assert ctx.status.pd == "http://pd-pd.ns1:32379"


async def test_pds_url_never_changes() -> None:
    _, ctx = await world_of(make_cluster(status={"pd": "http://old:1"}), make_pd_group())
    await pd.locate(ctx)
    assert ctx.status.pd == "http://old:1"


async def test_the_id_comes_from_what_pd_has_told() -> None:
    _, ctx = await world_of(make_cluster(status={"pd": "http://pd:1"}), pd=FakePD(cluster_id="7452"))
    await pd.register(ctx)
    result = await pd.identify(ctx)
    assert (result.status, ctx.status.id) == (Status.COMPLETE, "7452")
    assert events_of(ctx) == ["Normal PDReady PD calls the cluster 7452"]
    assert isinstance(ctx.pds, FakePDs)
    assert ctx.pds.registered == {ctx.key: "http://pd:1"}


@pytest.mark.parametrize(
    ("error", "message"),
    [
        pytest.param(None, "cluster id is not set: PD has not answered yet", id="not asked yet"),
        pytest.param(PDUnreachable("refused"), "cluster id is not set: refused", id="no answer"),
    ],
)
async def test_while_the_id_is_unknown_pd_is_asked_often(error: Exception | None, message: str) -> None:
    asked = FakePD(error=error)
    _, ctx = await world_of(make_cluster(status={"pd": "http://pd:1"}), pd=asked)
    await pd.register(ctx)
    result = await pd.identify(ctx)
    assert (result.status, result.message, result.after) == (Status.RETRY, message, ctx.settings.requeue)
    assert asked.hurried == 1


async def test_a_known_id_stays_even_if_pd_is_another_one() -> None:
    _, ctx = await world_of(make_cluster(status={"pd": "http://pd:1", "id": "1"}), pd=FakePD(cluster_id="2"))
    await pd.register(ctx)
    await pd.identify(ctx)
    assert ctx.status.id == "1"


# Status


def conditions(ctx: ClusterContext) -> dict[str, tuple[str, str, str]]:
    return {found.type: (found.status, found.reason, found.message) for found in ctx.status.conditions}


async def test_a_cluster_that_is_created() -> None:
    _, ctx = await world_of(make_cluster(), make_pd_group())
    await status.components(ctx)
    await status.conditions(ctx)
    assert [(component.kind, component.replicas) for component in ctx.status.components or ()] == [("PD", 3)]
    assert conditions(ctx) == {
        "Progressing": ("True", "ClusterCreation", "Cluster is being created"),
        "Available": ("False", "ClusterAvailable", "Cluster is not available"),
        "Ready": (
            "False",
            "ClusterReady",
            "Groups not satisfying Ready for the current Cluster generation: PDGroup/pd",
        ),
        "Synced": (
            "False",
            "ClusterSynced",
            "Groups not satisfying Synced for the current Cluster generation: PDGroup/pd",
        ),
        "Suspended": ("False", "ClusterSuspend", "Cluster is not suspended"),
    }
    assert list(conditions(ctx)) == ["Progressing", "Available", "Ready", "Synced", "Suspended"]


async def test_components_add_up_their_groups() -> None:
    _, ctx = await world_of(make_cluster(), make_group("a", replicas=3), make_group("b", replicas=4), make_pd_group())
    await status.components(ctx)
    assert [(part.kind, part.replicas) for part in ctx.status.components or ()] == [("PD", 3), ("TiKV", 7)]


async def test_a_cluster_without_groups() -> None:
    _, ctx = await world_of(make_cluster())
    await status.components(ctx)
    await status.conditions(ctx)
    assert ctx.status.components is None
    assert conditions(ctx)["Ready"] == (
        "False",
        "ClusterReady",
        "No Groups are currently observed by the controller cache",
    )


def saying(name: str, *, cluster_generation: int = 1, **said: str) -> TiKVGroup:
    """Return a group with conditions, as of a generation of the Cluster."""
    told = [
        {"type": kind, "status": value, "reason": "X", "message": "", "observedGeneration": 1}
        for kind, value in said.items()
    ]
    state = {"observedGeneration": 1, "observedClusterGeneration": cluster_generation, "conditions": told}
    return make_group(name, status=state)


SUSPENDING = {"suspendAction": {"suspendCompute": True}}
NOBODY = "No Groups are currently observed by the controller cache"


def lacking(condition: str, *groups: str) -> str:
    return f"Groups not satisfying {condition} for the current Cluster generation: {', '.join(groups)}"


def reached(condition: str) -> str:
    return f"All Groups have {condition}=True for the current Cluster generation"


@pytest.mark.parametrize(
    ("cluster", "groups", "condition", "value", "reason", "message"),
    [
        pytest.param(
            {}, [], "Progressing", "True", "ClusterCreation", "Cluster is being created", id="Progressing: created"
        ),
        pytest.param(
            {"metadata": {"deletionTimestamp": "2027-01-15T08:00:00Z", "finalizers": [FINALIZER]}},
            [],
            "Progressing",
            "True",
            "ClusterDeletion",
            "Cluster is being deleted",
            id="Progressing: deleted",
        ),
        pytest.param(
            {}, [], "Available", "False", "ClusterAvailable", "Cluster is not available", id="Available: no TiDB here"
        ),
        *(
            pytest.param(cluster, groups, kind, status, f"Cluster{kind}", message, id=f"{kind}: {what}")
            for kind in ("Ready", "Synced")
            for what, cluster, groups, status, message in (
                ("no groups", {}, [], "False", NOBODY),
                ("all groups", {}, [{kind: "True"}], "True", reached(kind)),
                ("not all groups", {}, [{kind: "True"}, {kind: "False"}], "False", lacking(kind, "TiKVGroup/b")),
                (
                    "an older generation",
                    {"metadata": {"generation": 2}},
                    [{kind: "True"}],
                    "False",
                    lacking(kind, "TiKVGroup/a"),
                ),
            )
        ),
        pytest.param(
            {}, [], "Suspended", "False", "ClusterSuspend", "Cluster is not suspended", id="Suspended: not asked for"
        ),
        pytest.param(
            {"spec": SUSPENDING},
            [{"Suspended": "True"}, {"Suspended": "False"}],
            "Suspended",
            "False",
            "ClusterSuspend",
            "Cluster is suspending",
            id="Suspended: on its way",
        ),
        pytest.param(
            {"spec": SUSPENDING},
            [{"Suspended": "True"}],
            "Suspended",
            "True",
            "ClusterSuspend",
            "Cluster is suspended",
            id="Suspended: done",
        ),
    ],
)
async def test_a_condition(
    cluster: dict[str, Any], groups: list[dict[str, str]], condition: str, value: str, reason: str, message: str
) -> None:
    told = [saying(name, **said) for name, said in zip("abc", groups, strict=False)]
    _, ctx = await world_of(make_cluster(**cluster), *told)
    await status.conditions(ctx)
    assert conditions(ctx)[condition] == (value, reason, message)


async def test_ready_and_synced_need_every_group_at_the_clusters_generation() -> None:
    _, ctx = await world_of(
        make_cluster(metadata={"generation": 2}),
        saying("a", cluster_generation=2, Ready="True", Synced="True"),
        saying("b", cluster_generation=1, Ready="True", Synced="True"),
        saying("c", cluster_generation=2, Ready="True", Synced="False"),
    )
    await status.conditions(ctx)
    assert conditions(ctx)["Ready"][2].endswith(": TiKVGroup/b")
    assert conditions(ctx)["Synced"][2].endswith(": TiKVGroup/b, TiKVGroup/c")


async def test_when_all_groups_are_ready_the_cluster_is() -> None:
    _, ctx = await world_of(make_cluster(), saying("a", Ready="True", Synced="True"))
    await status.conditions(ctx)
    assert conditions(ctx)["Ready"] == (
        "True",
        "ClusterReady",
        "All Groups have Ready=True for the current Cluster generation",
    )
    assert conditions(ctx)["Synced"][0] == "True"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        pytest.param("False", ("False", "ClusterSuspend", "Cluster is suspending"), id="on its way"),
        pytest.param("True", ("True", "ClusterSuspend", "Cluster is suspended"), id="done"),
    ],
)
async def test_suspending(said: str, expected: tuple[str, str, str]) -> None:
    cluster = make_cluster(spec={"suspendAction": {"suspendCompute": True}})
    _, ctx = await world_of(cluster, saying("a", Suspended=said))
    await status.conditions(ctx)
    assert conditions(ctx)["Suspended"] == expected


async def test_a_cluster_that_is_deleted_says_so() -> None:
    _, ctx = await world_of(deleting(), make_group())
    await status.conditions(ctx)
    assert conditions(ctx)["Progressing"] == ("True", "ClusterDeletion", "Cluster is being deleted")


async def test_a_pd_that_is_lost_is_said_and_warned_of_once() -> None:
    lost = FakePD(error=PDUnreachable("refused"))
    _, ctx = await world_of(make_cluster(status={"pd": "http://pd:1", "id": "1"}), pd=lost)
    await pd.register(ctx)
    await status.conditions(ctx)
    await status.conditions(ctx)
    assert conditions(ctx)["Available"][2] == "Cluster is not available: PD at http://pd:1 does not answer"
    assert events_of(ctx) == ["Warning PDUnreachable PD at http://pd:1 does not answer: refused"]


async def test_a_status_is_written_if_it_changed_and_only_then() -> None:
    world, ctx = await world_of(make_cluster(), make_group())
    for _ in range(2):
        await status.conditions(ctx)
        await status.write(ctx)
    assert world.writes == ["update-status Cluster tc"]
    stored = world.one(Cluster, "tc").status
    assert stored is not None
    assert (stored.observed_generation, stored.id) == (1, "")


async def test_a_pd_of_another_cluster_is_said_and_warned_of_once() -> None:
    _, ctx = await world_of(make_cluster(status={"pd": "http://pd:1", "id": "1"}), pd=FakePD(cluster_id="2"))
    await pd.register(ctx)
    for _ in range(2):
        await status.conditions(ctx)
    message = "Cluster is not available: PD at http://pd:1 answers for cluster 2, not for 1"
    assert conditions(ctx)["Available"] == ("False", "ClusterAvailable", message)
    assert events_of(ctx) == [f"Warning PDOfAnotherCluster {message}; nothing that it says of stores is believed"]


async def test_a_budget_that_is_no_number_is_said_and_warned_of_once() -> None:
    annotations = {"core.pingcap.com/max-unavailable": "some"}
    _, ctx = await world_of(make_cluster(metadata={"annotations": annotations}))
    for _ in range(2):
        await status.conditions(ctx)
    message = "not a number above 0, so it is not heeded: annotation core.pingcap.com/max-unavailable"
    assert conditions(ctx)["BudgetInvalid"] == ("True", "AnnotationInvalid", message)
    assert events_of(ctx) == [f"Warning AnnotationInvalid {message}"]
    ctx.cluster.metadata.annotations = {}
    await status.conditions(ctx)
    assert "BudgetInvalid" not in conditions(ctx)


async def test_a_failure_that_needs_somebody_is_said() -> None:
    world, ctx = await world_of(make_cluster())
    await status.failure(ctx, "Service", fail("forbidden", Forbidden("forbidden", code=403)))
    stored = world.one(Cluster, "tc").status
    assert stored is not None
    assert conditions(ctx)["Synced"] == ("False", "ReconcileFailed", "Service: forbidden")
    assert events_of(ctx) == ["Warning ReconcileFailed Service: forbidden"]
    await status.failure(ctx, "Service", fail("later", ServiceUnavailable("later", code=503)))
    assert conditions(ctx)["Synced"][2] == "Service: forbidden"
