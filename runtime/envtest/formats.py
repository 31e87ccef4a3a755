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
from urllib.parse import urlsplit

__all__ = ["fits_format", "fits_size"]

_DURATION: Final = re.compile(r"[-+]?(\d+(\.\d*)?(ns|us|µs|ms|s|m|h))+|0")
_HOSTNAME: Final = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?(\.[A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?)*")
_LIMITS: Final = {"int32": (-(2**31), 2**31 - 1), "int64": (-(2**63), 2**63 - 1)}


def _date_time(text: str) -> None:
    if datetime.fromisoformat(text).tzinfo is None:
        raise ValueError(text)


def _duration(text: str) -> None:
    if not _DURATION.fullmatch(text):
        raise ValueError(text)


def _uri(text: str) -> None:
    parts = urlsplit(text)
    if not text.startswith("/") and not (parts.scheme and (parts.netloc or parts.path)):
        raise ValueError(text)


def _email(text: str) -> None:
    name, separator, domain = text.rpartition("@")
    if not name or not separator or not domain or any(character.isspace() for character in text):
        raise ValueError(text)


def _hostname(text: str) -> None:
    if len(text) > 255 or not _HOSTNAME.fullmatch(text):
        raise ValueError(text)


def _cidr(text: str) -> None:
    if "/" not in text:
        raise ValueError(text)
    ipaddress.ip_network(text, strict=False)


_TEXT: Final[dict[str, Callable[[str], Any]]] = {
    "date-time": _date_time,
    "datetime": _date_time,
    "date": date.fromisoformat,
    "duration": _duration,
    "email": _email,
    "hostname": _hostname,
    "ipv4": ipaddress.IPv4Address,
    "ipv6": ipaddress.IPv6Address,
    "cidr": _cidr,
    "uri": _uri,
    "uuid": uuid.UUID,
    "byte": lambda text: base64.b64decode(text, validate=True),
}


def fits_format(name: str, text: str) -> bool:
    """Whether a text has a format; a format that nobody knows fits everything."""
    if name not in _TEXT:
        return True
    try:
        _TEXT[name](text)
    except (ValueError, binascii.Error):
        return False
    return True


def fits_size(name: str, number: Any) -> bool:
    """Whether a number fits into an integer of that size."""
    if not isinstance(number, int) or name not in _LIMITS:
        return True
    low, high = _LIMITS[name]
    return low <= number <= high
