"""What the operator is given to do, and what it needed for it.

A piece of work begins when the user writes what is wanted, and ends when the groups say that they are Ready, Synced and of the
wanted size. What the operator still does in the three seconds after that belongs to it, but for the wall time.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from operator_recorder import Write, without_effect
from operator_stage import PDRequest, Stage, stage

from controller_runtime.api import ObjectKey
from controller_runtime.client import merge_patch
from tikv_operator.api import Cluster, PDGroup, TiKVGroup
from tikv_operator.common.keys import ANNOTATION_MAX_UNAVAILABLE
from tikv_operator.simulation import SimulationSettings

__all__ = ["Figures", "Measured", "Work", "kind_of", "measure", "works"]

Figures = dict[str, float]

_CLUSTER: Final = "basic"
_PD: Final = ObjectKey("default", "pd")
_OLDER, _NEWER = "v8.1.0", "v8.1.1"  # PD has the newer one, since TiKVs are upgraded after it
_AFTERWARDS: Final = 3.0
_PATIENCE: Final = 900.0


def _world(**settings: Any) -> SimulationSettings:
    """Pods are ready after 0.2 s."""
    pods: dict[str, Any] = {
        "schedule_seconds": 0.02,
        "init_seconds": 0.04,
        "start_seconds": 0.07,
        "ready_seconds": 0.07,
        "stop_seconds": 0.1,
        "bind_seconds": 0.02,
        "prestop_poll": 0.1,
    }
    return SimulationSettings(**{**pods, **settings})


@dataclass
class Measured:
    """What came of one stage.

    Attributes:
        figures: of each piece of work, by name.
        details: of each, for whoever wants to know why: kinds of writes and requests, and how many of each.
    """

    figures: dict[str, Figures] = field(default_factory=dict)
    details: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass
class _Span:
    """One piece of work on the time line."""

    name: str
    begun: int
    ended: int
    wall: float
    cpu: float
    peak_mb: float


@dataclass(frozen=True)
class Work:
    """What happens on one stage.

    Attributes:
        settings: of the simulated world.
        budget: how many stores of the Cluster may be down.
        play: does it all, and measures some of it.
    """

    settings: SimulationSettings
    play: Callable[[Play], Awaitable[None]]
    budget: int = 1


class Play:
    """A user on the stage, with a stop watch."""

    def __init__(self, on: Stage) -> None:
        self._stage = on
        self.spans: list[_Span] = []

    async def bring_up_pd(self, budget: int) -> None:
        annotations = {ANNOTATION_MAX_UNAVAILABLE: str(budget)} if budget > 1 else {}
        await self._stage.user.apply(_manifest(Cluster, _CLUSTER, {}, annotations))
        spec = {
            "cluster": {"name": _CLUSTER},
            "replicas": 3,
            "minReadySeconds": 0,
            "template": _template("1Gi", _NEWER),
        }
        await self._stage.user.apply(_manifest(PDGroup, _PD.name, spec))
        await self._until(lambda: self._stage.world.missing_of_pd_group(_PD, 3))

    async def create(self, groups: Sequence[str], replicas: int) -> None:
        for group in groups:
            spec = {"cluster": {"name": _CLUSTER}, "replicas": replicas, "template": _template("10Gi", _OLDER)}
            await self._stage.user.apply(_manifest(TiKVGroup, group, spec))
        await self._settled(groups, replicas)

    async def scale(self, group: str, replicas: int) -> None:
        await self._change(group, {"replicas": replicas})
        await self._settled([group], replicas)

    async def restart(self, groups: Sequence[str], replicas: int, change: dict[str, Any]) -> None:
        """Change the template of all groups, and wait until each pod is another one."""
        world = self._stage.world
        before = {uid for group in groups for uid in world.pod_uids(ObjectKey("default", group))}
        for group in groups:
            await self._change(group, {"template": {"spec": change}})

        def old_pods() -> str:
            left = sum(len(before & world.pod_uids(ObjectKey("default", group))) for group in groups)
            return f"{left} pods are still the old ones" if left else ""

        await self._settled(groups, replicas, old_pods)

    async def measured(self, name: str, work: Awaitable[None]) -> None:
        """Await the work and note what it took."""
        operator = self._stage.operator
        cpu, begun = operator.cpu_seconds(), time.time_ns()
        await work
        wall = (time.time_ns() - begun) / 1e9
        await asyncio.sleep(_AFTERWARDS)
        used = operator.cpu_seconds() - cpu
        self.spans.append(_Span(name, begun, time.time_ns(), wall, used, operator.peak_memory_mb()))

    async def _change(self, group: str, spec: dict[str, Any]) -> None:
        await self._stage.user.patch(TiKVGroup, ObjectKey("default", group), merge_patch({"spec": spec}))

    async def _settled(self, groups: Sequence[str], replicas: int, *more: Callable[[], str]) -> None:
        world = self._stage.world

        def missing() -> str:
            for group in groups:
                key = ObjectKey("default", group)
                if reason := world.missing_of_group(key, replicas):
                    return reason
                if len(world.tikvs(key)) != replicas or len(world.pods(key)) != replicas:
                    return f"{group} has {len(world.tikvs(key))} TiKVs and {len(world.pods(key))} pods"
            return next((reason for each in more if (reason := each())), "")

        await self._until(missing)

    async def _until(self, missing: Callable[[], str]) -> None:
        await self._stage.world.until("the benchmark", missing, timeout=_PATIENCE)


async def measure(work: Work, assets: Path | None, keep_log: Path | None = None) -> Measured:
    """Play one piece of work on a stage of its own.

    Args:
        assets: the real control plane's binaries; None for the embedded API server.
        keep_log: where the operator's log is copied to.

    Raises:
        TimedOut: it was not done in time.
        Failed: the operator ended.
    """
    async with stage(assets, work.settings) as on:
        play = Play(on)
        try:
            await play.bring_up_pd(work.budget)
            await work.play(play)
        finally:
            if keep_log is not None and on.log.exists():
                keep_log.write_bytes(on.log.read_bytes())
        end = await on.operator.end()
    writes = [Write(*fields) for fields in end["writes"]]
    futile = without_effect(writes, [write for recorder in on.others for write in recorder.writes])
    measured = Measured()
    for span in play.spans:
        measured.figures[span.name] = _figures(span, writes, futile, on.door.requests)
        measured.details[span.name] = _details(span, writes, futile, on.door.requests)
    measured.details["all"] = {"reconciles": end["reconciles"]}
    return measured


def _figures(span: _Span, writes: Sequence[Write], futile: Sequence[Write], to_pd: Sequence[PDRequest]) -> Figures:
    return {
        "wall": span.wall,
        "cpu": span.cpu,
        "peak_mb": span.peak_mb,
        "writes": sum(_within(span, write.answered) for write in writes),
        "futile_writes": sum(_within(span, write.answered) for write in futile),
        "pd_requests": sum(_within(span, request.at) for request in to_pd),
    }


def _details(
    span: _Span, writes: Sequence[Write], futile: Sequence[Write], to_pd: Sequence[PDRequest]
) -> dict[str, Mapping[str, int]]:
    def kinds(of: Sequence[Write]) -> dict[str, int]:
        return dict(Counter(kind_of(write) for write in of if _within(span, write.answered)).most_common())

    asked = Counter(f"{request.method} {_place(request.path)}" for request in to_pd if _within(span, request.at))
    return {"writes": kinds(writes), "futile_writes": kinds(futile), "pd_requests": dict(asked.most_common())}


def _within(span: _Span, at: int) -> bool:
    return span.begun <= at < span.ended


def kind_of(write: Write) -> str:
    """Return what kind of write it is, e.g. `PATCH tikvs/status`; with the answer's status if it was refused."""
    parts = write.path.partition("/namespaces/")[2].split("/")[1:] or [write.path]
    refused = f" {write.status}" if write.status >= 300 else ""
    return f"{write.method} {'/'.join([parts[0], *parts[2:]])}{refused}"


