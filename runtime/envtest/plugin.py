"""A pytest plugin: whoever asks for the fixture `cluster` gets the cluster that `--cluster` names.

    async def test_a_site_gets_its_pages(cluster, namespace):
        await cluster.install_crds(custom_resource_definition(Site))
        client = LiveClient(cluster.transport, field_manager="test")
        ...

`--cluster=embedded`, the default, gives each test an API server of its own, in its own process and on its own event loop, be
that in real or in virtual time. `--cluster=real` starts etcd and kube-apiserver once (for each worker of pytest-xdist) and gives
each test its own connections. What a test creates in its `namespace` doesn't disturb others on either; what is outside of
namespaces, CRDs too, stays with the real one until the end. Tests in virtual time are skipped there: the real one's time is real.

The fixtures are asynchronous, and therefore want pytest-asyncio. pytest loads this module wherever the package is installed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

import pytest

from controller_runtime.api.k8s import Namespace
from controller_runtime.api.meta import ObjectMeta
from controller_runtime.api.resource import ObjectKey
from controller_runtime.client.live import LiveClient
from controller_runtime.clock import LoopClock, SystemClock
from controller_runtime.envtest.binarycluster import BinaryCluster
from controller_runtime.envtest.binaryplane import ControlPlane
from controller_runtime.envtest.cluster import EmbeddedCluster
from controller_runtime.envtest.contract import Cluster

if TYPE_CHECKING:
    async_fixture = pytest.fixture
else:
    try:
        from pytest_asyncio import fixture as async_fixture
    except ImportError:  # another plugin that runs asynchronous tests may do
        async_fixture = pytest.fixture

__all__ = ["cluster", "control_plane", "namespace", "pytest_addoption"]


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("controller_runtime", "clusters to test on (controller_runtime.envtest)")
    group.addoption(
        "--cluster",
        choices=("embedded", "real"),
        default="embedded",
        help="where tests run that use the fixture `cluster`: on the embedded API server, or on the real kube-apiserver",
    )
    group.addoption(
        "--controller-manager",
        action="store_true",
        help="with --cluster=real: run kube-controller-manager, so that there too owned objects and the contents of "
        "deleted namespaces are removed",
    )


@pytest.fixture(scope="session")
def control_plane(pytestconfig: pytest.Config) -> Iterator[ControlPlane | None]:
    """The processes of the real control plane, which all tests of this worker share; None on the embedded one."""
    if pytestconfig.getoption("--cluster") == "embedded":
        yield None
        return

    async def start() -> ControlPlane:
        plane = await ControlPlane.start()
        if pytestconfig.getoption("--controller-manager"):
            await plane.start_controller_manager()
        return plane

    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        plane = runner.run(start())
    yield plane
    plane.stop()


@async_fixture
async def cluster(control_plane: ControlPlane | None) -> AsyncIterator[Cluster]:
    """The cluster that `--cluster` names."""
    virtual = getattr(asyncio.get_running_loop(), "virtual_time", False)
    if control_plane is None:
        async with EmbeddedCluster(clock=LoopClock() if virtual else SystemClock(), http=True) as embedded:
            yield embedded
    elif virtual:
        pytest.skip("a test in virtual time runs on the embedded cluster alone")
    else:
        async with BinaryCluster.of(control_plane) as real:
            yield real


@async_fixture
async def namespace(cluster: Cluster) -> AsyncIterator[str]:
    """The name of a fresh namespace, deleted after the test."""
    client = LiveClient(cluster.transport, field_manager="envtest")
    made = await client.create(Namespace(metadata=ObjectMeta(generate_name="test-")))
    yield made.metadata.name
    await client.delete(Namespace, ObjectKey("", made.metadata.name))
