"""An operator that polls something outside, as a pipeline of tasks: does a cloud project have quota enough left?

    python examples/polling_the_outside.py --url http://quotas.example.com/ --kubeconfig ~/.kube/config

    apiVersion: example.com/v1
    kind: ProjectQuota
    metadata: {name: batch, namespace: default}
    spec: {project: shop, needed: 16}

The service is asked every half minute for all projects at once; only the objects of projects whose figures changed are
reconciled. `/debug/reconciles`, beside the metrics, tells what every task of each object's last run said.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass

import aiohttp
import msgspec

from controller_runtime import (
    Context,
    Controller,
    Manager,
    Model,
    Object,
    ObjectKey,
    PollSource,
    Request,
    Requeue,
    Resource,
    configure_logging,
)
from controller_runtime.api.crd import custom_resource_definition
from controller_runtime.cache import Informer
from controller_runtime.predicate import spec_or_lifecycle_changed
from controller_runtime.task import ReportStore, Result, Runner, TaskMetrics, block, complete, task, wait


class Usage(Model):
    """What the service says of a project."""

    limit: int
    used: int


Fetch = Callable[[], Awaitable[Mapping[str, Usage]]]


class ProjectQuotaSpec(Model):
    project: str
    needed: int


class ProjectQuotaStatus(Model):
    free: int | None = None
    enough: bool | None = None


class ProjectQuota(Object, kw_only=True):
    """Somebody needs so many CPUs of a cloud project's quota."""

    resource = Resource(group="example.com", version="v1", kind="ProjectQuota", plural="projectquotas")
    spec: ProjectQuotaSpec
    status: ProjectQuotaStatus | None = None


class Projects:
    """What the quota service said last. `fetch` asks it: over HTTP or, in a test, in any other way."""

    def __init__(self, fetch: Fetch, quotas: Informer) -> None:
        self.usage: Mapping[str, Usage] = {}
        self._fetch, self._quotas = fetch, quotas

    async def poll(self) -> Iterable[ObjectKey]:
        """Ask the service; return the objects whose project has changed."""
        usage = await self._fetch()
        old, self.usage = self.usage, usage
        changed = [name for name in old.keys() | usage.keys() if old.get(name) != usage.get(name)]
        return [key for name in changed for key in self._quotas.store.index("project").keys(name)]


@dataclass
class Run:
    """One reconcile: what its tasks work with."""

    ctx: Context
    quota: ProjectQuota
    projects: Projects


@task("Usage")
async def compare(run: Run) -> Result:
    project, needed = run.quota.spec.project, run.quota.spec.needed
    usage = run.projects.usage.get(project)
    if usage is None:
        run.quota.status = ProjectQuotaStatus()
        return wait(f"the service knows no project {project}")  # the poll that finds it will wake this object
    free = usage.limit - usage.used
    run.quota.status = ProjectQuotaStatus(free=free, enough=free >= needed)
    return complete(f"{needed} of {free} are needed")


@task("Status")
async def write_status(run: Run) -> Result:
    await run.ctx.client.update_status(run.quota)
    return complete()


def assemble(manager: Manager, fetch: Fetch, interval: float = 30.0) -> None:
    indexes = {"project": lambda entry: [entry.decode(ProjectQuota).spec.project]}
    projects = Projects(fetch, manager.cache.declare(ProjectQuota, indexes=indexes))
    steps, metrics, reports = block(compare, write_status), TaskMetrics(manager.registry), ReportStore()
    runner = Runner("quota", steps, metrics=metrics, reports=reports, clock=manager.clock)

    async def reconcile(ctx: Context, request: Request) -> Requeue | None:
        quota = await ctx.client.find(ProjectQuota, request.key)
        if quota is None:
            reports.forget("quota", request.key)
            return None
        return await runner.run(Run(ctx, quota, projects), request, ctx.log)

    controller = Controller("quota", reconcile).reconciles(ProjectQuota, spec_or_lifecycle_changed)
    manager.add(controller.watches_source(PollSource(projects.poll, interval)))
    manager.add_page("/debug/reconciles", lambda _: [report.as_dict() for report in reports.find()])


async def main(url: str, kubeconfig: str | None = None, metrics_address: str = ":8080") -> None:
    async def fetch() -> Mapping[str, Usage]:
        async with session.get(url, raise_for_status=True) as response:
            return msgspec.json.decode(await response.read(), type=dict[str, Usage])

    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session,
        Manager.from_environment(
            field_manager="quota-operator", kubeconfig=kubeconfig, health_address="0", metrics_address=metrics_address
        ) as manager,
    ):
        await manager.client.live.apply(custom_resource_definition(ProjectQuota))
        assemble(manager, fetch)
        await manager.run()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Compare ProjectQuotas with what a quota service says.")
    parser.add_argument("--url", required=True, help="of the service; it answers {project: {limit, used}} as JSON")
    parser.add_argument("--kubeconfig", help="default: $KUBECONFIG, the pod's own, ~/.kube/config")
    arguments = parser.parse_args()
    configure_logging()
    asyncio.run(main(arguments.url, arguments.kubeconfig))
