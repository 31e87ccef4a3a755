"""D4: what of a changed configuration PD is told, and what waits for a restart."""

from __future__ import annotations

import pytest

from tikv_operator.common.errors import ConfigInvalid
from tikv_operator.pd.online import change_of


def test_what_pd_keeps_is_told_online_and_restarts_nothing() -> None:
    change = change_of("[schedule]\nleader-schedule-limit = 4\n", "[schedule]\nleader-schedule-limit = 8\n")
    assert dict(change.online) == {"schedule.leader-schedule-limit": 8}
    assert not change.restarts
    assert change.removed == ()


def test_everything_else_is_read_when_a_server_starts() -> None:
    change = change_of("", "[log]\nlevel = 'warn'\n[replication]\nmax-replicas = 5\n")
    assert change.restarts
    assert dict(change.online) == {"replication.max-replicas": 5}


def test_items_that_nobody_sets_any_more_stay_what_they_are() -> None:
    change = change_of("[schedule]\na = 1\nb = 2\n", "[schedule]\nb = 2\n")
    assert (dict(change.online), change.removed, change.restarts) == ({}, ("schedule.a",), False)


def test_lists_become_the_text_that_pd_takes() -> None:
    change = change_of("", '[replication]\nlocation-labels = ["zone", "host"]\n')
    assert dict(change.online) == {"replication.location-labels": "zone,host"}


def test_truth_values_become_the_text_that_pd_takes() -> None:
    change = change_of("", "[schedule]\nenable-joint-consensus = true\n[replication]\nstrictly-match-label = false\n")
    assert dict(change.online) == {
        "schedule.enable-joint-consensus": "true",
        "replication.strictly-match-label": "false",
    }


def test_of_keyspaces_pd_takes_everything_as_it_is() -> None:
    change = change_of("", '[keyspace]\npre-alloc = ["a", "b"]\nwait-region-split = true\n')
    assert dict(change.online) == {"keyspace.pre-alloc": ["a", "b"], "keyspace.wait-region-split": True}


def test_another_way_to_write_the_same_changes_nothing() -> None:
    change = change_of("schedule.a = 1 # x", "[schedule]\na = 1\n")
    assert (dict(change.online), change.restarts) == ({}, False)


def test_what_is_no_configuration_is_said() -> None:
    with pytest.raises(ConfigInvalid, match="pd config cannot be decoded"):
        change_of("", "a =")
