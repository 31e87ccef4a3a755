"""A Lease on an API server that can hang, refuse, lose answers and be slow, for any number of candidates."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from controller_runtime.client.errors import AlreadyExists, Conflict, NotFound, TransportError
from controller_runtime.leaderelection import LeaseRecord

Behaviour = Callable[[str], str]
"""Given the name of a call, says what happens: `ok`, `refuse`, `hang`, `lose` (done, but no answer), `slow`."""


class FakeLease:
    """The stored record."""

    def __init__(self, record: LeaseRecord | None = None) -> None:
        self.record = record
        self.version = 0
        self.calls: list[str] = []
        if record is not None:
            self.store(record)

    def store(self, record: LeaseRecord) -> LeaseRecord:
        self.version += 1
        self.record = replace(record, version=str(self.version))
        return self.record

    def lock(self, behaviour: Behaviour = lambda _: "ok", delay: Callable[[], float] = lambda: 0.0) -> FakeLock:
        return FakeLock(self, behaviour, delay)


class FakeLock:
    """One candidate's way to the lease. A slow or hanging call may take effect long after its caller has given up."""

    name = "ns/lease"

    def __init__(self, lease: FakeLease, behaviour: Behaviour, delay: Callable[[], float]) -> None:
        self.lease = lease
        self.behaviour = behaviour
        self._delay = delay
        self.late: set[asyncio.Task[None]] = set()

    async def read(self) -> LeaseRecord | None:
        await self._before("read")
        record = self.lease.record
        await asyncio.sleep(self._delay())
        return record

    async def create(self, record: LeaseRecord) -> LeaseRecord:
        return await self._write("create", lambda: self._create(record))

    async def update(self, record: LeaseRecord) -> LeaseRecord:
        return await self._write("update", lambda: self._update(record))

    def _create(self, record: LeaseRecord) -> LeaseRecord:
        if self.lease.record is not None:
            raise AlreadyExists("exists", code=409)
        return self.lease.store(record)

    def _update(self, record: LeaseRecord) -> LeaseRecord:
        if self.lease.record is None:
            raise NotFound("gone", code=404)
        if self.lease.record.version != record.version:
            raise Conflict("stale", code=409)
        return self.lease.store(record)

    async def _before(self, call: str) -> None:
        self.lease.calls.append(call)
        what = self.behaviour(call)
        await asyncio.sleep(self._delay())
        if what == "refuse":
            raise TransportError("connection refused")
        if what == "hang":
            await asyncio.Event().wait()

    async def _write(self, call: str, write: Callable[[], LeaseRecord]) -> LeaseRecord:
        self.lease.calls.append(call)
        what = self.behaviour(call)
        if what == "refuse":
            raise TransportError("connection refused")
        if what == "hang":
            await asyncio.Event().wait()
        if what == "slow":
            self._later(write)
            await asyncio.Event().wait()
        await asyncio.sleep(self._delay())
        written = write()
        if what == "lose":
            raise TransportError("connection reset")
        await asyncio.sleep(self._delay())
        return written

    def _later(self, write: Callable[[], LeaseRecord]) -> None:
        """The server carries the request out when its caller has long given up."""

        async def eventually() -> None:
            await asyncio.sleep(7.0)
            with suppress(Conflict, AlreadyExists, NotFound):
                write()

        task = asyncio.get_running_loop().create_task(eventually())
        self.late.add(task)
        task.add_done_callback(self.late.discard)
