"""The task Pod: the original's cases by their numbers, and what is decided otherwise here."""

from __future__ import annotations

from typing import Any

import pytest

from controller_runtime.client import ServiceUnavailable
from controller_runtime.task import Status
from helpers.pd_fakes import FakeMembers, make_member, make_pd, make_pd_pod, pd_context, with_ready
from helpers.tikv_fakes import NOW
from tikv_operator.api import PD, Overlay, PodOverlay, TemplateMeta, UpdateStrategy
from tikv_operator.pd.tasks.pod import pod
from tikv_operator.pdclient import PDError, PDUnreachable

SELF, PEER, THIRD = "aaa-xxx", "aaa-yyy", "aaa-zzz"
LABELLED = Overlay(pod=PodOverlay(metadata=TemplateMeta(labels={"k": "v"})))


def own(**spec: Any) -> PD:
    return make_pd(SELF, group="aaa", **{"version": "v1.2.3", **spec})


def peer(name: str = PEER, **spec: Any) -> PD:
    return with_ready(make_pd(name, group="aaa", **{"version": "v1.2.3", **spec}))


def trio(**changes: Any) -> FakeMembers:
    return FakeMembers(make_member(SELF, 1), make_member(PEER, 2), make_member(THIRD, 3), **changes)


def outdated(**parts: Any) -> Any:
    """The pod of another version, ready unless it is said otherwise."""
    return make_pd_pod(own(version="v1.3.3"), **parts)


def others(*names: str) -> dict[str, Any]:
    """Peers, with pods that are ready."""
    peers = [peer(name) for name in names or (PEER, THIRD)]
    return {"peers": peers, "others": [make_pd_pod(found) for found in peers]}


async def test_3_1_a_pd_that_still_believes_in_the_old_process_is_asked_again() -> None:
    handle = trio()
    ctx = pd_context(own(), handle=handle)
    result = await pod(ctx)
    assert result.status is Status.RETRY
    assert handle.refreshed == 1
    assert ctx.client.writes == []


async def test_3_2_a_pod_is_created() -> None:
    ctx = pd_context(own())
    assert (await pod(ctx)).status is Status.COMPLETE
    assert ctx.client.writes == ["create Pod aaa-pd-xxx"]
    assert ctx.pod.metadata.labels["tidb.pingcap.com/member-id"] == ""


async def test_3_3_an_api_server_that_refuses_is_a_failure() -> None:
    ctx = pd_context(own())
    ctx.client.errors["create Pod"] = ServiceUnavailable("down", code=503)
    with pytest.raises(ServiceUnavailable):
        await pod(ctx)


async def test_3_4_a_pod_that_does_not_run_is_replaced_without_asking_anybody() -> None:
    ctx = pd_context(own(), pod=outdated(phase="Pending", ready_for=None), handle=trio(ill=[SELF]))
    ctx.pod.metadata.creation_timestamp = None
    result = await pod(ctx)
    assert result.status is Status.WAIT
    assert ctx.pod_terminating
    assert ctx.client.writes == ["delete Pod aaa-pd-xxx"]


async def test_3_5_a_deletion_that_fails_is_a_failure() -> None:
    ctx = pd_context(own(), pod=outdated(), handle=trio(leader=PEER), **others())
    ctx.client.errors["delete Pod"] = ServiceUnavailable("down", code=503)
    with pytest.raises(ServiceUnavailable):
        await pod(ctx)
    assert not ctx.pod_terminating


async def test_3_6_the_leader_hands_over_before_its_pod_goes() -> None:
    handle = FakeMembers(make_member(SELF, 1), make_member(PEER, 2))
    ctx = pd_context(own(), pod=outdated(), handle=handle, **others(PEER))
    assert (await pod(ctx)).status is Status.WAIT
    assert handle.calls == [("transfer_leader", PEER)]
    assert ctx.client.writes == []
    assert not ctx.pod_terminating


async def test_3_7_without_a_peer_that_is_ready_the_leader_stays_and_says_so() -> None:
    handle = FakeMembers(make_member(SELF, 1), make_member(PEER, 2))
    neighbour = peer()
    unready = make_pd_pod(neighbour, ready_for=None)
    ctx = pd_context(own(), pod=outdated(), handle=handle, peers=[neighbour], others=[unready])
    assert (await pod(ctx)).status is Status.RETRY
    assert handle.calls == ctx.client.writes == []
    assert ctx.problems[0].message.startswith("no healthy transferee available")


async def test_3_8_a_pd_that_is_alone_is_restarted() -> None:
    ctx = pd_context(own(), pod=outdated(), handle=FakeMembers(make_member(SELF, 1)))
    assert (await pod(ctx)).status is Status.WAIT
    assert ctx.pod_terminating


async def test_3_9_a_follower_is_restarted() -> None:
    handle = trio(leader=PEER)
    ctx = pd_context(own(), pod=outdated(), handle=handle, **others())
    assert (await pod(ctx)).status is Status.WAIT
    assert ctx.pod_terminating
    assert handle.calls == []


