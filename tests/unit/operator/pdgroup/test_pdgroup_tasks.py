"""The tasks of a PDGroup, alone: the original's cases by their numbers, and what is decided otherwise here."""

from __future__ import annotations

from typing import Any

import pytest

from controller_runtime.api import Condition, ObjectMeta, format_time
from controller_runtime.api.k8s import PodDisruptionBudget, Service
from controller_runtime.client import Forbidden, ServiceUnavailable
from controller_runtime.task import Status
from helpers.group_fakes import FakeCluster, FakeEvents, StillClock, quiet_log
from helpers.group_instances import NOW
from helpers.group_world import make_cluster, make_group, make_pd_group
from helpers.pd_fakes import FakeHandles, FakeMembers, make_member, make_pd
from tikv_operator.api import PD, PDGroup, PDStatus, TemplateMeta
from tikv_operator.common.conditions import find_condition
from tikv_operator.common.keys import ANNOTATION_INITIAL_CLUSTER_NUM
from tikv_operator.common.revision import revision_data, revision_hash
from tikv_operator.common.settings import Settings
from tikv_operator.group.allocation import NameAllocator
from tikv_operator.group.build import Blueprint, headless_service
from tikv_operator.group.tasks import finalizer, pdb, status
from tikv_operator.group.tasks.state import Revisions
from tikv_operator.pdgroup.component import PD_GROUP, client_service
from tikv_operator.pdgroup.membership import failed, obstacle_to_change, strangers
from tikv_operator.pdgroup.tasks import boot, mode, svc, updater
from tikv_operator.pdgroup.tasks import ctx as looks
from tikv_operator.pdgroup.tasks import finalizer as pd_finalizer
from tikv_operator.pdgroup.tasks.state import PDGroupContext, is_needed

NEW, OLD = "aaa-pd-new", "aaa-pd-old"


def pd(
    name: str,
    *,
    revision: str = NEW,
    ready: bool = True,
    running: bool = True,
    ready_for: float = 3600.0,
    boot: bool = False,
    deleting: bool = False,
    leader: bool = False,
    number: str = "",
    **spec: Any,
) -> PD:
    """A PD of the group aaa; by default one of the new revision that has been ready for an hour."""
    annotations = {ANNOTATION_INITIAL_CLUSTER_NUM: "3"} if boot else {}
    made = make_pd(name, group="aaa", annotations=annotations, deleting=deleting, **spec)
    made.metadata.generation = 1
    made.metadata.labels["pingcap.com/instance-revision-hash"] = revision
    made.status = PDStatus(
        id=number,
        is_leader=leader,
        observed_generation=1,
        current_revision=revision,
        conditions=[
            Condition(
                type=kind,
                status=str(value),
                reason=kind if value else "Not",
                last_transition_time=format_time(NOW - ready_for),
                observed_generation=1,
            )
            for kind, value in (("Ready", ready), ("Running", running), ("Synced", True))
        ],
    )
    return made


def members(*names: str, **parts: Any) -> FakeMembers:
    return FakeMembers(*(make_member(name, number) for number, name in enumerate(names, 1)), **parts)


def group(*, replicas: int = 3, bootstrapped: bool | None = True, **parts: Any) -> PDGroup:
    made = make_pd_group("aaa", replicas=replicas, bootstrapped=bootstrapped, **parts)
    made.metadata.resource_version = "1"
    return made


