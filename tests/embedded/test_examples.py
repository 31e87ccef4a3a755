"""The three example operators, run as their users run them: with a kubeconfig, over HTTP, until they are stopped."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import pytest
import pytest_asyncio
from aiohttp import web

from controller_runtime import Manager, Object, ObjectKey, ObjectMeta, make_logger
from controller_runtime.api.k8s import ConfigMap, CustomResourceDefinition, Event, Service
from controller_runtime.client import LiveClient, merge_patch
from controller_runtime.envtest import EmbeddedCluster

EXAMPLES = Path(__file__).parents[2] / "examples"

T = TypeVar("T", bound=Object)
Main = Coroutine[Any, Any, None]


def example(name: str) -> ModuleType:
    """Load one file of examples/, which is no package."""
    specification = importlib.util.spec_from_file_location(f"examples.{name}", EXAMPLES / f"{name}.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module
    specification.loader.exec_module(module)
    return module


sites = example("owning_children")
agents = example("mapping_a_second_kind")
quotas = example("polling_the_outside")


@pytest_asyncio.fixture
async def cluster() -> AsyncIterator[EmbeddedCluster]:
    async with EmbeddedCluster(http=True) as cluster:
        yield cluster


@pytest.fixture
def kubeconfig(cluster: EmbeddedCluster, tmp_path: Path) -> str:
    path = tmp_path / "kubeconfig"
    path.write_text(cluster.kubeconfig())
    return str(path)


@pytest.fixture
def user(cluster: EmbeddedCluster) -> LiveClient:
    return LiveClient(cluster.transport, field_manager="user")


@asynccontextmanager
async def running(main: Main) -> AsyncIterator[None]:
    """Run an operator until the block ends; what it raises fails the test."""
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        operator = group.create_task(main)
        yield
        operator.cancel()


async def until(user: LiveClient, kind: type[T], name: str, holds: Callable[[T], object], namespace: str = "") -> T:
    """Wait for an object of which `holds` is true; an empty name stands for any."""
    while True:
        async with user.watch(kind, namespace=namespace) as events:
            async for event in events:
                found = event.object
                if event.type in ("ADDED", "MODIFIED") and name in ("", found.metadata.name) and holds(found):
                    return found


async def until_gone(user: LiveClient, kind: type[Object], name: str) -> None:
    while True:
        async with user.watch(kind, namespace="default") as events:
            if await user.find(kind, ObjectKey("default", name)) is None:
                return
            async for event in events:
                if event.type == "DELETED" and event.object.metadata.name == name:
                    return


async def until_served(user: LiveClient, *kinds: type[Object]) -> None:
    """Wait until an operator has installed the CRDs of these kinds."""
    for kind in kinds:
        await until(user, CustomResourceDefinition, f"{kind.resource.plural}.{kind.resource.group}", bool)


def meta(name: str, namespace: str = "default") -> ObjectMeta:
    return ObjectMeta(name=name, namespace=namespace)


class TestOwningChildren:
    async def test_a_site_has_its_pages_and_an_address(self, user: LiveClient, kubeconfig: str) -> None:
        async with running(sites.main(kubeconfig)):
            await until_served(user, sites.Site)
            await user.create(sites.Site(metadata=meta("blog"), spec=sites.SiteSpec(pages={"index.html": "Hello"})))
            site = await until(user, sites.Site, "blog", lambda site: site.status and site.status.published)

            service = await user.get(Service, ObjectKey("default", "site-blog"))
            assert service.spec is not None
            assert site.status.address == service.spec.cluster_ip
            assert site.status.observed_generation == site.metadata.generation
            pages = await user.get(ConfigMap, ObjectKey("default", "site-blog"))
            assert pages.data == {"index.html": "Hello"}
            await until(user, Event, "", lambda event: event.reason == "Published")

    async def test_what_others_do_to_its_children_is_put_right(self, user: LiveClient, kubeconfig: str) -> None:
        key = ObjectKey("default", "site-blog")
        async with running(sites.main(kubeconfig)):
            await until_served(user, sites.Site)
            await user.create(sites.Site(metadata=meta("blog"), spec=sites.SiteSpec(pages={"a": "1", "b": "2"})))
            first = await until(user, ConfigMap, key.name, bool)

            await user.patch(ConfigMap, key, merge_patch({"data": {"a": "defaced"}}))
            await until(user, ConfigMap, key.name, lambda pages: pages.data["a"] == "1")
            await user.delete(ConfigMap, key)
            await until(user, ConfigMap, key.name, lambda pages: pages.metadata.uid != first.metadata.uid)

            await user.patch(sites.Site, ObjectKey("default", "blog"), merge_patch({"spec": {"pages": {"b": None}}}))
            await until(user, ConfigMap, key.name, lambda pages: pages.data == {"a": "1"})

    async def test_nothing_of_a_deleted_site_stays(self, user: LiveClient, kubeconfig: str) -> None:
        async with running(sites.main(kubeconfig)):
            await until_served(user, sites.Site)
            await user.create(sites.Site(metadata=meta("blog"), spec=sites.SiteSpec(pages={"a": "1"})))
            await until(user, Service, "site-blog", bool)
            await user.delete(sites.Site, ObjectKey("default", "blog"))
            for kind in (sites.Site, ConfigMap, Service):
                await until_gone(user, kind, "blog" if kind is sites.Site else "site-blog")

    async def test_as_a_program_of_its_own(self, user: LiveClient, kubeconfig: str) -> None:
        program = await asyncio.create_subprocess_exec(
            *(sys.executable, str(EXAMPLES / "owning_children.py"), "--kubeconfig", kubeconfig),
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(EXAMPLES.parent / "src")},
        )
        try:
            async with asyncio.timeout(20):
                await until_served(user, sites.Site)
                await user.create(sites.Site(metadata=meta("blog"), spec=sites.SiteSpec(pages={"a": "1"})))
                await until(user, sites.Site, "blog", lambda site: site.status and site.status.published)
                program.send_signal(signal.SIGTERM)
                _, log = await program.communicate()
        finally:
            if program.returncode is None:
                program.kill()
                await program.wait()
        assert program.returncode == 0, log.decode()
        assert "Signal received" in log.decode()
        assert "Traceback" not in log.decode()


class TestMappingASecondKind:
    async def test_agents_follow_their_profile(self, user: LiveClient, kubeconfig: str) -> None:
        def reads(text: str) -> Callable[[ConfigMap], bool]:
            return lambda configuration: text in (configuration.data or {}).get("agent.conf", "")

        async with running(agents.main(kubeconfig)):
            await until_served(user, agents.LogProfile, agents.Agent)
            for name, profile in (("a", "quiet"), ("b", "quiet"), ("c", "other")):
                spec = agents.AgentSpec(profile=profile, files=["/var/log/syslog"])
                await user.create(agents.Agent(metadata=meta(name), spec=spec))
                missing = await until(user, agents.Agent, name, lambda agent: agent.status)
                assert missing.status.message == f"there is no LogProfile {profile}"

            for profile in ("quiet", "other"):
                spec = agents.LogProfileSpec(level="warning", collector="logs:4317")
                await user.create(agents.LogProfile(metadata=meta(profile, ""), spec=spec))
            for name in "abc":
                await until(user, ConfigMap, f"agent-{name}", reads("level = warning"))
                await until(
                    user, agents.Agent, name, lambda agent: agent.status == agents.AgentStatus(profile_generation=1)
                )

            await user.patch(agents.LogProfile, ObjectKey("", "quiet"), merge_patch({"spec": {"level": "debug"}}))
            for name in "ab":
                await until(user, ConfigMap, f"agent-{name}", reads("level = debug"))
                await until(user, agents.Agent, name, lambda agent: agent.status.profile_generation == 2)
            assert reads("level = warning")(await user.get(ConfigMap, ObjectKey("default", "agent-c")))

            await user.patch(agents.Agent, ObjectKey("default", "c"), merge_patch({"spec": {"profile": "quiet"}}))
            await until(user, ConfigMap, "agent-c", reads("level = debug"))


class QuotaService:
    """A quota service on loopback."""

    def __init__(self) -> None:
        self.answer: dict[str, Any] = {}

    async def handle(self, _: web.Request) -> web.Response:
        return web.json_response(self.answer)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        app = web.Application()
        app.router.add_get("/", self.handle)
        runner = web.AppRunner(app)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
        finally:
            await runner.cleanup()


class TestPollingTheOutside:
    async def test_the_status_follows_the_service(self, user: LiveClient, kubeconfig: str) -> None:
        service = QuotaService()
        service.answer = {"shop": {"limit": 32, "used": 8}}
        async with service.serving() as url, running(quotas.main(url, kubeconfig, metrics_address="0")):
            await until_served(user, quotas.ProjectQuota)
            spec = quotas.ProjectQuotaSpec(project="shop", needed=16)
            await user.create(quotas.ProjectQuota(metadata=meta("batch"), spec=spec))
            found = await until(user, quotas.ProjectQuota, "batch", lambda quota: quota.status and quota.status.free)
            assert found.status == quotas.ProjectQuotaStatus(free=24, enough=True)

    async def test_only_what_changed_outside_is_reconciled(self, cluster: EmbeddedCluster, user: LiveClient) -> None:
        answers: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

        async def fetch() -> dict[str, Any]:
            return await answers.get()

        cluster.install(quotas.custom_resource_definition(quotas.ProjectQuota))
        manager = Manager(cluster.transport, field_manager="quota-operator", log=make_logger(level="error"))
        quotas.assemble(manager, fetch, interval=0.001)
        async with running(manager.run()):
            for name, project in (("batch", "shop"), ("web", "site")):
                spec = quotas.ProjectQuotaSpec(project=project, needed=16)
                await user.create(quotas.ProjectQuota(metadata=meta(name), spec=spec))
            usage = {"shop": quotas.Usage(limit=32, used=8), "site": quotas.Usage(limit=20, used=2)}
            answers.put_nowait(usage)
            for name in ("batch", "web"):
                await until(user, quotas.ProjectQuota, name, lambda quota: quota.status and quota.status.enough)

            def runs() -> float | None:
                return manager.registry.get_sample_value(
                    "controller_runtime_task_results_total",
                    {"controller": "quota", "task": "Usage", "result": "complete"},
                )

            before = runs()
            assert before is not None
            answers.put_nowait({**usage, "shop": quotas.Usage(limit=32, used=20)})
            await until(user, quotas.ProjectQuota, "batch", lambda quota: not quota.status.enough)
            assert runs() == before + 1

            answers.put_nowait({"site": usage["site"]})
            await until(user, quotas.ProjectQuota, "batch", lambda quota: quota.status.free is None)
