"""When a status is written."""

from __future__ import annotations

from typing import Any

import pytest

from controller_runtime.api import Condition, ObjectKey, decode
from helpers.tikv_fakes import make_tikv
from tikv_operator.api import Cluster, ClusterStatus, TiKVGroupStatus, TiKVStatus
from tikv_operator.common.pace import (
    OF_CLUSTER,
    OF_GROUP,
    OF_INSTANCE,
    StatusPace,
    Urgency,
    WaitedFor,
    persisted_status,
    urgency,
)

KEY, OTHER = ObjectKey("ns1", "a"), ObjectKey("ns1", "b")


def said(type: str, status: str = "False", reason: str = "Why", message: str = "") -> Condition:  # noqa: A002
    return Condition(type=type, status=status, reason=reason, message=message)


def tikv(*conditions: Condition, **fields: Any) -> TiKVStatus:
    return TiKVStatus(conditions=list(conditions), **fields)


def group(*conditions: Condition, **fields: Any) -> TiKVGroupStatus:
    return TiKVGroupStatus(conditions=list(conditions), **fields)


class TestUrgency:
    @pytest.mark.parametrize(
        ("before", "after", "expected"),
        [
            pytest.param(tikv(), tikv(), Urgency.NOTHING, id="nothing has changed"),
            pytest.param(tikv(said("Ready")), tikv(said("Ready", "True")), Urgency.AT_ONCE, id="becomes ready"),
            pytest.param(tikv(), tikv(said("Ready", "True")), Urgency.AT_ONCE, id="is ready from the first"),
            pytest.param(tikv(said("Offlined")), tikv(said("Offlined", "True")), Urgency.AT_ONCE, id="has left"),
            pytest.param(tikv(said("Suspended")), tikv(said("Suspended", "True")), Urgency.AT_ONCE, id="is suspended"),
            pytest.param(tikv(said("Ready", "True")), tikv(said("Ready")), Urgency.SOON, id="becomes unready"),
            pytest.param(tikv(said("Synced")), tikv(said("Synced", "True")), Urgency.SOON, id="becomes synced"),
            pytest.param(tikv(said("Running")), tikv(said("Running", "True")), Urgency.SOON, id="runs"),
            pytest.param(tikv(), tikv(said("Running")), Urgency.SOON, id="a new condition"),
            pytest.param(tikv(said("Offlined")), tikv(), Urgency.SOON, id="a condition goes"),
            pytest.param(
                tikv(said("Ready", reason="A")), tikv(said("Ready", reason="B")), Urgency.SOON, id="another reason"
            ),
            pytest.param(
                tikv(said("Ready", message="9 left")),
                tikv(said("Ready", message="8 left")),
                Urgency.LATER,
                id="progress",
            ),
            pytest.param(tikv(), tikv(id="4"), Urgency.SOON, id="the id of the store"),
            pytest.param(tikv(), tikv(state="Serving"), Urgency.SOON, id="the state of the store"),
            pytest.param(tikv(), tikv(observed_generation=2), Urgency.AT_ONCE, id="a spec was seen"),
            pytest.param(tikv(), tikv(observed_cluster_generation=2), Urgency.AT_ONCE, id="a cluster's spec was seen"),
            pytest.param(tikv(), tikv(current_revision="r"), Urgency.AT_ONCE, id="a revision was reached"),
            pytest.param(tikv(), tikv(update_revision="r"), Urgency.AT_ONCE, id="a revision was chosen"),
            pytest.param(
                tikv(said("Ready", message="a")),
                tikv(said("Ready", message="b"), said("Running")),
                Urgency.SOON,
                id="the most urgent change decides",
            ),
        ],
    )
    def test_of_an_instance(self, before: TiKVStatus, after: TiKVStatus, expected: Urgency) -> None:
        assert urgency(before, after, OF_INSTANCE) is expected

    @pytest.mark.parametrize(
        ("before", "after", "expected"),
        [
            pytest.param(group(said("Synced")), group(said("Synced", "True")), Urgency.AT_ONCE, id="is up to date"),
            pytest.param(group(said("Synced", "True")), group(said("Synced")), Urgency.SOON, id="is no longer"),
            pytest.param(group(), group(ready_replicas=2), Urgency.SOON, id="a count"),
            pytest.param(group(), group(version="v8"), Urgency.AT_ONCE, id="the version others wait for"),
        ],
    )
    def test_of_a_group(self, before: TiKVGroupStatus, after: TiKVGroupStatus, expected: Urgency) -> None:
        assert urgency(before, after, OF_GROUP) is expected

    @pytest.mark.parametrize("field", ["pd", "id"])
    def test_of_a_cluster_whose_pd_everybody_waits_for(self, field: str) -> None:
        assert urgency(ClusterStatus(), ClusterStatus(**{field: "known"}), OF_CLUSTER) is Urgency.AT_ONCE

    @pytest.mark.parametrize(
        ("waited_for", "expected"),
        [(OF_INSTANCE, Urgency.LATER), (OF_GROUP, Urgency.AT_ONCE), (OF_CLUSTER, Urgency.AT_ONCE)],
        ids=["instance", "group", "cluster"],
    )
    def test_of_a_first_status(self, waited_for: WaitedFor, expected: Urgency) -> None:
        assert urgency(None, tikv(said("Ready")), waited_for) is expected
        assert urgency(None, tikv(said("Ready", "True")), waited_for) is Urgency.AT_ONCE


