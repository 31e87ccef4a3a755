"""Tasks about the group's revisions: which one its spec amounts to, and which old ones may go."""

from __future__ import annotations

from typing import Any

import msgspec

from controller_runtime.api import ObjectKey, selector
from controller_runtime.api.k8s import ControllerRevision
from controller_runtime.client import AlreadyExists, NotFound, Preconditions
from controller_runtime.task import Result, complete, task
from tikv_operator.common.keys import LABEL_INSTANCE_REVISION
from tikv_operator.common.names import revision_name
from tikv_operator.common.revision import canonical_data, revision_data, revision_hash
from tikv_operator.group.build import Blueprint, controller_revision, group_labels
from tikv_operator.group.component import Template
from tikv_operator.group.tasks.state import AnyGroup, Revisions

__all__ = ["choose", "truncate"]


@task("ContextRevision")
async def choose(ctx: AnyGroup) -> Result:
    """Find or create the revision that the group's spec amounts to, and find the one its instances were last at."""
    group = ctx.group
    data = revision_data(group)
    revisions = await _revisions(ctx)
    collisions = ctx.status.collision_count or 0
    same = [revision for revision in revisions if canonical_data(revision.data) == data]
    if not same:
        update, collisions = await _create(ctx, data, _next(revisions), collisions)
    elif same[-1] is revisions[-1]:
        update = same[-1]
    else:
        # Back to an older revision: it becomes the newest again, so that the order tells when each was last wanted.
        update = same[-1]
        update.revision = _next(revisions)
        update = await ctx.client.update(update)
    name = update.metadata.name
    blueprint = Blueprint(revision=name, template=group.spec.template, features=tuple(group.spec.features or ()))
    current = ctx.status.current_revision or name
    known = next((found for found in revisions if found.metadata.name == current), None)
    if current == name:
        previous: Blueprint | None = blueprint
    else:
        # Somebody may have deleted it. The update's template is no substitute: it may be held back for a good reason.
        previous = None if known is None else _blueprint(known, ctx.component.template)
    ctx.revisions = Revisions(update=blueprint, current=current, previous=previous, collision_count=collisions)
    return complete(f"revision {name}")


@task("RevisionHistory")
async def truncate(ctx: AnyGroup) -> Result:
    """Delete the oldest revisions that nothing refers to, beyond the history limit."""
    if ctx.revisions is None or ctx.cluster is None:
        return complete("no revision was chosen")
    # The status has been brought up to date by now: what was current as the run began may not be any more.
    live = {ctx.revisions.update.revision, ctx.status.current_revision or ctx.revisions.current}
    for instance in ctx.instances:
        live.add(instance.metadata.labels.get(LABEL_INSTANCE_REVISION, ""))
        live.add((instance.status.current_revision if instance.status is not None else None) or "")
    unused = [revision for revision in await _revisions(ctx) if revision.metadata.name not in live]
    limit = ctx.cluster.spec.revision_history_limit
    keep = ctx.settings.history_limit if limit is None else limit
    surplus = unused[: max(0, len(unused) - keep)]
    for revision in surplus:
        try:
            await ctx.client.delete(
                ControllerRevision, revision.key, preconditions=Preconditions(uid=revision.metadata.uid)
            )
        except NotFound:
            continue  # the garbage collector was faster
    return complete(f"deleted {len(surplus)} old revisions" if surplus else "the history is short enough")


async def _revisions(ctx: AnyGroup) -> list[ControllerRevision]:
    """Return the group's revisions, the oldest first; those of another owner with the same labels don't count."""
    found = await ctx.client.list(
        ControllerRevision, namespace=ctx.key.namespace, labels=selector(group_labels(ctx.component, ctx.group))
    )
    own = [revision for revision in found if _owner(revision) in (None, ctx.group.metadata.uid)]
    return sorted(
        own,
        key=lambda revision: (revision.revision, revision.metadata.creation_timestamp or "", revision.metadata.name),
    )


def _owner(revision: ControllerRevision) -> str | None:
    return next((owner.uid for owner in revision.metadata.owner_references if owner.controller), None)


def _next(revisions: list[ControllerRevision]) -> int:
    return revisions[-1].revision + 1 if revisions else 1


async def _create(ctx: AnyGroup, data: bytes, number: int, collisions: int) -> tuple[ControllerRevision, int]:
    """Create a revision; if its name is taken by other data, try the next name."""
    digest = revision_hash(data, collisions)
    while True:
        name = revision_name(ctx.key.name, ctx.component.name, revision_hash(data, collisions))
        wanted = controller_revision(ctx.component, ctx.group, name=name, data=data, digest=digest, revision=number)
        try:
            return await ctx.client.create(wanted), collisions
        except AlreadyExists:
            existing = await ctx.client.live.get(ControllerRevision, ObjectKey(ctx.key.namespace, name))
            if canonical_data(existing.data) == data:
                return existing, collisions
            collisions += 1


class _Spec(msgspec.Struct):
    template: Any
    features: list[str] | None = None


class _Data(msgspec.Struct):
    spec: _Spec


def _blueprint(revision: ControllerRevision, kind: type[Template]) -> Blueprint | None:
    """Return what a revision's instances are made from; None if its data is not a template (of a foreign writer)."""
    data: Any = revision.data
    try:
        spec = msgspec.convert(data, _Data).spec
        template = msgspec.convert(spec.template, kind)
    except msgspec.ValidationError:
        return None
    return Blueprint(revision=revision.metadata.name, template=template, features=tuple(spec.features or ()))
