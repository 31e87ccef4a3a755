"""All simulated PDs, by cluster, and where they can be reached.

A PD lives from the first PDGroup of its cluster to the last: its state is on its servers' volumes, so it survives whatever
happens to their pods. Lookups are synchronous; only opening and closing an address waits.

Concurrency: for one event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from controller_runtime.api import ObjectKey
from controller_runtime.clock import Clock
from tikv_operator.simulation.pd import SimulatedPD
from tikv_operator.simulation.pd.front import Address, PDFront
from tikv_operator.simulation.pd.http import Answer, handle
from tikv_operator.simulation.settings import SimulationSettings

__all__ = ["PDDirectory", "RunningPD"]


@dataclass(frozen=True, slots=True)
class RunningPD:
    """One PD and its address."""

    core: SimulatedPD
    address: Address


class PDDirectory:
    """See the module docstring."""

    def __init__(self, front: PDFront, settings: SimulationSettings, clock: Clock) -> None:
        self._front = front
        self._settings = settings
        self._clock = clock
        self._pds: dict[ObjectKey, RunningPD] = {}
        self._opening = asyncio.Lock()

    def __iter__(self) -> Iterator[ObjectKey]:
        return iter(self._pds)

    def get(self, cluster: ObjectKey) -> RunningPD | None:
        return self._pds.get(cluster)

    def core(self, cluster: ObjectKey) -> SimulatedPD | None:
        found = self._pds.get(cluster)
        return None if found is None else found.core

    async def ensure(self, cluster: ObjectKey) -> RunningPD:
        """Return the PD of a cluster; a new cluster gets a new one."""
        async with self._opening:
            found = self._pds.get(cluster)
            if found is None:
                core = SimulatedPD(f"{cluster}@{self._clock.now()}", self._settings, now=self._clock.now())
                found = RunningPD(core, await self._front.open(self._handler(core)))
                self._pds[cluster] = found
            return found

    async def drop(self, cluster: ObjectKey) -> None:
        """Forget a PD with all it knows. Idempotent."""
        async with self._opening:
            found = self._pds.pop(cluster, None)
            if found is not None:
                await self._front.close(found.address)

    def _handler(self, core: SimulatedPD) -> _Handler:
        return _Handler(core, self._clock)


@dataclass(frozen=True, slots=True)
class _Handler:
    core: SimulatedPD
    clock: Clock

    def __call__(self, method: str, path: str, params: Sequence[tuple[str, str]], body: bytes) -> Answer:
        return handle(self.core, method, path, params, body, now=self.clock.now())
