"""The embedded API server as a process: writes its kubeconfig to the file that is its argument, and runs until SIGTERM."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import uvloop
from controller_runtime.envtest import EmbeddedCluster


async def main(kubeconfig: Path) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with EmbeddedCluster(http=True, history=100_000) as cluster:
        unfinished = kubeconfig.with_suffix(".part")
        unfinished.write_text(cluster.kubeconfig())
        os.replace(unfinished, kubeconfig)
        await stop.wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(Path(sys.argv[1])))
