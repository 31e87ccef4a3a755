"""Random histories: what users do, what goes wrong, in any order and on top of each other, for hours of virtual time.

Whatever happens, no second pod that serves is taken down, no store and no volume goes that nobody wanted gone, and when the
troubles are over the cluster comes to rest as its spec says.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Final

import pytest

from controller_runtime.api import ObjectKey
from controller_runtime.api.k8s import ControllerRevision, Pod
from controller_runtime.client import NotFound, Request, Response, TransportError, merge_patch
from helpers.disruptions import Disruptions
from helpers.whole_system import System, whole_system
from tikv_operator.api import Cluster, TiKV, TiKVGroup
from tikv_operator.demo.manifests import load
from tikv_operator.demo.scenario import Scenario
from tikv_operator.demo.stage import DEMO_SETTINGS, sample_folder
from tikv_operator.demo.world import TimedOut
from tikv_operator.simulation import SimulationSettings

CLUSTER: Final = ObjectKey("default", "basic")
GROUP: Final = ObjectKey("default", "kv")
SETTINGS: Final = replace(DEMO_SETTINGS, pd_poll=60.0, pd_max_age=180.0)
WORLD: Final = SimulationSettings(prestop_poll=0.1, regions=9, region_rate=4.0)
STEPS: Final = 24


class Unreliable:
    """Some of the operator's writes fail while `rate` is above zero: half of them before they arrive, half after."""

    def __init__(self, inner: Any, chance: random.Random) -> None:
        self._inner = inner
        self._chance = chance
        self.rate = 0.0

    async def request(self, request: Request) -> Response:
        fails = request.method != "GET" and self._chance.random() < self.rate
        arrives = not fails or self._chance.random() < 0.5
        answer = await self._inner.request(request) if arrives else None
        if fails or answer is None:
            msg = "connection reset"
            raise TransportError(msg)
        return answer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class History:
    """One history. Every action is a coroutine without arguments; `random` says which comes when."""

    def __init__(self, system: System, seed: int) -> None:
        self.system = system
        self.random = random.Random(seed)
        self.network = Unreliable(system.cluster.transport, self.random)
        system.traffic.inner = self.network
        self.watch = Disruptions(system, CLUSTER)
        self.told: list[str] = []
        self._number = 0

    async def play(self) -> None:
        actions: list[Callable[[], Awaitable[None]]] = [
            self.scale,
            self.scale,
            self.change_config,
            self.change_config,
            self.change_version,
            self.delete_pod,
            self.crash_pod,
            self.pause,
            self.suspend,
            self.delete_tikv,
            self.label_tikv,
            self.delete_revision,
            self.silence_pd,
            self.restart_operator,
            self.break_network,
        ]
        for _ in range(STEPS):
            action = self.random.choice(actions)
            self.told.append(f"{self.system.clock.now():.1f} {action.__name__}")
            await action()
            await asyncio.sleep(self.random.choice((0.1, 1.0, 5.0, 30.0, 240.0)))

    async def heal(self) -> int:
        """End all troubles; return how many instances there should be in the end."""
        self.network.rate = 0.0
        await self._edit(Cluster, CLUSTER, {"paused": False, "suspendAction": None})
        await self._edit(TiKVGroup, GROUP, {"replicas": 4})
        self.watch.wanted.append((self.system.clock.now(), 4))
        return 4

    # What users do

    async def scale(self) -> None:
        replicas = self.random.choice((0, 3, 4, 5, 6))
        await self._edit(TiKVGroup, GROUP, {"replicas": replicas})
        self.watch.wanted.append((self.system.clock.now(), replicas))

    async def change_config(self) -> None:
        await self._edit(TiKVGroup, GROUP, {"template": {"spec": {"config": f"log.level = 'l{self._next()}'"}}})

    async def change_version(self) -> None:
        await self._edit(TiKVGroup, GROUP, {"template": {"spec": {"version": f"v8.1.{self._next()}"}}})

    async def delete_pod(self) -> None:
        pods = self.system.world.pods(GROUP)
        if pods:
            grace = self.random.choice((0, 30))
            await self._ignore_gone(self.system.user.delete(Pod, self.random.choice(pods).key, grace_period=grace))

    async def pause(self) -> None:
        await self._edit(Cluster, CLUSTER, {"paused": self.random.random() < 0.4})

    async def suspend(self) -> None:
        action = {"suspendCompute": True} if self.random.random() < 0.4 else None
        await self._edit(Cluster, CLUSTER, {"suspendAction": action})

    async def delete_tikv(self) -> None:
        tikvs = self.system.world.tikvs(GROUP)
        if tikvs:
            await self._ignore_gone(self.system.user.delete(TiKV, self.random.choice(tikvs).key))

    async def label_tikv(self) -> None:
        for tikv in self.system.world.tikvs(GROUP):
            label = {"metadata": {"labels": {"cost": str(self._next())}}}
            await self._ignore_gone(self.system.user.patch(TiKV, tikv.key, merge_patch(label)))

    async def delete_revision(self) -> None:
        revisions = await self.system.user.list(ControllerRevision, namespace=GROUP.namespace)
        if revisions:
            key = self.random.choice(revisions).key
            await self._ignore_gone(self.system.user.delete(ControllerRevision, key))

    # What goes wrong

    async def crash_pod(self) -> None:
        pods = self.system.world.pods(GROUP)
        if pods:
            self.system.simulation.crash_pod(self.random.choice(pods).key)

    async def silence_pd(self) -> None:
        self.system.simulation.silence_pd(CLUSTER, seconds=self.random.choice((1.0, 20.0, 300.0)))

    async def restart_operator(self) -> None:
        await self.system.stop_operator(kill=True)
        await asyncio.sleep(self.random.choice((0.0, 2.0, 60.0)))
        self.system.start_operator()

    async def break_network(self) -> None:
        self.network.rate = self.random.choice((0.0, 0.3))

    def _next(self) -> int:
        self._number += 1
        return self._number

    async def _edit(self, kind: Any, key: ObjectKey, spec: dict[str, Any]) -> None:
        await self.system.user.patch(kind, key, merge_patch({"spec": spec}))

    async def _ignore_gone(self, asked: Awaitable[Any]) -> None:
        try:
            await asked
        except NotFound:
            self.told.append("  (was gone)")