def context(made: PDGroup, *pds: PD, handle: FakeMembers | None = None, others: Any = (), cluster: Any = None) -> Any:
    world = FakeCluster(StillClock(NOW))
    world.add(cluster or make_cluster(), made, *pds, *others)
    ctx: Any = PDGroupContext(
        component=PD_GROUP,
        client=world.client,
        clock=world.clock,
        log=quiet_log(),
        events=FakeEvents(),
        key=made.key,
        settings=Settings(),
        names=NameAllocator(lambda uid, generation, number: f"{number:06}"),
        pds=FakeHandles(handle),  # type: ignore[arg-type]
    )
    ctx.found = world.one(PDGroup, "aaa")
    ctx.instances = [found for found in world.all(PD) if found.metadata.labels["pingcap.com/group"] == "aaa"]
    ctx.names.observe(ctx.group, [found.metadata.name for found in ctx.instances])
    ctx.cluster = cluster or make_cluster()
    ctx.groups = [*world.all(PDGroup), *[other for other in others if not isinstance(other, PDGroup | PD)]]
    ctx.pds_of_cluster = world.all(PD)
    ctx.handle = handle
    update = Blueprint(revision=NEW, template=made.spec.template, features=())
    ctx.revisions = Revisions(update=update, current=NEW, previous=update, collision_count=0)
    return ctx


def world_of(ctx: Any) -> FakeCluster:
    world: FakeCluster = ctx.client
    return world


def refuse(*_: Any) -> None:
    raise Forbidden("no", code=403)


class TestBoot:
    """Section 6: member cache synced, spec.bootstrapped -> result, bootstrapped afterwards."""

    async def test_6_unknown_and_unborn(self) -> None:
        ctx = context(group(bootstrapped=None))
        assert (await boot.boot(ctx)).status is Status.WAIT
        assert not ctx.group.spec.bootstrapped

    async def test_6_unknown_and_bootstrapped(self) -> None:
        ctx = context(group())
        assert (await boot.boot(ctx)).status is Status.COMPLETE

    async def test_6_synced_and_unborn(self) -> None:
        ctx = context(group(bootstrapped=None), handle=members("aaa-0"))
        assert (await boot.boot(ctx)).status is Status.COMPLETE
        assert ctx.group.spec.bootstrapped
        assert world_of(ctx).writes == ["patch PDGroup aaa"]

    async def test_6_synced_and_unborn_but_all_calls_fail(self) -> None:
        ctx = context(group(bootstrapped=None), handle=members("aaa-0"))

        def refuse(verb: str, kind: str, key: Any) -> None:
            raise ServiceUnavailable("down", code=503)

        world_of(ctx).before_write = refuse
        with pytest.raises(ServiceUnavailable):
            await boot.boot(ctx)

    async def test_6_synced_and_bootstrapped(self) -> None:
        ctx = context(group(), handle=members("aaa-0"))
        assert (await boot.boot(ctx)).status is Status.COMPLETE
        assert world_of(ctx).writes == []

    async def test_a10_a_cluster_that_was_born_is_not_founded_again_if_somebody_unsets_the_flag(self) -> None:
        cluster = make_cluster(status={"id": "7", "pd": "http://aaa-pd.ns1:2379"})
        ctx = context(group(bootstrapped=None), cluster=cluster)
        await boot.boot(ctx)
        assert ctx.group.spec.bootstrapped

    async def test_13_one_founder_that_is_not_ready_keeps_them_all(self) -> None:
        ctx = context(group(), pd("aaa-0", boot=True), pd("aaa-1", boot=True, ready=False), handle=members("aaa-0"))
        result = await boot.boot(ctx)
        assert (result.status, result.message) == (Status.WAIT, "wait until pds aaa-1 are ready")
        assert world_of(ctx).writes == []

    async def test_13_founders_that_are_all_ready_forget_it(self) -> None:
        ctx = context(group(), pd("aaa-0", boot=True), pd("aaa-1"), handle=members("aaa-0"))
        assert (await boot.boot(ctx)).status is Status.COMPLETE
        assert world_of(ctx).writes == ["patch PD aaa-0"]
        assert world_of(ctx).one(PD, "aaa-0").metadata.annotations == {}

    async def test_b1_a_second_group_does_not_found_a_second_cluster(self) -> None:
        elder = make_pd_group("a-first")
        elder.metadata.creation_timestamp = "2020-01-01T00:00:00Z"
        mine = group(bootstrapped=None)
        mine.metadata.creation_timestamp = "2021-01-01T00:00:00Z"
        ctx = context(mine, others=[elder])
        result = await boot.boot(ctx)
        assert result.message == "PDGroup a-first founds the cluster; this one joins when that is done"
        await updater.update(ctx)
        assert world_of(ctx).writes == []

    async def test_b3_a_group_without_replicas_says_that_it_can_never_be_scaled(self) -> None:
        ctx = context(group(replicas=0, bootstrapped=None))
        await boot.boot(ctx)
        assert "create it anew" in ctx.waiting_for

    async def test_b3_bootstrapped_without_any_pd_says_what_is_wrong(self) -> None:
        ctx = context(group())
        await boot.boot(ctx)
        assert ctx.waiting_for.startswith("bootstrapped is set, so that servers join the PD at")