class TestPersistedStatus:
    def test_is_the_one_that_was_read_whatever_was_done_to_it_since(self) -> None:
        raw = b'{"metadata": {"name": "tc"}, "spec": {}, "status": {"id": "1", "pd": ""}}'
        cluster = decode(Cluster, raw, remember=True)
        assert cluster.status is not None
        cluster.status.id = "2"
        assert persisted_status(cluster).id == "1"

    def test_is_none_of_what_was_never_read(self) -> None:
        assert persisted_status(make_tikv()) is None


class TestPace:
    def test_what_somebody_waits_for_and_what_has_not_changed_is_not_kept_back(self) -> None:
        pace = StatusPace(2.0, 10.0)
        assert [pace.left(KEY, how, 0.0) for how in (Urgency.NOTHING, Urgency.AT_ONCE)] == [0.0, 0.0]

    def test_what_people_should_know_waits_for_more_of_its_kind(self) -> None:
        pace = StatusPace(2.0, 10.0)
        assert [pace.left(KEY, Urgency.SOON, now) for now in (0.0, 0.5, 1.5, 2.0)] == [2.0, 1.5, 0.5, 0.0]

    def test_how_far_something_is_waits_longer(self) -> None:
        pace = StatusPace(2.0, 10.0)
        assert [pace.left(KEY, Urgency.LATER, now) for now in (0.0, 9.0, 10.5)] == [10.0, 1.0, 0.0]

    def test_the_earlier_time_counts(self) -> None:
        pace = StatusPace(2.0, 10.0)
        assert pace.left(KEY, Urgency.LATER, 0.0) == 10.0
        assert pace.left(KEY, Urgency.SOON, 1.0) == 2.0
        assert pace.left(KEY, Urgency.SOON, 3.0) == 0.0

    def test_what_was_to_be_written_soon_and_has_become_untrue_hastens_nothing(self) -> None:
        pace = StatusPace(2.0, 10.0)
        assert pace.left(KEY, Urgency.SOON, 0.0) == 2.0
        assert pace.left(KEY, Urgency.LATER, 1.0) == 9.0
        assert pace.left(KEY, Urgency.SOON, 5.0) == 2.0

    def test_what_comes_and_goes_is_written_in_time_all_the_same(self) -> None:
        pace = StatusPace(2.0, 10.0)
        left = [pace.left(KEY, Urgency.SOON if second % 2 else Urgency.LATER, float(second)) for second in range(11)]
        assert left[9:] == [1.0, 0.0]

    def test_until_it_is_settled_it_stays_due(self) -> None:
        pace = StatusPace(2.0, 10.0)
        pace.left(KEY, Urgency.SOON, 0.0)
        assert [pace.left(KEY, Urgency.SOON, now) for now in (3.0, 4.0)] == [0.0, 0.0], "the write may have failed"
        pace.settled(KEY)
        assert pace.left(KEY, Urgency.SOON, 5.0) == 2.0

    def test_a_look_that_comes_a_moment_early_does_not_come_in_vain(self) -> None:
        pace = StatusPace(2.0, 10.0)
        pace.left(KEY, Urgency.SOON, 3600.1)
        assert pace.left(KEY, Urgency.SOON, 3602.1 - 1e-12) == 0.0

    def test_each_object_has_its_own_time(self) -> None:
        pace = StatusPace(2.0, 10.0)
        pace.left(KEY, Urgency.SOON, 0.0)
        assert pace.left(OTHER, Urgency.SOON, 1.5) == 2.0

    def test_nothing_is_remembered_of_what_is_settled(self) -> None:
        pace = StatusPace(2.0, 10.0)
        for key in (KEY, OTHER):
            pace.left(key, Urgency.LATER, 0.0)
            pace.settled(key)
        pace.settled(KEY)
        assert len(pace) == 0

    def test_without_delays_everything_is_written_at_once(self) -> None:
        assert [StatusPace().left(KEY, how, 7.0) for how in Urgency] == [0.0] * 4