def manifests() -> list[dict[str, Any]]:
    found = load([sample_folder()])
    for manifest in found:
        if manifest["kind"] == "Cluster":
            manifest["spec"] = {"upgradePolicy": "NoConstraints"}
        if manifest["kind"] == "PDGroup":
            manifest["spec"]["replicas"] = 1
        if manifest["kind"] == "TiKVGroup":
            manifest["spec"]["template"]["spec"]["updateStrategy"] = {"config": "Restart"}
    return found


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_whatever_happens_nothing_is_lost_and_all_comes_to_rest(seed: int) -> None:
    async with whole_system(SETTINGS, WORLD) as system:
        story = Scenario(system.user, system.world, manifests(), timeout=120.0)
        created = await story.play(story.creation())
        assert not created.error, created.error
        history = History(system, seed)
        history.watch.wanted.append((system.clock.now() - 60.0, 3))
        await history.play()
        replicas = await history.heal()
        await asyncio.sleep(5)
        try:
            await system.world.until("rest", lambda: system.world.missing_of_group(GROUP, replicas), timeout=3600.0)
        except TimedOut as error:
            error.add_note("\n".join(history.told))
            raise
        assert history.watch.wrong == [], "\n".join(history.told)
        await asyncio.sleep(120)
        stores = [store for store in system.simulation.stores(CLUSTER) if store.node_state != "Removed"]
        assert [(store.node_state, store.evicting) for store in stores] == [("Serving", False)] * replicas
        assert len(system.world.claims(GROUP)) == len(system.world.pods(GROUP)) == replicas
        await asyncio.sleep(1800)  # until Events of the same kind are no longer counted up
        system.traffic.requests.clear()
        await asyncio.sleep(3600)
        assert system.traffic.writes == []