class TestFinalizer:
    def deleting(self, *pds: PD, others: Any = (), cluster: Any = None) -> Any:
        made = group()
        made.metadata.deletion_timestamp = format_time(NOW)
        made.metadata.finalizers = ["pingcap.com/finalizer", "other"]
        return context(made, *pds, others=others, cluster=cluster)

    async def test_7_nothing_left(self) -> None:
        ctx = self.deleting()
        assert (await finalizer.remove(ctx)).status is Status.COMPLETE
        assert world_of(ctx).one(PDGroup, "aaa").metadata.finalizers == ["other"]

    async def test_7_a_service_is_left(self) -> None:
        ctx = self.deleting()
        await svc.services(ctx)
        assert (await finalizer.remove(ctx)).status is Status.WAIT
        assert "pingcap.com/finalizer" in world_of(ctx).one(PDGroup, "aaa").metadata.finalizers

    async def test_7_an_instance_lives(self) -> None:
        ctx = self.deleting(pd("aaa-0"))
        assert (await finalizer.remove(ctx)).status is Status.WAIT
        assert world_of(ctx).writes == ["delete PD aaa-0"]
        assert world_of(ctx).one(PD, "aaa-0").metadata.finalizers == ["pingcap.com/finalizer"], "never stripped"

    async def test_7_an_instance_is_going(self) -> None:
        ctx = self.deleting(pd("aaa-0", deleting=True))
        assert (await finalizer.remove(ctx)).status is Status.WAIT
        assert world_of(ctx).writes == []

    @pytest.mark.parametrize(
        ("instances", "service", "fails"),
        [
            pytest.param([], False, True, id="nothing left: the finalizer"),
            pytest.param([], True, True, id="a service"),
            pytest.param([pd("aaa-0")], False, True, id="an instance"),
            pytest.param([pd("aaa-0", deleting=True)], False, False, id="an instance that is going"),
        ],
    )
    async def test_7_the_api_server_refuses_all_writes(self, instances: list[PD], service: bool, fails: bool) -> None:
        ctx = self.deleting(*instances)
        if service:
            await svc.services(ctx)
        world_of(ctx).before_write = refuse
        if fails:
            with pytest.raises(Forbidden):
                await finalizer.remove(ctx)
        else:
            assert (await finalizer.remove(ctx)).status is Status.WAIT
        assert "pingcap.com/finalizer" in world_of(ctx).one(PDGroup, "aaa").metadata.finalizers

    async def test_a6_the_last_pd_stays_while_others_need_it(self) -> None:
        ctx = self.deleting(pd("aaa-0"), others=[make_group("kv")])
        assert is_needed(ctx)
        result = await pd_finalizer.needed(ctx)
        assert result.message == "deletion waits: TiKVGroup/kv cannot do without PD; delete them first, or the Cluster"
        await status.synced(ctx)
        found = find_condition(ctx.status.conditions, "Synced")
        assert found is not None
        assert "TiKVGroup/kv cannot do without PD" in found.message

    def test_a6_one_of_several_groups_is_not_needed(self) -> None:
        assert not is_needed(self.deleting(others=[make_group("kv"), make_pd_group("bbb")]))

    def test_with_its_cluster_every_group_goes(self) -> None:
        cluster = make_cluster(metadata={"deletionTimestamp": format_time(NOW)})
        assert not is_needed(self.deleting(others=[make_group("kv")], cluster=cluster))


