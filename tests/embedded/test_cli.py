"""The command line as a user meets it: real processes, real files, one clear line for each mistake."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

from controller_runtime.api import ObjectKey
from controller_runtime.api.crd import custom_resource_definition
from controller_runtime.cache import Cache
from controller_runtime.client import LiveClient
from controller_runtime.clock import SystemClock
from controller_runtime.envtest import EmbeddedCluster
from helpers.recording_log import RecordingLog
from tikv_operator.api import KINDS
from tikv_operator.demo.manifests import load
from tikv_operator.demo.stage import DEMO_WORLD
from tikv_operator.demo.world import World
from tikv_operator.simulation import Simulation
from tikv_operator.simulation.pd.front import LoopbackFront

SAMPLE = Path(__file__).parents[2] / "config" / "samples" / "basic"
LIMIT = 90.0
FAST = "store_ready_seconds = 0.5\nrequeue = 0.5\npd_poll = 2.0\npd_poll_busy = 0.2\nbackoff_base = 0.1\n"


class Run:
    """One run of the console script."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def finish(self) -> tuple[int, str, str]:
        async with asyncio.timeout(LIMIT):
            out, err = await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode, out.decode(), err.decode()


@asynccontextmanager
async def started(*arguments: str, home: Path, **environment: str) -> AsyncIterator[Run]:
    """Start the console script with nothing of this process' environment but the path."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tikv_operator",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"PATH": os.environ["PATH"], "HOME": str(home), **environment},
    )
    try:
        yield Run(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def run(*arguments: str, home: Path, **environment: str) -> tuple[int, str, str]:
    async with started(*arguments, home=home, **environment) as process:
        return await process.finish()


async def test_version(tmp_path: Path) -> None:
    assert await run("version", home=tmp_path) == (0, version("tikv-operator") + "\n", "")


async def test_crds_prints_all_kinds(tmp_path: Path) -> None:
    status, out, _ = await run("crds", home=tmp_path)
    kinds = [document["spec"]["names"]["kind"] for document in yaml.safe_load_all(out)]
    assert (status, sorted(kinds)) == (0, ["Cluster", "PD", "PDGroup", "TiKV", "TiKVGroup"])


async def test_crds_writes_one_file_for_each_kind(tmp_path: Path) -> None:
    status, _, _ = await run("crds", "--output", str(tmp_path / "out"), home=tmp_path)
    assert (status, len(list((tmp_path / "out").glob("*.yaml")))) == (0, len(KINDS))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param(None, "kubeconfig", id="missing"),
        pytest.param("a: [", "kubeconfig", id="not-yaml"),
        pytest.param("apiVersion: v1\nkind: Config\n", "kubeconfig", id="empty"),
    ],
)
async def test_a_wrong_kubeconfig_is_one_line_and_exit_code_2(tmp_path: Path, text: str | None, words: str) -> None:
    file = tmp_path / "kubeconfig"
    if text is not None:
        file.write_text(text)
    status, out, err = await run("run", "--kubeconfig", str(file), home=tmp_path)
    assert (status, out) == (2, "")
    assert err.startswith("tikv-operator: ")
    assert words in err
    assert err.count("\n") == 1


async def test_without_any_kubeconfig_the_places_looked_at_are_named(tmp_path: Path) -> None:
    status, _, err = await run("run", home=tmp_path)
    assert status == 2
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(["demo", "-f", "none.yaml"], "none.yaml: No such file", id="a-missing-manifest"),
        pytest.param(["demo", "--settings", "none.toml"], "none.toml: No such file", id="missing-settings"),
        pytest.param(["demo", "--keep", "--kubeconfig-out", "."], "Is a directory", id="a-folder-for-the-kubeconfig"),
    ],
)
async def test_a_file_that_cannot_be_used_is_one_line_and_exit_code_2(
    tmp_path: Path, arguments: list[str], words: str
) -> None:
    status, _, err = await run(*arguments, home=tmp_path)
    assert status == 2
    assert words in err
    assert err.count("\n") == 1


async def test_a_cloud_that_cannot_be_used_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    status, out, err = await run("run", "--volume-modifier", "aws", home=tmp_path, AWS_EC2_METADATA_DISABLED="true")
    assert (status, out) == (2, "")
    assert err.startswith("tikv-operator: volume modifier aws: AWS cannot be used: You must specify a region")
    assert err.count("\n") == 1


async def test_a_cloud_whose_library_is_missing_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    (tmp_path / "aiobotocore").mkdir()  # stands in the way of the one that is installed, and has nothing in it
    (tmp_path / "aiobotocore" / "__init__.py").touch()
    path = os.pathsep.join([str(tmp_path), str(SAMPLE.parents[2] / "src")])
    status, _, err = await run("run", "--volume-modifier", "aws", home=tmp_path, PYTHONPATH=path)
    assert status == 2
    assert err == (
        "tikv-operator: volume modifier aws: its library is not installed; pip install 'tikv-operator[aws]'\n"
    )


async def test_a_manifest_that_breaks_a_rule_is_refused_with_the_field_and_the_rule(tmp_path: Path) -> None:
    manifests = load([SAMPLE])
    manifests[2]["spec"]["template"]["spec"]["volumes"][0]["name"] = "other"
    manifests[2]["spec"]["replicas"] = -1
    file = tmp_path / "bad.yaml"
    file.write_text(yaml.safe_dump_all(manifests))
    status, _, err = await run("demo", "-f", str(file), home=tmp_path)
    assert status == 1
    assert "spec.replicas" in err
    assert "data volume must be configured" in err
    assert "Traceback" not in err


async def test_the_operator_ends_when_told_to_even_if_the_reader_of_its_log_is_gone(tmp_path: Path) -> None:
    async with EmbeddedCluster(clock=SystemClock(), http=True) as cluster:
        kubeconfig = tmp_path / "kubeconfig"
        kubeconfig.write_text(cluster.kubeconfig())
        addresses = ("--metrics-bind-address", "0", "--health-probe-bind-address", "0")
        arguments = ("run", "--kubeconfig", str(kubeconfig), "--no-leader-elect", *addresses)
        reader, writer = os.pipe()
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tikv_operator",
            *arguments,
            stderr=writer,
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        )
        os.close(writer)
        await asyncio.to_thread(os.read, reader, 1)  # it runs: there are no CRDs, so it has something to say
        os.close(reader)
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(LIMIT):
            # Python itself says 120 when its last flush of standard error fails.
            assert await process.wait() in {0, 120}


@pytest.mark.demo
async def test_the_demo_reaches_all_its_end_states(tmp_path: Path) -> None:
    status, out, err = await run("demo", "--svg", str(tmp_path / "demo.svg"), home=tmp_path)
    assert (status, err) == (0, "")
    for words in ("create", "scale out 3 -> 5", "roll", "scale in 5 -> 3", "delete everything", "nothing is left"):
        assert words in out
    assert (tmp_path / "demo.svg").read_text().startswith("<svg")


@pytest.mark.demo
async def test_a_kept_demo_serves_kubectl_and_goes_when_told_to(tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    async with started("demo", "--keep", "--kubeconfig-out", str(kubeconfig), home=tmp_path) as demo:
        assert demo.process.stdout is not None
        async with asyncio.timeout(LIMIT):
            while b"stays up" not in await demo.process.stdout.readline():
                pass
        assert kubeconfig.stat().st_mode & 0o077 == 0
        kubectl = await asyncio.create_subprocess_exec(
            str(Path(sys.executable).with_name("kubectl")),
            "get",
            "tikvgroups",
            env={"KUBECONFIG": str(kubeconfig), "HOME": str(tmp_path)},
            stdout=asyncio.subprocess.PIPE,
        )
        table, _ = await kubectl.communicate()
        assert table.decode().splitlines()[1].split()[:5] == ["kv", "basic", "3", "3", "3"]
        demo.process.send_signal(signal.SIGTERM)
        status, _, err = await demo.finish()
        assert (status, err) == (0, "")


@pytest.mark.demo
async def test_the_operator_process_is_killed_in_the_middle_and_another_finishes(tmp_path: Path) -> None:
    clock, log = SystemClock(), RecordingLog()
    crds = [custom_resource_definition(kind) for kind in KINDS]
    settings = tmp_path / "settings.toml"
    settings.write_text(FAST)
    async with EmbeddedCluster(clock=clock, crds=crds, http=True) as cluster, LoopbackFront() as front:
        kubeconfig = tmp_path / "kubeconfig"
        kubeconfig.write_text(cluster.kubeconfig())
        arguments = ("run", "--kubeconfig", str(kubeconfig), "--settings", str(settings), "--no-leader-elect")
        addresses = ("--metrics-bind-address", "0", "--health-probe-bind-address", "0")
        async with asyncio.TaskGroup() as group:
            world_task = group.create_task(
                Simulation(cluster.transport, front=front, clock=clock, log=log, settings=DEMO_WORLD).run()
            )
            cache = Cache(cluster.transport, clock=clock, registry=None, log=log)
            world = World(cache)
            cache_task = group.create_task(cache.run())
            await cache.wait_synced(timeout=LIMIT)
            user = LiveClient(cluster.transport, field_manager="user")
            async with started(*arguments, *addresses, home=tmp_path) as first:
                for manifest in load([SAMPLE]):
                    await user.apply(manifest)
                await world.until("first pods", lambda: "" if world.tikvs() else "no TiKV yet", timeout=LIMIT)
                first.process.kill()
                await first.process.wait()
            key = ObjectKey("default", "kv")
            async with started(*arguments, *addresses, home=tmp_path) as second:
                await world.until("ready", lambda: world.missing_of_group(key, 3), timeout=LIMIT)
                assert len(world.tikvs(key)) == 3
                second.process.send_signal(signal.SIGTERM)
                status, _, _ = await second.finish()
                assert status == 0
            world_task.cancel()
            cache_task.cancel()
