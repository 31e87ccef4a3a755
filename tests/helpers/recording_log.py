"""A logger that keeps its lines, for tests that assert what an operator on call would read."""

from __future__ import annotations

from typing import Any


class RecordingLog:
    """Lines are (level, event, values); bound values are part of the values."""

    def __init__(self, lines: list[tuple[str, str, dict[str, Any]]] | None = None, **bound: Any) -> None:
        self.lines = [] if lines is None else lines
        self.bound = bound

    def bind(self, **values: Any) -> RecordingLog:
        return RecordingLog(self.lines, **{**self.bound, **values})

    def _write(self, level: str, event: str, values: dict[str, Any]) -> None:
        self.lines.append((level, event, {**self.bound, **values}))

    def debug(self, event: str, **values: Any) -> None:
        self._write("debug", event, values)

    def info(self, event: str, **values: Any) -> None:
        self._write("info", event, values)

    def warning(self, event: str, **values: Any) -> None:
        self._write("warning", event, values)

    def error(self, event: str, **values: Any) -> None:
        self._write("error", event, values)

    def events(self, *levels: str) -> list[str]:
        """The texts of all lines, or of those of some levels."""
        return [event for level, event, _ in self.lines if not levels or level in levels]

    def levelled(self) -> list[str]:
        """`level: text` of each line."""
        return [f"{level}: {event}" for level, event, _ in self.lines]

    def only(self, event: str) -> dict[str, Any]:
        """The values of the one line with this text."""
        found = [values for _, text, values in self.lines if text == event]
        assert len(found) == 1, f"{len(found)} lines say {event!r}: {self.events()}"
        return found[0]
