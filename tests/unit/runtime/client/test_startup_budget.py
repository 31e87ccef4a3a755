"""What a program pays for importing the runtime: memory, and modules that it will never use."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
BUDGET = 60  # MiB

PROGRAM = """
import json, os, sys

import controller_runtime.cache
import controller_runtime.client
before = "kubernetes_asyncio" in sys.modules
from controller_runtime.client._lazy import lazy_generated_modules
with lazy_generated_modules():
    from kubernetes_asyncio.client import ApiClient, Configuration
    from kubernetes_asyncio.config import kube_config
try:
    from kubernetes_asyncio.client import nothing_of_that_name
except ImportError:
    missing_is_an_error = True
generated = [name for name in sys.modules if name.startswith("kubernetes_asyncio.client.models.")]
with open("/proc/self/statm") as statm:
    resident = int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
unused = [name for name in ("kubernetes_asyncio.watch", "urllib3.connectionpool") if name in sys.modules]
finders = [type(finder).__name__ for finder in sys.meta_path]
import kubernetes_asyncio
configuration = Configuration(username="me", password="secret")
print(json.dumps([
    before, missing_is_an_error, len(generated), unused, resident, finders,
    configuration.verify_ssl, configuration.get_basic_auth_token(), kubernetes_asyncio.watch.Watch.__name__,
]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_runtime_and_the_configuration_loader_fit_the_memory_budget() -> None:
    answer = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT / "src", check=True, capture_output=True, text=True
    )
    imported, missing_is_an_error, generated, unused, resident, finders, *works = json.loads(answer.stdout)
    assert not imported, "kubernetes_asyncio is imported before it is needed"
    assert missing_is_an_error
    assert generated < 5
    assert not unused
    assert resident < BUDGET, f"{resident:.1f} MiB after import"
    assert "_LazyFinder" not in finders
    assert works == [True, "Basic bWU6c2VjcmV0", "Watch"], "what is loaded late is there when it is asked for"
