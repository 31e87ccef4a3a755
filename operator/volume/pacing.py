"""Keeps a cloud from being asked about the same volume again and again.

An instance is reconciled for many reasons, and each run looks at its volumes. What the cloud said last counts for a while, so
that events of a pod or of PD don't become requests to the cloud. Another wish is passed on at once.

Concurrency: one event loop. Runs for one volume don't overlap, as it belongs to one instance.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import final

from controller_runtime.api.k8s import PersistentVolume, StorageClass
from tikv_operator.volume.modifier import CloudError, VolumeModifier

__all__ = ["PacedModifier"]


@dataclass(frozen=True, slots=True)
class _Answer:
    """What the cloud said last about a volume: what is waited for, or (as a kind of error) why it doesn't do it."""

    wish: tuple[str, ...]
    until: float
    waiting: str
    error: type[CloudError] | None = None

    def repeat(self) -> str:
        if self.error is not None:
            raise self.error(self.waiting)
        return self.waiting


@final
class PacedModifier:
    """Passes on what it is asked, but not too often.

    Args:
        poll: seconds between two looks at a volume that is being changed.
        retry: seconds after an error.
    """

    def __init__(self, modifier: VolumeModifier, *, poll: float, retry: float) -> None:
        self._modifier = modifier
        self._poll = poll
        self._retry = retry
        self._answers: dict[str, _Answer] = {}

    @property
    def provisioner(self) -> str:
        return self._modifier.provisioner

    @property
    def wait(self) -> float:
        return self._modifier.wait

    def refusal(self, volume: PersistentVolume, size: str, target: StorageClass) -> str:
        return self._modifier.refusal(volume, size, target)

    async def modify(self, volume: PersistentVolume, size: str, target: StorageClass) -> str:
        key, wish = volume.metadata.name, (volume.metadata.uid, size, target.metadata.name, target.metadata.uid)
        last = self._answers.get(key)
        if last is not None and last.wish == wish and self._now() < last.until:
            return last.repeat()
        self._forget(key)
        try:
            waiting = await self._modifier.modify(volume, size, target)
        except CloudError as error:
            self._answers[key] = _Answer(wish, self._now() + self._retry, str(error), type(error))
            raise
        if waiting:
            self._answers[key] = _Answer(wish, self._now() + self._poll, waiting)
        return waiting

    def _forget(self, key: str) -> None:
        """Drop what doesn't count any more; what is left is bounded by the number of volumes under change."""
        now = self._now()
        self._answers = {name: answer for name, answer in self._answers.items() if name != key and now < answer.until}

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
