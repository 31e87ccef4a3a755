"""A logger that keeps its lines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class LogLines:
    """Satisfies `controller_runtime.reconcile.Logger`; loggers bound from it write to the same list.

    Attributes:
        lines: level, event and values of each line.
    """

    bound: Mapping[str, Any] = field(default_factory=dict)
    lines: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)

    def bind(self, **values: Any) -> LogLines:
        return LogLines({**self.bound, **values}, self.lines)

    def debug(self, event: str, **values: Any) -> None:
        self._write("debug", event, values)

    def info(self, event: str, **values: Any) -> None:
        self._write("info", event, values)

    def warning(self, event: str, **values: Any) -> None:
        self._write("warning", event, values)

    def error(self, event: str, **values: Any) -> None:
        self._write("error", event, values)

    def _write(self, level: str, event: str, values: dict[str, Any]) -> None:
        self.lines.append((level, event, {**self.bound, **values}))

    @property
    def events(self) -> list[str]:
        """`level: event` of each line."""
        return [f"{level}: {event}" for level, event, _ in self.lines]

    def of_level(self, level: str) -> list[tuple[str, dict[str, Any]]]:
        """Event and values of each line of one level."""
        return [(event, values) for found, event, values in self.lines if found == level]
