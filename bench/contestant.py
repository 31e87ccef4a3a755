"""A contestant's process: started, listened to, measured by the kernel's own accounts, and ended with SIGTERM."""

from __future__ import annotations

import asyncio
import contextlib
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
    """A contestant ended early, said what nobody understands, or did not see all that it was to see."""


@final
class Contestant:
    """A running process that says what happens, one JSON object a line."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.started = time.time_ns()
        self.peak_mb = 0.0

    def cpu_seconds(self) -> float:
        """Return the CPU time used by now, user and system, of all threads.

        Raises:
            Failed: it has ended.
        """
        fields = self._account("stat").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def peak_memory_mb(self) -> float:
        """Return the peak of its memory by now.

        Raises:
            Failed: it has ended.
        """
        # VmHWM rather than ru_maxrss, which begins with what the forking process had.
        found = next(line for line in self._account("status").splitlines() if line.startswith("VmHWM:"))
        return int(found.split()[1]) / 1024

    async def wait_for(self, event: str) -> dict[str, Any]:
        """Return the next fact of this name. It may never come: bound the wait.

        Raises:
            Failed: it ended without it, or said what is no fact.
        """
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            try:
                fact: dict[str, Any] = orjson.loads(line)
            except orjson.JSONDecodeError:
                msg = f"said what is no JSON: {line[:200]!r}"
                raise Failed(msg) from None
            if fact["event"] == event:
                return fact
        msg = f"ended before it said {event!r}"
        raise Failed(msg)

    async def end(self) -> dict[str, Any]:
        """Note the peak of its memory, ask it to end, and return what it says at its end.

        Raises:
            Failed: it has ended already, or says nothing.
        """
        self.peak_mb = self.peak_memory_mb()
        self._process.send_signal(signal.SIGTERM)
        return await self.wait_for("end")

    def _account(self, name: str) -> str:
        try:
            return Path(f"/proc/{self._process.pid}/{name}").read_text()
        except (FileNotFoundError, ProcessLookupError):
            msg = "ended too early"
            raise Failed(msg) from None


@asynccontextmanager
async def running(command: Sequence[str]) -> AsyncIterator[Contestant]:
    """Run a contestant; it is gone when the context ends, at once if that is because of an error or a time limit."""
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, limit=2**26)
    try:
        yield Contestant(process)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(20):
                await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
