"""Whether a group may move to another version now: components upgrade in an order that TiDB's releases are tested in.

Before TiKV comes PD. While a PD group of the cluster is older, or is not yet healthy at its own version, TiKVs stay as they
are. Pure functions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from tikv_operator.api import Cluster, PDGroup, TiKVGroup
from tikv_operator.common.instances import Group, is_group_healthy_and_up_to_date

__all__ = ["BEFORE_TIKV", "is_upgrade", "upgrade_obstacle", "version_at_least"]

BEFORE_TIKV: Final = (PDGroup,)
"""The kinds of groups that are upgraded before TiKV."""

NO_CONSTRAINTS: Final = "NoConstraints"

_VERSION: Final = re.compile(r"v?(\d+)\.(\d+)\.(\d+)(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?")


def is_upgrade(group: TiKVGroup) -> bool:
    """Return whether the group's template has another version than its instances had when all of them were last alike."""
    version = group.status.version if group.status is not None else None
    return bool(version) and version != group.spec.template.spec.version


def upgrade_obstacle(group: TiKVGroup, cluster: Cluster, predecessors: Iterable[Group]) -> str | None:
    """Return what has to happen before the group may be upgraded, or None if nothing has to.

    Args:
        predecessors: the groups of the cluster that are upgraded before TiKV.
    """
    if cluster.spec.upgrade_policy == NO_CONSTRAINTS:
        return None
    wanted = group.spec.template.spec.version
    for other in predecessors:
        name = f"{other.kind}/{other.metadata.name}"
        version = (other.status.version if other.status is not None else None) or ""
        try:
            if not version_at_least(version, wanted):
                return f"{name} is at version {version or 'none yet'}, not at {wanted}"
        except ValueError as error:
            return f"{name}: {error}"
        if not is_group_healthy_and_up_to_date(other):
            return f"{name} is not healthy and up to date"
    return None


def version_at_least(version: str, least: str) -> bool:
    """Compare two semantic versions; build metadata doesn't count. An empty `version` is less than any.

    Raises:
        ValueError: one of them is not a semantic version.
    """
    return bool(version) and _order(version) >= _order(least)


def _order(text: str) -> tuple[tuple[int, int, int], int, tuple[tuple[int, int, str], ...]]:
    """Return a key that orders versions: a pre-release before its release, numeric parts before and unlike text."""
    found = _VERSION.fullmatch(text)
    if found is None:
        msg = f"{text!r} is not a semantic version"
        raise ValueError(msg)
    core = (int(found[1]), int(found[2]), int(found[3]))
    if found[4] is None:
        return core, 1, ()
    parts = tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in found[4].split("."))
    return core, 0, parts