class TestServices:
    async def test_8_both_are_made(self) -> None:
        ctx = context(group())
        await svc.services(ctx)
        made = {service.metadata.name: service for service in world_of(ctx).all(Service)}
        assert sorted(made) == ["aaa-pd", "aaa-pd-peer"]
        headless, client = made["aaa-pd-peer"].spec, made["aaa-pd"].spec
        assert headless is not None
        assert client is not None
        assert (headless.cluster_ip, headless.publish_not_ready_addresses) == ("None", True)
        assert (client.cluster_ip, client.publish_not_ready_addresses, client.type) == (None, None, "ClusterIP")
        for spec in (headless, client):
            assert [(port.name, port.port, port.target_port) for port in spec.ports or []] == [
                ("client", 2379, "client"),
                ("peer", 2380, "peer"),
            ]
            assert spec.ip_family_policy == "PreferDualStack"

    async def test_8_with_one_service_for_the_cluster_there_is_only_the_headless_one(self) -> None:
        gates = {"featureGates": [{"name": "MultiPDGroup"}]}
        ctx = context(group(), cluster=make_cluster(spec=gates))
        await svc.services(ctx)
        assert [service.metadata.name for service in world_of(ctx).all(Service)] == ["aaa-pd-peer"]

    @pytest.mark.parametrize(
        ("existing", "refused", "fails"),
        [
            pytest.param([], False, False, id="none"),
            pytest.param(["aaa-pd-peer"], False, False, id="a foreign headless one"),
            pytest.param(["aaa-pd"], False, False, id="a foreign one for clients"),
            pytest.param([], True, True, id="none, refused"),
            pytest.param(["aaa-pd-peer", "right"], True, True, id="the headless one, refused"),
            pytest.param(["aaa-pd-peer", "aaa-pd", "right"], True, False, id="both, refused"),
        ],
    )
    async def test_8_what_is_there_already(self, existing: list[str], refused: bool, fails: bool) -> None:
        ctx = context(group())
        right = {"aaa-pd-peer": headless_service(PD_GROUP, ctx.group), "aaa-pd": client_service(ctx.group)}
        for name in existing[: len(existing) - ("right" in existing)]:
            foreign = Service(metadata=ObjectMeta(name=name, namespace="ns1"))
            world_of(ctx).add(right[name] if "right" in existing else foreign)
        if refused:
            world_of(ctx).before_write = refuse
        if fails:
            with pytest.raises(Forbidden):
                await svc.services(ctx)
            return
        await svc.services(ctx)
        for name, service in right.items():
            found = world_of(ctx).one(Service, name)
            assert (found.spec, found.metadata.labels) == (service.spec, service.metadata.labels)

    async def test_d9_a_group_has_a_disruption_budget_of_one(self) -> None:
        ctx = context(group())
        await pdb.budget(ctx)
        found = world_of(ctx).one(PodDisruptionBudget, "aaa-pd-pdb")
        assert found.spec is not None
        assert found.spec.max_unavailable == 1


