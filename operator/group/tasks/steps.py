"""Carries out what the updater has planned for a group, one request for each action.

A request fails if the instance has changed since it was read; then the run ends, and the next one plans from what is there.
What was done is told when the run is done with it: what happened to many instances alike is one Event.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from controller_runtime.api import ObjectKey
from controller_runtime.client import NotFound, Preconditions, merge_patch
from tikv_operator.common.conditions import OFFLINED, TRUE
from tikv_operator.common.instances import Instance, current_condition
from tikv_operator.common.keys import ANNOTATION_DEFER_DELETE, LABEL_INSTANCE_REVISION
from tikv_operator.group import build
from tikv_operator.group.summary import listed
from tikv_operator.group.tasks.state import AnyGroup, Revisions
from tikv_operator.updater import Action, CancelOffline, Create, DeferDelete, Delete, SetOffline, Update

__all__ = ["Steps"]

_UPDATING: Final = "Updating"


class Steps:
    """Carries out actions.

    Args:
        held: instances stay what they are, and new ones become what the others were last.
    """

    def __init__(self, ctx: AnyGroup, revisions: Revisions, *, held: bool = False) -> None:
        self._ctx = ctx
        self._held = held
        self._blueprint = revisions.previous if held else revisions.update
        self._names = ctx.names.candidates(ctx.group)
        self._done: dict[tuple[str, str], list[str]] = {}

    @classmethod
    @contextmanager
    def of_run(cls, ctx: AnyGroup, revisions: Revisions, *, held: bool = False) -> Iterator[Steps]:
        """Return the steps of a run, and tell at its end, however that comes, which were taken."""
        steps = cls(ctx, revisions, held=held)
        try:
            yield steps
        finally:
            steps._tell()

    async def carry_out(self, action: Action[Any]) -> None:
        match action:
            case Create(topology):
                await self._create(topology)
            case Update(instance):
                await self._apply(instance)
                self._did(_UPDATING, instance.metadata.name, f"to revision {self._revision}")
            case CancelOffline(instance):
                await (self._keep(instance) if self._held else self._apply(instance))
                self._did("OfflineCanceled", instance.metadata.name, "staying in the cluster")
            case SetOffline(instance):
                await self._patch(instance, {ANNOTATION_DEFER_DELETE: None}, offline=True)
                self._did("GoingOffline", instance.metadata.name, "leaving the cluster")
            case DeferDelete(instance):
                await self._patch(instance, {ANNOTATION_DEFER_DELETE: "true"})
                self._did("DeleteDeferred", instance.metadata.name, "removed when all others are up to date")
            case Delete(instance):
                await self._delete(instance)

    @property
    def _revision(self) -> str:
        return "" if self._blueprint is None else self._blueprint.revision

    async def _create(self, topology: dict[str, str] | None) -> None:
        ctx = self._ctx
        if self._blueprint is None or ctx.cluster is None:
            ctx.waiting_for += "; no instance can be created before, because the current revision is not known any more"
            return
        wanted = build.instance(
            ctx.component,
            ctx.group,
            self._blueprint,
            name=await self._free_name(),
            subdomain=build.new_subdomain(ctx.component, ctx.group, ctx.cluster),
            topology=topology,
        )
        await ctx.client.apply(wanted)
        self._did("Created", wanted.metadata.name, f"at revision {self._revision}")

    async def _free_name(self) -> str:
        """Return the next name that no instance has, of whatever group."""
        for name in self._names:
            if (
                await self._ctx.client.find(self._ctx.component.instance, ObjectKey(self._ctx.key.namespace, name))
                is None
            ):
                return name
        msg = "the candidates for names ended"
        raise AssertionError(msg)

    async def _apply(self, instance: Instance) -> None:
        """Make an instance what the revision says. It keeps its name, its subdomain and its topology."""
        if self._blueprint is None:
            msg = f"no revision to move {instance.metadata.name} to"
            raise AssertionError(msg)
        wanted = build.instance(
            self._ctx.component,
            self._ctx.group,
            self._blueprint,
            name=instance.metadata.name,
            subdomain=instance.spec.subdomain,
            topology=instance.spec.topology,
            resource_version=instance.metadata.resource_version,
        )
        await self._ctx.client.apply(wanted)

    async def _keep(self, instance: Instance) -> None:
        await self._patch(instance, {}, offline=False)

    async def _patch(
        self, instance: Instance, annotations: dict[str, str | None], *, offline: bool | None = None
    ) -> None:
        body: dict[str, object] = {
            "metadata": {"resourceVersion": instance.metadata.resource_version}
            | ({"annotations": annotations} if annotations else {})
        }
        if offline is not None:
            body["spec"] = {"offline": offline}
        await self._ctx.client.patch(self._ctx.component.instance, instance.key, merge_patch(body))

    async def _delete(self, instance: Instance) -> None:
        offlined = current_condition(instance, OFFLINED)
        if offlined is not None and offlined.status == TRUE:
            return  # its own controller deletes it, now: one of two requests would only be refused
        metadata = instance.metadata
        preconditions = Preconditions(uid=metadata.uid, resource_version=metadata.resource_version)
        try:
            await self._ctx.client.delete(self._ctx.component.instance, instance.key, preconditions=preconditions)
        except NotFound:
            return  # somebody else was faster
        self._did("Deleted", metadata.name, "gone from the cluster")

    def _did(self, reason: str, name: str, what: str) -> None:
        self._done.setdefault((reason, what), []).append(name)

    def _tell(self) -> None:
        for (reason, what), instances in self._done.items():
            if reason != _UPDATING:
                self._ctx.events.normal(self._ctx.group, reason, f"{listed(instances)} {what}")
            elif not self._is_under_way():
                rest = ", the others follow" if len(instances) < len(self._ctx.instances) else ""
                self._ctx.events.normal(self._ctx.group, reason, f"{listed(instances)} {what}{rest}")

    def _is_under_way(self) -> bool:
        """Whether an earlier run has begun to move instances to the revision. That is told once; each instance tells the rest."""
        revisions = (instance.metadata.labels.get(LABEL_INSTANCE_REVISION) for instance in self._ctx.instances)
        return self._revision in revisions