def _place(path: str) -> str:
    """Return a path of PD without the numbers and names that differ from store to store."""
    return "/".join("*" if part.rpartition("-")[2].isdigit() else part for part in path.split("/"))


def _template(storage: str, version: str) -> dict[str, Any]:
    volumes = [{"name": "data", "mounts": [{"type": "data"}], "storage": storage}]
    return {"spec": {"version": version, "volumes": volumes}}


def _manifest(
    kind: type[Cluster | PDGroup | TiKVGroup],
    name: str,
    spec: dict[str, Any],
    annotations: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name, "namespace": "default", "annotations": dict(annotations or {})}
    return {"apiVersion": kind.resource.api_version, "kind": kind.resource.kind, "metadata": metadata, "spec": spec}


async def _create_and_upgrade(play: Play) -> None:
    await play.measured("create", play.create(["kv"], 3))
    await play.measured("upgrade", play.restart(["kv"], 3, {"version": _NEWER}))


async def _scale_in(play: Play) -> None:
    await play.create(["kv"], 5)
    await play.measured("scale-in", play.scale("kv", 3))


def _fleet(groups: int, replicas: int) -> Callable[[Play], Awaitable[None]]:
    names = [f"kv{number}" for number in range(1, groups + 1)]
    change = {"config": '[log]\nlevel = "warn"\n', "updateStrategy": {"config": "Restart"}}

    async def play(play: Play) -> None:
        await play.measured("fleet-create", play.create(names, replicas))
        await play.measured("fleet-restart", play.restart(names, replicas, change))

    return play


def works(groups: int = 5, replicas: int = 10) -> dict[str, Work]:
    """Return all work by name.

    Args:
        groups, replicas: of the fleet; fewer for a trial.
    """
    return {
        "create-upgrade": Work(_world(), _create_and_upgrade),
        "scale-in": Work(_world(region_rate=12.0), _scale_in),  # so that PD needs some seconds
        "fleet": Work(_world(regions=500), _fleet(groups, replicas), budget=5),
    }