class TestUpdater:
    async def test_9_none_of_one(self) -> None:
        ctx = context(group(replicas=1, bootstrapped=None))
        assert (await updater.update(ctx)).status is Status.WAIT
        (made,) = world_of(ctx).all(PD)
        assert made.metadata.annotations == {ANNOTATION_INITIAL_CLUSTER_NUM: "1"}
        assert made.spec.subdomain == "aaa-pd-peer"

    async def test_9_founders_come_all_at_once(self) -> None:
        ctx = context(group(bootstrapped=None))
        assert (await updater.update(ctx)).status is Status.WAIT
        assert len(world_of(ctx).all(PD)) == 3

    async def test_9_one_updated_of_one(self) -> None:
        ctx = context(group(replicas=1), pd("aaa-0"), handle=members("aaa-0"))
        assert (await updater.update(ctx)).status is Status.COMPLETE

    async def test_9_two_updated_of_two_write_nothing(self) -> None:
        ctx = context(group(replicas=2), pd("aaa-0"), pd("aaa-1"), handle=members("aaa-0", "aaa-1"))
        assert (await updater.update(ctx)).status is Status.COMPLETE
        assert world_of(ctx).writes == []

    @pytest.mark.parametrize(
        ("instances", "fails"),
        [
            pytest.param([], True, id="none of 2"),
            pytest.param([OLD], True, id="1 outdated of 2"),
            pytest.param([NEW, NEW], False, id="2 updated of 2"),
        ],
    )
    async def test_9_the_api_server_refuses_all_writes(self, instances: list[str], fails: bool) -> None:
        pds = [pd(f"aaa-{number}", revision=revision) for number, revision in enumerate(instances)]
        ctx = context(group(replicas=2), *pds, handle=members(*(found.metadata.name for found in pds)))
        world_of(ctx).before_write = refuse
        if fails:
            with pytest.raises(Forbidden):
                await updater.update(ctx)
        else:
            assert (await updater.update(ctx)).status is Status.COMPLETE

    async def test_9_one_outdated_of_two(self) -> None:
        ctx = context(group(replicas=2), pd("aaa-0", revision=OLD), handle=members("aaa-0"))
        assert (await updater.update(ctx)).status is Status.WAIT
        assert len(world_of(ctx).all(PD)) == 2

    async def test_9_the_leader_is_updated_last(self) -> None:
        pds = [pd(f"aaa-{number}", revision=OLD) for number in range(3)]
        ctx = context(group(), *pds, handle=members("aaa-0", "aaa-1", "aaa-2"))
        await updater.update(ctx)
        assert world_of(ctx).writes == ["apply PD aaa-1"]

    async def test_9_the_leader_leaves_last(self) -> None:
        pds = [pd(f"aaa-{number}") for number in range(3)]
        ctx = context(group(replicas=2), *pds, handle=members("aaa-0", "aaa-1", "aaa-2"))
        await updater.update(ctx)
        assert world_of(ctx).writes == ["delete PD aaa-1"]

    async def test_9_topologies_are_spread(self) -> None:
        spread = [
            {"type": "EvenlySpread", "evenlySpread": {"topologies": [{"topology": {"zone": zone}} for zone in "abc"]}}
        ]
        ctx = context(group(bootstrapped=None, schedulePolicies=spread))
        await updater.update(ctx)
        assert sorted((made.spec.topology or {})["zone"] for made in world_of(ctx).all(PD)) == ["a", "b", "c"]

    async def test_13_a_server_that_joins_has_no_annotation(self) -> None:
        ctx = context(group(replicas=2), pd("aaa-0"), handle=members("aaa-0"))
        await updater.update(ctx)
        made = world_of(ctx).one(PD, "aaa-000000")
        assert made.metadata.annotations == {}

    async def test_a5_members_are_added_one_at_a_time(self) -> None:
        ctx = context(
            group(replicas=5), pd("aaa-0"), pd("aaa-1"), pd("aaa-2"), handle=members("aaa-0", "aaa-1", "aaa-2")
        )
        await updater.update(ctx)
        assert world_of(ctx).writes == ["apply PD aaa-000000"]

    async def test_a5_the_next_one_waits_until_the_last_is_a_healthy_member(self) -> None:
        pds = [pd("aaa-0"), pd("aaa-1"), pd("aaa-2"), pd("aaa-3", ready=False)]
        for handle in (
            members("aaa-0", "aaa-1", "aaa-2"),
            members("aaa-0", "aaa-1", "aaa-2", "aaa-3", ill=["aaa-3"]),
            members("aaa-0", "aaa-1", "aaa-2", ""),
        ):
            ctx = context(group(replicas=5), *pds, handle=handle)
            assert (await updater.update(ctx)).status is Status.RETRY
            assert world_of(ctx).writes == []
            assert ctx.waiting_for.startswith("the membership of pd cannot change: ")

    async def test_a3_members_are_removed_one_at_a_time(self) -> None:
        pds = [pd(f"aaa-{number}") for number in range(5)]
        names = [f"aaa-{number}" for number in range(5)]
        ctx = context(group(replicas=3), *pds, handle=members(*names))
        await updater.update(ctx)
        assert world_of(ctx).writes == ["delete PD aaa-1"]
        pds[1] = pd("aaa-1", deleting=True)
        ctx = context(group(replicas=3), *pds, handle=members(*names))
        await updater.update(ctx)
        assert world_of(ctx).writes == []

    async def test_a5_over_all_groups_of_the_cluster(self) -> None:
        joining = make_pd("bbb-0", group="bbb")
        ctx = context(group(replicas=2), pd("aaa-0"), others=[joining], handle=members("aaa-0"))
        await updater.update(ctx)
        assert world_of(ctx).writes == []

    async def test_b4_while_pd_does_not_answer_no_member_comes_or_goes(self) -> None:
        ctx = context(group(replicas=5), pd("aaa-0"))
        assert (await updater.update(ctx)).status is Status.RETRY
        assert world_of(ctx).writes == []

    async def test_a4_a_member_without_a_pd_is_named(self) -> None:
        ctx = context(group(replicas=2), pd("aaa-0"), handle=members("aaa-0", ""))
        await updater.update(ctx)
        assert "member 2, which never started" in ctx.waiting_for

    async def test_a9_the_peer_port_of_members_is_not_changed(self) -> None:
        changed = {"server": {"ports": {"peer": {"port": 12380}}}}
        ctx = context(
            group(replicas=1, template=changed), pd("aaa-0", revision=OLD, number="1"), handle=members("aaa-0")
        )
        assert (await updater.update(ctx)).status is Status.WAIT
        assert world_of(ctx).writes == []
        assert ctx.waiting_for == "the peer port of existing members is 2380 and cannot be changed to 12380"

    async def test_a_member_that_does_not_come_back_is_replaced_if_that_was_asked_for(self) -> None:
        lost = pd("aaa-1", ready=False, running=False, ready_for=700.0)
        handle = members("aaa-0", "aaa-1", "aaa-2", ill=["aaa-1"])
        asked = group()
        ctx = context(asked, pd("aaa-0"), lost, pd("aaa-2"), handle=handle)
        await updater.update(ctx)
        assert world_of(ctx).writes == [], "nobody has asked"
        asked.metadata.annotations["core.pingcap.com/replace-failed-members"] = "600"
        ctx = context(asked, pd("aaa-0"), lost, pd("aaa-2"), handle=handle)
        await updater.update(ctx)
        assert world_of(ctx).writes == ["delete PD aaa-1"]

    async def test_a_wrong_image_before_the_birth_is_corrected_in_all_at_once(self) -> None:
        pds = [pd(f"aaa-{number}", revision=OLD, ready=False, running=False, boot=True) for number in range(3)]
        ctx = context(group(bootstrapped=None), *pds)
        await updater.update(ctx)
        assert world_of(ctx).writes == [f"apply PD aaa-{number}" for number in range(3)]


