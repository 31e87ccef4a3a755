"""The pytest plugin as a user of the framework has it: in projects of their own, with pytest-asyncio in either mode."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PLUGINS = ("-p", "pytest_asyncio.plugin", "-p", "controller_runtime.envtest.plugin")
SETTINGS = ("-W", "error", "-o", "asyncio_default_fixture_loop_scope=function")

Outcome = Callable[..., str]

TWO_TESTS = """
import pytest
from controller_runtime import ObjectMeta
from controller_runtime.api.k8s import ConfigMap, Namespace
from controller_runtime.client import LiveClient

pytestmark = pytest.mark.asyncio

@pytest.mark.parametrize("number", [1, 2])
async def test_one(cluster, namespace, number):
    client = LiveClient(cluster.transport, field_manager="test")
    assert namespace.startswith("test-")
    assert await client.list(ConfigMap) == []
    await client.create(ConfigMap(metadata=ObjectMeta(name="a", namespace=namespace)))
    assert cluster.url.startswith("https://127.0.0.1:") and cluster.url in cluster.kubeconfig("jane", groups=["dev"])
"""

IN_VIRTUAL_TIME = """
import asyncio
import pytest
from controller_runtime.envtest import VirtualTimeLoop

def pytest_asyncio_loop_factories(config, item):
    return {"virtual": VirtualTimeLoop}
"""

A_DAY = """
import asyncio
from controller_runtime import ObjectMeta
from controller_runtime.api.k8s import Lease
from controller_runtime.api.time import parse_time
from controller_runtime.client import LiveClient

async def test_a_day(cluster, namespace):
    client = LiveClient(cluster.transport, field_manager="test")
    first = await client.create(Lease(metadata=ObjectMeta(name="a", namespace=namespace)))
    await asyncio.sleep(24 * 3600)
    second = await client.create(Lease(metadata=ObjectMeta(name="b", namespace=namespace)))
    seconds = parse_time(second.metadata.creation_timestamp) - parse_time(first.metadata.creation_timestamp)
    assert seconds == 24 * 3600
"""


@pytest.fixture
def outcome(tmp_path: Path) -> Outcome:
    """Run pytest on a project of these files, and return what it said."""

    def run(*options: str, **files: str) -> str:
        project = tmp_path / "project"
        project.mkdir()
        for name, text in files.items():
            (project / f"{name}.py").write_text(text)
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT / "src"),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "XDG_CACHE_HOME": str(tmp_path / "cache"),
        }
        command = [sys.executable, "-m", "pytest", *PLUGINS, *SETTINGS, *options]
        done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    return run


@pytest.mark.parametrize("mode", ["auto", "strict"])
def test_each_test_has_an_embedded_cluster_of_its_own(outcome: Outcome, mode: str) -> None:
    assert "2 passed" in outcome("--asyncio-mode", mode, test_it=TWO_TESTS)


def test_in_virtual_time_the_cluster_s_clock_is_the_loop_s(outcome: Outcome) -> None:
    assert "1 passed" in outcome("--asyncio-mode=auto", conftest=IN_VIRTUAL_TIME, test_it=A_DAY)


def test_who_wants_the_real_cluster_and_has_none_is_told_how_to_get_it(outcome: Outcome) -> None:
    said = outcome("--asyncio-mode=auto", "--cluster=real", test_it=TWO_TESTS)
    assert "2 errors" in said
    assert "etcd is not in " in said
    assert "KUBEBUILDER_ASSETS" in said


def test_the_options_are_explained(outcome: Outcome) -> None:
    said = outcome("--help")
    assert "--cluster={embedded,real}" in said
    assert "--controller-manager" in said
