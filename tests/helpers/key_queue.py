"""What a source enqueues, kept in order."""

from __future__ import annotations

from typing import Any, cast

from controller_runtime.api.resource import ObjectKey
from controller_runtime.source import Feed
from helpers.recording_log import RecordingLog


class KeyQueue:
    """An `Enqueue` that keeps the keys. Its `feed` suits sources that need no cache."""

    def __init__(self) -> None:
        self.keys: list[ObjectKey] = []

    def __call__(self, key: ObjectKey, *, after: float = 0.0, priority: int = 0) -> None:
        self.keys.append(key)

    def take(self) -> list[ObjectKey]:
        """Return the keys so far, and forget them."""
        keys, self.keys = self.keys, []
        return keys

    @property
    def feed(self) -> Feed:
        return Feed(enqueue=self, cache=cast("Any", None), log=RecordingLog(), failed=lambda: None)