class TestMode:
    def said(self, ctx: Any) -> tuple[str, str]:
        found = find_condition(ctx.status.conditions, "ModeSwitching")
        return ("", "") if found is None else (found.status, found.reason)

    async def test_10_microservices_are_answered_with_a_condition(self) -> None:
        ctx = context(group(replicas=1, template={"mode": "ms"}), pd("aaa-0", revision=OLD), handle=members("aaa-0"))
        old = group(replicas=1).spec.template
        ctx.revisions = Revisions(
            update=ctx.revisions.update,
            current=OLD,
            previous=Blueprint(revision=OLD, template=old, features=()),
            collision_count=0,
        )
        assert (await mode.mode(ctx)).status is Status.WAIT
        assert self.said(ctx) == ("True", "ModeNotSupported")
        await updater.update(ctx)
        assert world_of(ctx).writes == []

    async def test_10_a_group_created_so_gets_no_instances(self) -> None:
        ctx = context(group(replicas=1, bootstrapped=None, template={"mode": "ms"}))
        await mode.mode(ctx)
        assert (await updater.update(ctx)).status is Status.WAIT
        assert world_of(ctx).writes == []

    async def test_10_all_at_the_normal_mode(self) -> None:
        ctx = context(group(replicas=1), pd("aaa-0"))
        await mode.mode(ctx)
        assert self.said(ctx) == ("False", "ModeSwitchComplete")

    async def test_10_on_creation_no_switch_is_needed(self) -> None:
        ctx = context(group(replicas=1))
        await mode.mode(ctx)
        assert self.said(ctx) == ("False", "ModeSwitchNotNeeded")

    async def test_10_an_instance_that_is_still_a_microservice_is_switched(self) -> None:
        ctx = context(group(replicas=1), pd("aaa-0", mode="ms"))
        await mode.mode(ctx)
        assert self.said(ctx) == ("True", "SwitchingPDInstances")


