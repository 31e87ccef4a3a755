"""Structured logs: one set-up for programs, one logger for those who want no global set-up.

Every line carries `level`, `timestamp` and stable lower-case keys (`controller`, `namespace`, `name`, `reconcileID`).
Secrets don't get into a log: values of keys that name one are masked, and so is what follows "Bearer" in any text.

A line that cannot be written (the reader is gone, the disk is full) is lost, and nothing else: logging never raises.

Concurrency: writing a line is synchronous and safe from any thread.
"""

from __future__ import annotations

import contextlib
import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, Final, TextIO, cast, final

import orjson
import structlog
from structlog.typing import Processor

from controller_runtime.reconcile import Logger

__all__ = ["configure_logging", "make_logger"]

_SECRET_KEY: Final = re.compile(
    r"(token|password|passwd|secret|authorization|private_?key|credential)s?$", re.IGNORECASE
)
_BEARER: Final = re.compile(r"(bearer\s+)[\w.~+/=-]+", re.IGNORECASE)
_MASK: Final = "***"


def make_logger(
    *,
    format: str = "console",  # noqa: A002 - the word a user looks for
    level: str = "info",
    stream: TextIO | None = None,
) -> Logger:
    """Return a logger of its own, without touching any global set-up.

    Args:
        format: `console` for people, `json` for machines (one object a line).
        level: the least important level that is written: `debug`, `info`, `warning` or `error`.
        stream: where lines go; standard error by default.

    Raises:
        ValueError: there is no such format or level.
    """
    stream = stream or sys.stderr
    logger = structlog.wrap_logger(
        structlog.WriteLogger(_lossy(stream)),
        processors=[*_shared(), _renderer(format, stream)],
        wrapper_class=structlog.make_filtering_bound_logger(_number(level)),
        cache_logger_on_first_use=True,
    )
    return cast("Logger", logger)


def configure_logging(
    *,
    format: str = "console",  # noqa: A002 - the word a user looks for
    level: str = "info",
    stream: TextIO | None = None,
) -> None:
    """Set structlog up for the whole process, and send what other libraries log (warnings and errors) the same way.

    Args:
        format: `console` for people, `json` for machines (one object a line).
        level: the least important level that is written: `debug`, `info`, `warning` or `error`.
        stream: where lines go; standard error by default.

    Raises:
        ValueError: there is no such format or level.
    """
    stream = stream or sys.stderr
    number = _number(level)
    structlog.configure(
        processors=[*_shared(), _renderer(format, stream)],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(_lossy(stream)),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(_lossy(stream))
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *_shared()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _renderer(format, stream)],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(number, logging.WARNING))


@final
class _LossyStream:
    """Passes text on; what cannot be written is dropped."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError, ValueError):  # ValueError: the stream was closed
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()


def _lossy(stream: TextIO) -> TextIO:
    return cast("TextIO", _LossyStream(stream))


def _shared() -> list[Processor]:
    return [structlog.processors.add_log_level, structlog.processors.TimeStamper(fmt="iso", utc=True), _mask_secrets]


def _renderer(log_format: str, stream: TextIO) -> Processor:
    if log_format == "json":
        return _render_json
    if log_format != "console":
        msg = f"no such log format: {log_format!r}; there are console and json"
        raise ValueError(msg)
    return structlog.dev.ConsoleRenderer(colors=stream.isatty())


def _render_json(logger: Any, method: str, event: MutableMapping[str, Any]) -> str:
    values = structlog.processors.format_exc_info(logger, method, event)
    return orjson.dumps(values, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def _mask_secrets(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in event.items():
        if _SECRET_KEY.search(key):
            event[key] = _MASK
        elif isinstance(value, str) and _BEARER.search(value):
            event[key] = _BEARER.sub(rf"\1{_MASK}", value)
    return event


def _number(level: str) -> int:
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        msg = f"no such log level: {level!r}"
        raise ValueError(msg)
    return number
