"""A contestant's process: started, listened to, measured by the kernel's own accounts, and ended with SIGTERM."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, final

import orjson

__all__ = ["Contestant", "Failed", "running"]

_TICKS = os.sysconf("SC_CLK_TCK")


class Failed(Exception):
    """A contestant ended early, or did not say in time what was waited for."""


@final
class Contestant:
    """A running process that says what happens, one JSON object a line."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.started = time.time_ns()
        self.peak_mb = 0.0

    def cpu_seconds(self) -> float:
        """Return the CPU time used by now, user and system, of all threads."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    async def wait_for(self, event: str, timeout: float = 120.0) -> dict[str, Any]:
        """Return the next fact of this name.

        Raises:
            Failed: it does not come.
        """
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(timeout):
                while line := await self._process.stdout.readline():
                    fact: dict[str, Any] = orjson.loads(line)
                    if fact["event"] == event:
                        return fact
        except TimeoutError:
            msg = f"no {event!r} within {timeout:g} s"
            raise Failed(msg) from None
        msg = f"ended before it said {event!r}"
        raise Failed(msg)

    async def end(self) -> dict[str, Any]:
        """Note the peak of its memory, ask it to end, and return what it says at its end."""
        self._measure()
        self._process.send_signal(signal.SIGTERM)
        return await self.wait_for("end", 60.0)

    def _measure(self) -> None:
        # VmHWM rather than ru_maxrss, which begins with what the forking process had.
        for line in Path(f"/proc/{self._process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                self.peak_mb = int(line.split()[1]) / 1024


@asynccontextmanager
async def running(command: Sequence[str]) -> AsyncIterator[Contestant]:
    """Run a contestant; it is gone when the context ends."""
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, limit=2**26)
    try:
        yield Contestant(process)
    finally:
        try:
            async with asyncio.timeout(20):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
