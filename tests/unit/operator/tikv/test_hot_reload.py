"""HotReload on a whole system: a changed configuration reaches every running TiKV, and no pod is restarted."""

from __future__ import annotations

import asyncio

from controller_runtime.api.k8s import Event, Pod
from controller_runtime.client import merge_patch
from helpers.tikv_fakes import condition
from helpers.whole_system import System, whole_system
from tikv_operator.api import TiKV, TiKVGroup
from tikv_operator.common.instances import is_group_healthy_and_up_to_date
from tikv_operator.common.settings import Settings
from tikv_operator.demo.manifests import load
from tikv_operator.demo.stage import sample_folder

BEFORE = '[log]\nlevel = "info"\n[storage]\nengine = "raft-kv"\n'


async def settled(system: System) -> None:
    async with asyncio.timeout(900):
        while not [found for found in await system.user.list(TiKVGroup) if is_group_healthy_and_up_to_date(found)]:
            await asyncio.sleep(0.5)


async def change_config(system: System, config: str) -> None:
    group = (await system.user.list(TiKVGroup))[0]
    template = {"spec": {"config": config, "updateStrategy": {"config": "HotReload"}}}
    await system.user.patch(TiKVGroup, group.key, merge_patch({"spec": {"template": template}}))
    await asyncio.sleep(1)
    await settled(system)


async def pods(system: System) -> dict[str, str]:
    return {pod.metadata.name: pod.metadata.uid for pod in await system.user.list(Pod)}


async def test_what_can_change_changes_and_what_cannot_waits_for_a_restart() -> None:
    async with whole_system(Settings()) as system:
        for manifest in load((sample_folder(),)):
            await system.user.apply(manifest)
        await settled(system)
        await change_config(system, BEFORE)
        running = await pods(system)

        await change_config(system, BEFORE.replace("info", "warn"))
        reloaded = [event.note for event in await system.user.list(Event) if event.reason == "ConfigReloaded"]
        assert "changed in the running tikv: log.level" in reloaded
        assert await pods(system) == running

        await change_config(system, BEFORE.replace("info", "warn").replace("raft-kv", "partitioned-raft-kv"))
        for tikv in await system.user.list(TiKV):
            found = condition(tikv, "RestartRequired")
            assert found is not None
            assert found.reason == "ConfigNeedsRestart"
            assert "storage.engine" in found.message
        assert await pods(system) == running

        pod = next(pod for pod in await system.user.list(Pod) if "-tikv-" in pod.metadata.name)
        system.simulation.crash_pod(pod.key)
        await asyncio.sleep(60)
        left = [condition(tikv, "RestartRequired") for tikv in await system.user.list(TiKV)]
        assert left.count(None) == 1, "the process that was started again has read its file"
