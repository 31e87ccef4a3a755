"""Choosing, creating and forgetting revisions."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from controller_runtime.api import format_time
from controller_runtime.api.k8s import ControllerRevision
from controller_runtime.client import Forbidden
from helpers.group_fakes import FakeCluster, names
from helpers.group_instances import make_tikv
from helpers.group_world import group_context, make_cluster, make_group, make_pd_group, of_group
from tikv_operator.api import PDTemplate, TiKVGroup
from tikv_operator.common.revision import revision_data, revision_hash
from tikv_operator.group.build import controller_revision
from tikv_operator.group.tasks import revision
from tikv_operator.group.tasks.state import AnyGroup, Revisions
from tikv_operator.pdgroup.component import PD_GROUP
from tikv_operator.tikvgroup.component import TIKV_GROUP


def revision_of(group: TiKVGroup, name: str, number: int = 1, *, data: bytes | None = None) -> ControllerRevision:
    return controller_revision(
        TIKV_GROUP, group, name=name, data=data or revision_data(group), digest="x", revision=number
    )


async def choose(world: FakeCluster, group: TiKVGroup) -> tuple[AnyGroup, Revisions]:
    ctx = group_context(world)
    ctx.found = group
    await revision.choose(ctx)
    assert ctx.revisions is not None
    return ctx, ctx.revisions


def own_name(group: TiKVGroup, collisions: int = 0) -> str:
    return f"basic-tikv-{revision_hash(revision_data(group), collisions)}"


async def test_the_first_revision_is_created_and_is_the_current_one_too() -> None:
    world, group = FakeCluster(), make_group()
    _, found = await choose(world, group)
    assert found.update.revision == found.current == own_name(group)
    assert found.collision_count == 0
    (made,) = world.all(ControllerRevision)
    assert (made.metadata.name, made.revision) == (own_name(group), 1)


async def test_a_revision_that_exists_is_used_without_a_write() -> None:
    world, group = FakeCluster(), make_group(replicas=7)
    world.add(revision_of(make_group(replicas=3), own_name(group)))
    _, found = await choose(world, group)
    assert found.update.revision == own_name(group)
    assert world.writes == []


async def test_the_revision_in_the_status_is_the_current_one_if_it_still_exists() -> None:
    world = FakeCluster()
    old = make_group(template={"version": "v8.0.0"})
    group = make_group(status={"currentRevision": "basic-tikv-xxx"})
    world.add(revision_of(old, "basic-tikv-xxx"))
    _, found = await choose(world, group)
    assert found.current == "basic-tikv-xxx"
    assert found.previous is not None
    assert found.previous.revision == "basic-tikv-xxx"
    assert found.previous.template.spec.version == "v8.0.0"
    assert found.update.template.spec.version == "v8.1.0"


async def test_nothing_can_be_made_from_a_revision_in_the_status_that_somebody_deleted() -> None:
    _, found = await choose(FakeCluster(), make_group(status={"currentRevision": "basic-tikv-gone"}))
    assert found.current == "basic-tikv-gone"
    assert found.previous is None


async def test_a_change_of_the_template_makes_the_next_revision() -> None:
    world, group = FakeCluster(), make_group()
    world.add(revision_of(make_group(template={"version": "v8.0.0"}), "basic-tikv-old", 4))
    await choose(world, group)
    assert {found.metadata.name: found.revision for found in world.all(ControllerRevision)} == {
        "basic-tikv-old": 4,
        own_name(group): 5,
    }


async def test_going_back_makes_an_old_revision_the_newest_again() -> None:
    world, group = FakeCluster(), make_group()
    world.add(revision_of(group, own_name(group), 1))
    world.add(revision_of(make_group(template={"version": "v8.2.0"}), "basic-tikv-later", 2))
    _, found = await choose(world, group)
    assert found.update.revision == own_name(group)
    assert world.writes == [f"update ControllerRevision {own_name(group)}"]
    assert world.one(ControllerRevision, own_name(group)).revision == 3


@pytest.mark.parametrize("taken", [pytest.param(1, id="one collision"), pytest.param(2, id="two collisions")])
async def test_a_name_that_other_data_has_taken_is_passed_over(taken: int) -> None:
    world, group = FakeCluster(), make_group()
    for number in range(taken):
        # Of another owner: the group doesn't list it, but the name is in use.
        foreign = revision_of(make_group(metadata={"uid": "another"}), own_name(group, number), data=b'{"spec":{}}')
        world.add(foreign)
    ctx, found = await choose(world, group)
    assert found.update.revision == own_name(group, taken)
    assert found.collision_count == taken
    made = world.one(ControllerRevision, own_name(group, taken))
    assert made.metadata.labels["controller.kubernetes.io/hash"] == revision_hash(revision_data(ctx.group))


@pytest.mark.parametrize(
    ("taken", "expected"),
    [
        pytest.param(0, "aaa-pd-68cf8745d6", id="free"),
        pytest.param(1, "aaa-pd-68cf8745d7", id="taken"),
        pytest.param(2, "aaa-pd-68cf8745d4", id="the next one, too"),
    ],
)
async def test_the_names_of_a_group_with_an_empty_template_are_tidb_operators(taken: int, expected: str) -> None:
    group = make_pd_group("aaa")
    group.spec.template = msgspec.convert({"spec": {"version": "", "volumes": []}}, PDTemplate)
    group.spec.template.spec.volumes = None  # type: ignore[assignment]
    world = FakeCluster()
    for name in ("aaa-pd-68cf8745d6", "aaa-pd-68cf8745d7")[:taken]:
        stranger = make_pd_group("aaa")
        stranger.metadata.uid = "another"
        world.add(
            controller_revision(PD_GROUP, stranger, name=name, data=b'{"spec":{}}', digest="x", revision=1),
        )
    ctx: Any = group_context(world, component=PD_GROUP, key=group.key)
    ctx.found = group
    await revision.choose(ctx)
    assert ctx.revisions is not None
    assert (ctx.revisions.update.revision, ctx.revisions.current) == (expected, expected)
    assert ctx.revisions.collision_count == taken


@pytest.mark.parametrize(
    ("rank", "chosen"),
    [
        pytest.param({"a": (2, 0), "b": (1, 60)}, "a", id="by number"),
        pytest.param({"a": (1, 60), "b": (1, 0)}, "a", id="then by age"),
        pytest.param({"a": (1, 0), "b": (1, 0)}, "b", id="then by name"),
    ],
)
async def test_of_revisions_with_equal_data_the_newest_counts(rank: dict[str, tuple[int, int]], chosen: str) -> None:
    world, group = FakeCluster(), make_group()
    for name, (number, age) in rank.items():
        found = revision_of(group, f"basic-tikv-{name}", number)
        found.metadata.creation_timestamp = format_time(1_800_000_000.0 + age)
        world.add(found)
    _, revisions = await choose(world, group)
    assert revisions.update.revision == f"basic-tikv-{chosen}"
    assert world.writes == []


@pytest.mark.parametrize(
    ("owner", "counts"),
    [
        pytest.param("uid-basic", True, id="the group's own"),
        pytest.param(None, True, id="nobody's"),
        pytest.param("another", False, id="another's"),
    ],
)
async def test_whose_revisions_count(owner: str | None, counts: bool) -> None:
    world, group = FakeCluster(), make_group()
    found = revision_of(group, "basic-tikv-x")
    if owner is None:
        found.metadata.owner_references = []
    else:
        found.metadata.owner_references[0].uid = owner
    world.add(found)
    _, revisions = await choose(world, group)
    assert revisions.update.revision == ("basic-tikv-x" if counts else own_name(group))


async def test_a_name_that_equal_data_has_taken_is_used_as_it_is() -> None:
    world, group = FakeCluster(), make_group()
    world.add(revision_of(make_group(metadata={"uid": "another"}), own_name(group), data=revision_data(group)))
    _, found = await choose(world, group)
    assert found.update.revision == own_name(group)
    assert found.collision_count == 0


async def test_the_collision_count_in_the_status_is_where_the_search_begins() -> None:
    group = make_group(status={"collisionCount": 2})
    _, found = await choose(FakeCluster(), group)
    assert found.update.revision == own_name(group, 2)


async def test_an_error_of_the_api_server_is_raised() -> None:
    world = FakeCluster()

    def refuse(*_: Any) -> None:
        raise Forbidden("no", code=403)

    world.before_write = refuse
    with pytest.raises(Forbidden):
        await choose(world, make_group())


async def truncated(limit: int | None, *, live: list[str], default: int = 10) -> list[str]:
    """Return which of ten revisions are left; the eleventh is the group's own."""
    world, group = FakeCluster(), make_group()
    for number in range(1, 11):
        world.add(revision_of(make_group(template={"config": f"a = {number}"}), f"r{number:02}", number))
    spec = {} if limit is None else {"revisionHistoryLimit": limit}
    ctx, _ = await choose(world, group)
    ctx.cluster = make_cluster(spec=spec)
    ctx.instances = list(of_group(group, *(make_tikv(f"kv-{name}", revision=name) for name in live)))
    ctx.settings = type(ctx.settings)(history_limit=default)
    await revision.truncate(ctx)
    return [name for name in names(world.all(ControllerRevision)) if name != own_name(group)]


async def test_the_oldest_revisions_beyond_the_limit_are_deleted() -> None:
    assert await truncated(3, live=[]) == ["r08", "r09", "r10"]


async def test_without_a_limit_in_the_cluster_the_operators_own_counts() -> None:
    assert await truncated(None, live=[], default=2) == ["r09", "r10"]
    assert len(await truncated(None, live=[])) == 10


async def test_revisions_of_instances_are_kept_beside_the_limit() -> None:
    assert await truncated(1, live=["r02", "r05"]) == ["r02", "r05", "r10"]


async def test_a_limit_of_zero_keeps_only_what_is_in_use() -> None:
    assert await truncated(0, live=["r02"]) == ["r02"]