async def test_3_10_another_configuration_that_reloads_hot_is_applied_in_place() -> None:
    strategy = UpdateStrategy(config="HotReload")
    ctx = pd_context(own(config="a = 1", update_strategy=strategy), pod=make_pd_pod(own()), handle=trio())
    assert (await pod(ctx)).status is Status.COMPLETE
    assert ctx.client.writes == ["apply Pod aaa-pd-xxx"]
    assert [waits.message for waits in ctx.restart] == ["the rest of the configuration is read when pd starts"]


async def test_d4_what_waits_for_a_restart_is_said_until_the_process_is_another_one() -> None:
    strategy = UpdateStrategy(config="HotReload")
    first = pd_context(own(config="a = 1", update_strategy=strategy), pod=make_pd_pod(own()), handle=trio())
    await pod(first)
    again = pd_context(own(config="a = 1", update_strategy=strategy), pod=first.pod, handle=trio())
    await pod(again)
    assert [waits.message for waits in again.restart] == ["the rest of the configuration is read when pd starts"]
    assert again.client.writes == []
    running = first.pod.status.container_statuses[0].state.running
    running.started_at = "2026-01-02T00:00:00Z"
    restarted = pd_context(own(config="a = 1", update_strategy=strategy), pod=first.pod, handle=trio())
    await pod(restarted)
    assert restarted.restart == []


async def test_3_11_another_configuration_restarts() -> None:
    ctx = pd_context(own(config="a = 1"), pod=make_pd_pod(own()), handle=trio(leader=PEER), **others())
    assert (await pod(ctx)).status is Status.WAIT
    assert ctx.pod_terminating


async def test_3_12_another_label_is_applied_in_place() -> None:
    ctx = pd_context(own(overlay=LABELLED), pod=make_pd_pod(own()), handle=trio())
    assert (await pod(ctx)).status is Status.COMPLETE
    assert ctx.client.writes == ["apply Pod aaa-pd-xxx"]


async def test_3_13_an_apply_that_fails_is_a_failure() -> None:
    ctx = pd_context(own(overlay=LABELLED), pod=make_pd_pod(own()), handle=trio())
    ctx.client.errors["apply Pod"] = ServiceUnavailable("down", code=503)
    with pytest.raises(ServiceUnavailable):
        await pod(ctx)


async def test_3_14_a_pod_that_is_as_it_should_be_costs_nothing() -> None:
    ctx = pd_context(own(), pod=make_pd_pod(own()), handle=trio())
    assert (await pod(ctx)).status is Status.COMPLETE
    assert ctx.client.writes == []


async def test_a1_while_leadership_is_unknown_no_pod_is_deleted() -> None:
    ctx = pd_context(own(), pod=outdated(), handle=None, **others())
    assert (await pod(ctx)).status is Status.WAIT
    assert ctx.client.writes == []


async def test_a1_while_pd_has_no_leader_no_pod_is_deleted() -> None:
    ctx = pd_context(own(), pod=outdated(), handle=trio(leader=None), **others())
    assert (await pod(ctx)).status is Status.RETRY
    assert ctx.client.writes == []


async def test_a7_a_member_that_the_quorum_needs_is_not_restarted() -> None:
    ctx = pd_context(own(), pod=outdated(), handle=trio(leader=PEER, ill=[THIRD]), **others())
    assert (await pod(ctx)).status is Status.RETRY
    assert ctx.client.writes == []
    assert ctx.problems[0].reason == "WaitingForPeers"
    assert THIRD in ctx.problems[0].message


async def test_a8_the_new_leader_is_healthy_stays_and_has_loaded_its_regions() -> None:
    names = [f"aaa-{letter}" for letter in "bcdef"]
    members = [make_member(SELF, 1), *(make_member(name, number) for number, name in enumerate(names, 2))]
    handle = FakeMembers(*members, ill=["aaa-b"])
    handle.not_loaded.add("http://aaa-d:2379")
    peers = [peer(name) for name in names]
    peers[1] = peer("aaa-c", deleting=True)
    ctx = pd_context(own(), pod=outdated(), handle=handle, peers=peers, others=[make_pd_pod(found) for found in peers])
    await pod(ctx)
    assert handle.calls == [("transfer_leader", "aaa-e")]


async def test_a8_one_that_is_up_to_date_comes_before_one_that_will_be_restarted() -> None:
    handle = trio()
    ctx = pd_context(own(), pod=outdated(), handle=handle, **others())
    ctx.peers[1].metadata.labels["pingcap.com/instance-revision-hash"] = "an-older-one"
    await pod(ctx)
    assert handle.calls == [("transfer_leader", THIRD)]


async def test_a8_a_higher_priority_of_the_users_comes_first() -> None:
    handle = FakeMembers(make_member(SELF, 1), make_member(PEER, 2), make_member(THIRD, 3, leader_priority=5))
    ctx = pd_context(own(), pod=outdated(), handle=handle, **others())
    await pod(ctx)
    assert handle.calls == [("transfer_leader", THIRD)]


