"""Which event loop a test runs on, which cluster, and the promise that it leaves no task behind.

Unit tests run in virtual time, where an hour takes a millisecond and nothing may wait for a socket; all others run on
uvloop, as in production.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import pytest
import pytest_asyncio
import uvloop

from controller_runtime.envtest.virtual import VirtualTimeLoop

UNIT = Path(__file__).parent / "unit"
REAL = Path(__file__).parent / "real"


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    if not pluginmanager.hasplugin("controller_runtime_envtest"):  # where the package is installed, it is there
        pluginmanager.import_plugin("controller_runtime.envtest.plugin")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Tests that want the real binaries run with --cluster=real alone: `make test-real`."""
    return True if collection_path == REAL and config.getoption("--cluster") != "real" else None


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    if UNIT in item.path.parents:
        return {"virtual": VirtualTimeLoop}
    return {"uvloop": uvloop.new_event_loop}


@pytest_asyncio.fixture(autouse=True)
async def no_task_is_left_behind() -> AsyncIterator[None]:
    """Fail a test whose code left a task running after its own clean-up."""
    before = asyncio.all_tasks()
    yield
    await asyncio.sleep(0)
    left = asyncio.all_tasks() - before - {asyncio.current_task()}
    assert not left, f"tasks left behind: {left}"
