"""The embedded API server as a process: writes its kubeconfig to the file that is its argument, and runs until SIGTERM."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
from pathlib import Path

import uvloop

from controller_runtime.envtest import EmbeddedCluster


async def main(kubeconfig: Path, history: int, tls: bool) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with EmbeddedCluster(http=True, history=history, tls=tls) as cluster:
        unfinished = kubeconfig.with_suffix(".part")
        unfinished.write_text(cluster.kubeconfig())
        os.replace(unfinished, kubeconfig)
        await stop.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kubeconfig", type=Path)
    parser.add_argument("--history", type=int, default=100_000, help="changes that are remembered for watches")
    parser.add_argument("--plain", action="store_true", help="HTTP without TLS")
    options = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(options.kubeconfig, options.history, not options.plain))