async def test_a8_one_that_cannot_be_asked_is_judged_by_its_health() -> None:
    handle = trio()
    handle.mute.add("http://aaa-yyy:2379")
    handle.errors["member_ready"] = PDUnreachable("no way there")
    ctx = pd_context(own(), pod=outdated(), handle=handle, **others())
    await pod(ctx)
    assert handle.calls == [("transfer_leader", PEER)]


async def test_a9_a_member_whose_peer_address_would_change_is_not_restarted() -> None:
    handle = FakeMembers(
        make_member(PEER, 2), make_member(SELF, 1, peer="http://elsewhere:2380"), make_member(THIRD, 3)
    )
    ctx = pd_context(own(), pod=outdated(), handle=handle, **others())
    assert (await pod(ctx)).status is Status.WAIT
    assert ctx.client.writes == []
    assert ctx.problems[0].reason == "PeerURLChanged"


async def test_a12_a_leader_whose_pod_somebody_deletes_hands_over_at_once() -> None:
    handle = trio()
    going = make_pd_pod(own())
    going.metadata.deletion_timestamp = "2026-01-01T00:00:00Z"
    ctx = pd_context(own(), pod=going, handle=handle, **others())
    assert (await pod(ctx)).status is Status.WAIT
    assert handle.calls == [("transfer_leader", PEER)]


async def test_a12_a_follower_whose_pod_somebody_deletes_just_goes() -> None:
    handle = trio(leader=PEER)
    going = outdated()
    going.metadata.deletion_timestamp = "2026-01-01T00:00:00Z"
    ctx = pd_context(own(), pod=going, handle=handle, **others())
    assert (await pod(ctx)).status is Status.WAIT
    assert handle.calls == ctx.client.writes == []


async def test_a14_ids_that_are_not_known_at_the_moment_stay_on_the_pod() -> None:
    ctx = pd_context(own(overlay=LABELLED), pod=make_pd_pod(own()), handle=None)
    await pod(ctx)
    assert ctx.pod.metadata.labels["tidb.pingcap.com/member-id"] == "1"


async def test_b6_a_pd_that_cannot_be_asked_is_waited_for_and_said() -> None:
    ctx = pd_context(own(), pod=outdated(), handle=None)
    ctx.lost, ctx.trouble = True, "pd does not answer: refused"
    await pod(ctx)
    assert [problem.reason for problem in ctx.problems] == ["WaitingForPD"]


async def test_d4_configuration_that_pd_keeps_is_told_and_restarts_nothing() -> None:
    handle = trio()
    ctx = pd_context(own(config="[schedule]\nx = 1\n"), pod=make_pd_pod(own()), handle=handle)
    assert (await pod(ctx)).status is Status.COMPLETE
    assert handle.calls == [("set_config", {"schedule.x": 1})]
    assert ctx.client.writes == ["apply Pod aaa-pd-xxx"]
    assert ctx.restart == []


async def test_d4_while_pd_is_away_it_is_not_forgotten() -> None:
    ctx = pd_context(own(config="[schedule]\nx = 1\n"), pod=make_pd_pod(own()), handle=None)
    await pod(ctx)
    assert ctx.client.writes == []


async def test_d4_an_item_that_pd_refuses_is_said() -> None:
    handle = trio()
    handle.errors["set_config"] = PDError("config item x not found", status=400, retryable=False)
    ctx = pd_context(own(config="[schedule]\nx = 1\n"), pod=make_pd_pod(own()), handle=handle)
    await pod(ctx)
    assert ctx.problems[0].message == "pd refuses configuration items: config item x not found"


async def test_a_pod_that_is_down_and_only_just_made_is_given_a_moment() -> None:
    young = outdated(phase="Pending", ready_for=None)
    ctx = pd_context(own(), pod=young, handle=trio(), requeue=5.0)
    ctx.clock.seconds = NOW
    assert (await pod(ctx)).status is Status.RETRY
    assert ctx.client.writes == []


@pytest.mark.parametrize(
    ("ignored", "waits"),
    [
        pytest.param("", ["PodRenderedDifferently"], id="it waits for a restart"),
        pytest.param("spec.priorityClassName", [], id="it is left alone"),
    ],
)
async def test_a_difference_that_the_overlay_leaves_alone_waits_for_nothing(ignored: str, waits: list[str]) -> None:
    metadata = TemplateMeta(annotations={"pingcap.com/ignore-diff": ignored})
    overlay = Overlay(pod=PodOverlay(metadata=metadata, spec={"priorityClassName": "high"}))
    current = make_pd_pod(own(overlay=overlay))
    assert current.spec is not None
    current.spec.priority_class_name = "low"
    ctx = pd_context(own(overlay=overlay), pod=current, handle=trio(), **others())
    assert (await pod(ctx)).status is Status.COMPLETE
    assert [problem.reason for problem in ctx.restart] == waits
