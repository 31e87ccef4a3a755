"""The value formats of OpenAPI that a real server checks; every other format is only a hint."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
import uuid
from collections.abc import Callable
from datetime import date, datetime
from typing import Any, Final

__all__ = ["format_problem"]

_DURATION: Final = re.compile(r"[-+]?(\d+(\.\d*)?(ns|us|µs|ms|s|m|h))+|0")
_LIMITS: Final = {"int32": (-(2**31), 2**31 - 1), "int64": (-(2**63), 2**63 - 1)}


def _date_time(text: str) -> None:
    if datetime.fromisoformat(text).tzinfo is None:
        raise ValueError(text)


def _duration(text: str) -> None:
    if not _DURATION.fullmatch(text):
        raise ValueError(text)


_TEXT: Final[dict[str, Callable[[str], Any]]] = {
    "date-time": _date_time,
    "datetime": _date_time,
    "date": date.fromisoformat,
    "duration": _duration,
    "ipv4": ipaddress.IPv4Address,
    "ipv6": ipaddress.IPv6Address,
    "cidr": lambda text: ipaddress.ip_network(text, strict=False),
    "uuid": uuid.UUID,
    "byte": lambda text: base64.b64decode(text, validate=True),
}


def format_problem(name: str, value: Any) -> str:
    """Return what is wrong with `value`, or the empty string."""
    if isinstance(value, str) and name in _TEXT:
        try:
            _TEXT[name](value)
        except (ValueError, binascii.Error):
            return f'must be of type {name}: "{value}"'
    elif isinstance(value, int) and name in _LIMITS:
        low, high = _LIMITS[name]
        if not low <= value <= high:
            return f"must be of type {name}: {value}"
    return ""