class TestLooking:
    async def test_pd_that_cannot_be_trusted_counts_as_unknown(self) -> None:
        ctx = context(group(), handle=members("aaa-0", fresh=False))
        ctx.handle = None
        assert (await looks.pd(ctx)).status is Status.WAIT
        assert ctx.handle is None

    async def test_all_groups_and_pds_of_the_cluster_are_seen(self) -> None:
        ctx = context(
            group(), pd("aaa-0"), others=[make_pd("bbb-0", group="bbb"), make_pd_group("bbb"), make_group("kv")]
        )
        ctx.groups, ctx.pds_of_cluster = [], []
        await looks.others(ctx)
        assert [found.metadata.name for found in ctx.groups] == ["aaa", "bbb", "kv"]
        assert [found.metadata.name for found in ctx.pds_of_cluster] == ["aaa-0", "bbb-0"]


class TestMembership:
    def test_members_that_no_pd_stands_for_are_named(self) -> None:
        snapshot = members("aaa-0", "foreign").snapshot
        assert snapshot is not None
        assert strangers(snapshot, [pd("aaa-0")]) == ["foreign"]
        assert obstacle_to_change(snapshot, [pd("aaa-0")]) == ""

    @pytest.mark.parametrize("ill", [("aaa-0", "aaa-1"), ()])
    def test_only_one_is_replaced_and_only_with_a_healthy_quorum(self, ill: tuple[str, ...]) -> None:
        snapshot = members("aaa-0", "aaa-1", "aaa-2", ill=ill).snapshot
        assert snapshot is not None
        lost = [pd(name, ready=False, ready_for=9999.0) for name in ill]
        assert failed(lost, snapshot, after=60, now=NOW) == []


@pytest.mark.parametrize(
    ("template", "features", "labels", "hashes"),
    [
        ({}, None, {}, ("754b54c94", "754b54c95", "754b54c8d")),
        ({"version": "v8.3.0", "mode": "ms"}, None, {}, ("865f6f567c", "865f6f567b", "865f6f567f")),
        (
            {
                "version": "v8.5.2",
                "config": 'log.level = "warn"\n',
                "resources": {"cpu": "1", "memory": "2Gi"},
                "updateStrategy": {"config": "Restart"},
            },
            ["UsePDReadyAPI"],
            {"a": "b"},
            ("687dfd67b7", "687dfd67b6", "687dfd67b5"),
        ),
    ],
)
def test_revisions_have_the_originals_names(
    template: dict[str, Any], features: list[str] | None, labels: dict[str, str], hashes: tuple[str, ...]
) -> None:
    made = group(template=template, features=features)
    if labels:
        made.spec.template.metadata = TemplateMeta(labels=labels)
    data = revision_data(made)
    assert tuple(revision_hash(data, count) for count in range(3)) == hashes
