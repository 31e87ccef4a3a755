"""The conformance suite: what must be true of the embedded API server and of the real one alike.

`--cluster` says which of the two is judged; a case never asks. The cluster is started once per worker, with the CRD of `Thing`
and with what cleans up after owners and namespaces, and all cases run on the event loop that it was started on. Each case has
a namespace of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from controller_runtime.envtest import BinaryCluster, Cluster, EmbeddedCluster
from helpers.rest import Api, connect
from helpers.things import THING_CRD


def pytest_collectstart(collector: pytest.Collector) -> None:
    """Let all cases run on the cluster's event loop. A conftest's hooks are called for the modules beside it alone."""
    if isinstance(collector, pytest.Module):
        collector.add_marker(pytest.mark.asyncio(loop_scope="session"))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def cluster(request: pytest.FixtureRequest) -> AsyncIterator[Cluster]:
    if request.config.getoption("--cluster") == "real":
        async with BinaryCluster(crds=[THING_CRD], controller_manager=True) as real:
            yield real
    else:
        async with EmbeddedCluster(crds=[THING_CRD], http=True) as embedded:
            yield embedded


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def administrator(cluster: Cluster) -> AsyncIterator[Api]:
    """The one connection that all cases share."""
    api = await connect(cluster, cluster.kubeconfig())
    yield api
    await api.transport.close()


@pytest_asyncio.fixture(loop_scope="session")
async def api(cluster: Cluster, administrator: Api) -> AsyncIterator[Api]:
    """An administrator's way in; what the case opens through it ends with the case."""
    api = Api(cluster, administrator.transport)
    yield api
    await api.close()


@pytest_asyncio.fixture(loop_scope="session")
async def namespace(administrator: Api) -> AsyncIterator[str]:
    """The name of a fresh namespace, deleted after the case."""
    made = await administrator.post("/api/v1/namespaces", {"metadata": {"generateName": "case-"}})
    name: str = made.ok()["metadata"]["name"]
    yield name
    await administrator.delete(f"/api/v1/namespaces/{name}")  # which the case may have done


@pytest_asyncio.fixture(autouse=True, loop_scope="session")
async def no_task_is_left_behind() -> AsyncIterator[None]:
    """As in all tests, on this loop; the connections of the embedded server, which serve many cases, may stay."""
    before = asyncio.all_tasks()
    yield
    await asyncio.sleep(0)
    left = asyncio.all_tasks() - before - {asyncio.current_task()}
    own = {task for task in left if "RequestHandler.start" not in repr(task.get_coro())}
    assert not own, f"tasks left behind: {own}"
