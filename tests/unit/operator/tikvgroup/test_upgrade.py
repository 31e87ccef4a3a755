"""When a group may move to another version."""

from __future__ import annotations

from typing import Any

import pytest

from helpers.group_world import make_cluster, make_group, make_pd_group
from tikv_operator.tikvgroup.upgrade import is_upgrade, upgrade_obstacle, version_at_least


@pytest.mark.parametrize(
    ("version", "least", "expected"),
    [
        pytest.param("v8.1.0", "v8.1.0", True, id="equal"),
        pytest.param("8.1.0", "v8.1.0", True, id="with or without a v"),
        pytest.param("v8.1.1", "v8.1.0", True, id="newer patch"),
        pytest.param("v8.0.9", "v8.1.0", False, id="older minor"),
        pytest.param("v8.10.0", "v8.9.0", True, id="numbers, not text"),
        pytest.param("v8.1.0-rc.1", "v8.1.0", False, id="a pre-release is older than its release"),
        pytest.param("v8.1.0", "v8.1.0-rc.1", True, id="a release is newer than its pre-release"),
        pytest.param("v8.1.0-rc.2", "v8.1.0-rc.10", False, id="numeric parts count as numbers"),
        pytest.param("v8.1.0-beta", "v8.1.0-alpha", True, id="others as text"),
        pytest.param("v8.1.0-1", "v8.1.0-alpha", False, id="numbers come before text"),
        pytest.param("v8.1.0-alpha", "v8.1.0-alpha.1", False, id="fewer parts come first"),
        pytest.param("v8.1.0+build", "v8.1.0", True, id="build metadata does not count"),
        pytest.param("", "v8.1.0", False, id="no version yet"),
    ],
)
def test_the_order_of_versions(version: str, least: str, expected: bool) -> None:
    assert version_at_least(version, least) is expected


def test_what_is_no_version_has_no_order() -> None:
    with pytest.raises(ValueError, match="nightly"):
        version_at_least("nightly", "v8.1.0")


@pytest.mark.parametrize(
    ("policy", "groups", "obstacle"),
    [
        pytest.param("NoConstraints", [make_pd_group(reached="v8.0.0")], None, id="no constraints"),
        pytest.param(
            "Default", [make_pd_group(reached="v8.0.0")], "PDGroup/pd is at version v8.0.0, not at v8.1.0", id="old"
        ),
        pytest.param(
            None, [make_pd_group(reached="v8.0.0")], "PDGroup/pd is at version v8.0.0, not at v8.1.0", id="default"
        ),
        pytest.param(
            "odd", [make_pd_group(reached="v8.0.0")], "PDGroup/pd is at version v8.0.0, not at v8.1.0", id="unknown"
        ),
        pytest.param("Default", [make_pd_group(reached="v8.1.0")], None, id="PD is there"),
        pytest.param("Default", [make_pd_group(reached="v8.2.0")], None, id="PD is further"),
        pytest.param("Default", [], None, id="no PD group at all"),
        pytest.param(
            "Default",
            [make_pd_group(reached="v8.1.0", healthy=False)],
            "PDGroup/pd is not healthy and up to date",
            id="not healthy",
        ),
        pytest.param(
            "Default",
            [make_pd_group("pd1", reached="v8.1.0"), make_pd_group("pd2", reached="v8.0.0")],
            "PDGroup/pd2 is at version v8.0.0, not at v8.1.0",
            id="one of two is old",
        ),
        pytest.param(
            "Default",
            [make_pd_group("pd1", reached="v8.1.0"), make_pd_group("pd2", reached="v8.1.0")],
            None,
            id="both are there",
        ),
        pytest.param(
            "Default", [make_pd_group()], "PDGroup/pd is at version none yet, not at v8.1.0", id="never ready"
        ),
        pytest.param(
            "Default",
            [make_pd_group(reached="latest")],
            "PDGroup/pd: 'latest' is not a semantic version",
            id="no version",
        ),
    ],
)
def test_what_is_in_the_way(policy: str | None, groups: list[Any], obstacle: str | None) -> None:
    spec = {} if policy is None else {"upgradePolicy": policy}
    assert upgrade_obstacle(make_group(), make_cluster(spec=spec), groups) == obstacle


def test_only_another_version_than_the_one_reached_is_an_upgrade() -> None:
    assert not is_upgrade(make_group())
    assert not is_upgrade(make_group(status={"version": "v8.1.0"}))
    assert is_upgrade(make_group(status={"version": "v8.0.0"}))
