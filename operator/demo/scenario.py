"""The story of the demo: create, scale out, roll, scale in, the same with PD, delete; each step with an end state and a bound.

A step changes something as a user would (apply, patch, delete) and then waits until the watched world is in the step's
end state. The first step that does not get there ends the story.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

import tomlkit
from tomlkit.exceptions import TOMLKitError

from controller_runtime.api import ObjectKey
from controller_runtime.client import LiveClient, NotFound, merge_patch
from tikv_operator.api import Cluster, PDGroup, TiKVGroup
from tikv_operator.common.names import PD_COMPONENT
from tikv_operator.demo.world import TimedOut, World, all_of

__all__ = ["Plan", "Scenario", "Step", "StepResult"]

MAX_REPLICAS: Final = 3  # PD refuses to remove a store when fewer would be left


@dataclass(frozen=True, slots=True)
class Plan:
    """How many instances a group has at first, at its largest, and at the end."""

    key: ObjectKey
    replicas: int

    @property
    def scaled_out(self) -> int:
        return max(self.replicas, MAX_REPLICAS) + 2

    @property
    def scaled_in(self) -> int:
        return max(self.replicas, MAX_REPLICAS)


@dataclass(frozen=True, slots=True)
class Step:
    """One step: its name and what it does."""

    name: str
    run: Callable[[], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class StepResult:
    """How a step went. `note` is what to say about it; `error` is empty for a success."""

    name: str
    seconds: float
    note: str = ""
    error: str = ""


class Scenario:
    """The steps over one set of manifests.

    Args:
        client: acts as the user.
        world: what the user sees.
        manifests: what the user applies.
        timeout: seconds each wait may take at most.
    """

    def __init__(self, client: LiveClient, world: World, manifests: list[dict[str, Any]], *, timeout: float) -> None:
        self._client = client
        self._world = world
        self._manifests = manifests
        self._timeout = timeout
        self.clusters = [_key(found) for found in manifests if found["kind"] == Cluster.resource.kind]
        self.pd_plans = [
            Plan(_key(found), int((found.get("spec") or {}).get("replicas") or 0))
            for found in manifests
            if found["kind"] == PDGroup.resource.kind
        ]
        self.plans = [
            Plan(_key(found), int((found.get("spec") or {}).get("replicas") or 0))
            for found in manifests
            if found["kind"] == TiKVGroup.resource.kind
        ]

    def steps(self) -> list[Step]:
        """The whole story."""
        sizes = ", ".join(f"{plan.replicas} -> {plan.scaled_out}" for plan in self.plans)
        back = ", ".join(f"{plan.scaled_out} -> {plan.scaled_in}" for plan in self.plans)
        return [
            self.creation(),
            Step(f"scale out {sizes}", self._scale_out),
            Step("roll a configuration change", self._roll),
            Step(f"scale in {back}", self._scale_in),
            Step("roll PD", self._roll_pd),
            Step(f"PD {', '.join(f'{plan.replicas} -> {plan.replicas + 2}' for plan in self.pd_plans)}", self._grow_pd),
            Step(
                f"PD {', '.join(f'{plan.replicas + 2} -> {plan.replicas}' for plan in self.pd_plans)}", self._shrink_pd
            ),
            Step("delete everything", self._delete),
        ]

    def creation(self) -> Step:
        """The first step alone."""
        return Step("create", self._create)

    async def play(self, step: Step) -> StepResult:
        """Run one step; a step that fails says why in its result."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            note = await step.run()
        except TimedOut as error:
            return StepResult(step.name, loop.time() - started, error=str(error))
        return StepResult(step.name, loop.time() - started, note)

    async def apply(self) -> None:
        """Apply all manifests, in order.

        Raises:
            ApiError: the API server refused one of them.
        """
        for manifest in self._manifests:
            await self._client.apply(manifest)

    async def _create(self) -> str:
        await self.apply()
        await self._settle("create", [(plan.key, plan.replicas) for plan in self.plans])
        pods = sum(len(self._world.pods(plan.key)) for plan in self.plans)
        pds = sum(len(self._world.pds(plan.key)) for plan in self.pd_plans)
        return f"{pds} PDs and {pods} TiKVs ready"

    async def _scale_out(self) -> str:
        await self._scale([(plan.key, plan.scaled_out) for plan in self.plans])
        await self._settle("scale out", [(plan.key, plan.scaled_out) for plan in self.plans])
        return f"{sum(len(self._world.claims(plan.key)) for plan in self.plans)} volumes"

    async def _roll(self) -> str:
        groups = [plan.key for plan in self.plans]
        before = {group: self._world.pod_uids(group) for group in groups}
        self._world.observe_availability(groups)
        for group in groups:
            await self._change_config(group)

        def old_pods() -> str:
            left = sum(len(before[group] & self._world.pod_uids(group)) for group in groups)
            return f"{left} pods of the old configuration are left" if left else ""

        sizes = [(plan.key, plan.scaled_out) for plan in self.plans]
        await self._settle("roll", sizes, old_pods)
        lowest = min(self._world.lowest_ready.values(), default=0)
        restarted = sum(len(uids) for uids in before.values())
        return f"{restarted} pods replaced, never fewer than {lowest} ready in a group"

    async def _scale_in(self) -> str:
        before = {tikv.key for plan in self.plans for tikv in self._world.tikvs(plan.key)}
        await self._scale([(plan.key, plan.scaled_in) for plan in self.plans])

        def surplus() -> str:
            for plan in self.plans:
                found = (
                    len(self._world.tikvs(plan.key)),
                    len(self._world.pods(plan.key)),
                    len(self._world.claims(plan.key)),
                )
                if found[0] != plan.scaled_in or found[1] != plan.scaled_in:
                    return f"TiKVGroup {plan.key} has {found[0]} TiKVs, {found[1]} pods and {found[2]} volumes"
            return ""

        await self._settle("scale in", [(plan.key, plan.scaled_in) for plan in self.plans], surplus)
        gone = before - {tikv.key for plan in self.plans for tikv in self._world.tikvs(plan.key)}
        return f"{len(gone)} stores removed with their volumes"

    async def _roll_pd(self) -> str:
        """Change what PD reads only when it starts: how much it logs."""
        groups = [plan.key for plan in self.pd_plans]
        before = {group: self._world.pod_uids(group, PD_COMPONENT) for group in groups}
        for group in groups:
            found = await self._client.get(PDGroup, group)
            config = changed_config(found.spec.template.spec.config or "")
            spec = {"template": {"spec": {"config": config, "updateStrategy": {"config": "Restart"}}}}
            await self._client.patch(PDGroup, group, merge_patch({"spec": spec}))

        def old_pods() -> str:
            left = sum(len(before[group] & self._world.pod_uids(group, PD_COMPONENT)) for group in groups)
            return f"{left} PD pods of the old configuration are left" if left else ""

        await self._settle("roll PD", self._sizes(), old_pods)
        return f"{sum(len(uids) for uids in before.values())} PD pods replaced, one after the other"

    async def _grow_pd(self) -> str:
        return await self._scale_pd(2)

    async def _shrink_pd(self) -> str:
        return await self._scale_pd(0)

    async def _scale_pd(self, more: int) -> str:
        for plan in self.pd_plans:
            await self._client.patch(PDGroup, plan.key, merge_patch({"spec": {"replicas": plan.replicas + more}}))
        await self._settle("scale PD", self._sizes(), pd=more)
        return f"{sum(len(self._world.pds(plan.key)) for plan in self.pd_plans)} members"

    def _sizes(self) -> list[tuple[ObjectKey, int]]:
        return [(plan.key, plan.scaled_in) for plan in self.plans]

    async def _delete(self) -> str:
        for manifest in self._manifests:
            resource = await self._client.resource_of_object(manifest)
            try:
                await self._client.delete(resource, _key(manifest))
            except NotFound:
                continue
        await self._world.until("delete", self._world.leftovers, timeout=self._timeout)
        return "nothing is left"

    async def _scale(self, sizes: list[tuple[ObjectKey, int]]) -> None:
        for key, replicas in sizes:
            await self._client.patch(TiKVGroup, key, merge_patch({"spec": {"replicas": replicas}}))

    async def _change_config(self, key: ObjectKey) -> None:
        group = await self._client.get(TiKVGroup, key)
        template = group.spec.template.spec
        config = changed_config(template.config or "")
        strategy = {"config": "Restart"}
        spec = {"template": {"spec": {"config": config, "updateStrategy": strategy}}}
        await self._client.patch(TiKVGroup, key, merge_patch({"spec": spec}))

    async def _settle(
        self, what: str, sizes: list[tuple[ObjectKey, int]], *more: Callable[[], str], pd: int = 0
    ) -> None:
        """Wait until every group has its size, and PD's groups `pd` more than the manifests say."""

        def missing() -> str:
            reasons = [self._world.missing_of_cluster(cluster) for cluster in self.clusters]
            reasons += [self._world.missing_of_pd_group(plan.key, plan.replicas + pd) for plan in self.pd_plans]
            reasons += [self._world.missing_of_group(key, replicas) for key, replicas in sizes]
            return next((reason for reason in reasons if reason), "")

        await self._world.until(what, all_of(missing, *more), timeout=self._timeout)


def changed_config(text: str) -> str:
    """Return a TiKV configuration that differs from `text` in one harmless key.

    A text that is not TOML is returned with a comment added: the operator will say what is wrong with it.
    """
    try:
        document = tomlkit.parse(text)
    except TOMLKitError:
        return f"{text}\n# changed by the demo\n"
    log = document.setdefault("log", tomlkit.table())
    log["level"] = "warn" if log.get("level", "info") == "info" else "info"
    return tomlkit.dumps(document)


def _key(manifest: dict[str, Any]) -> ObjectKey:
    return ObjectKey(manifest["metadata"].get("namespace", ""), manifest["metadata"]["name"])
