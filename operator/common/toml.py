"""Reads TOML, and writes it in one canonical form.

The form is that of Go's `go-toml` v2, byte for byte: TiDB Operator writes TiKV's configuration with it, and a running
cluster must be taken over without a single changed config map. No Python library writes it.

At each level plain values come first, then tables; both sorted by key, except in a `Declared` table, which keeps the order
of its keys. Tables are separated by blank lines. Text stands in single quotes unless it can't. Comments and the user's own
formatting are lost.

All functions are pure.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Iterable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any, Final

__all__ = ["Declared", "dump_toml", "parse_toml"]

_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_NEEDS_ESCAPES: Final = re.compile(r"['\x00-\x08\x0a-\x1f\x7f]")
_ESCAPED: Final = re.compile(r'["\\\x00-\x1f\x7f]')
_SHORT_ESCAPES: Final = {
    "\\": "\\\\",
    '"': '\\"',
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
}


class Declared(dict[str, Any]):
    """A table whose keys are written in their own order instead of sorted."""


def parse_toml(text: str) -> dict[str, Any]:
    """Return a TOML document as dicts, lists and scalars.

    Raises:
        ValueError: `text` is not TOML; the message says where.
    """
    return tomllib.loads(text)


def dump_toml(document: dict[str, Any]) -> str:
    """Write a document in the canonical form.

    Raises:
        TypeError: a value is none of TOML's types.
    """
    return "".join(_table(document, ()))


def _table(table: dict[str, Any], path: tuple[str, ...]) -> Iterable[str]:
    """Yield the lines under a table's header: plain values, then each sub-table with its header."""
    items = list(table.items()) if isinstance(table, Declared) else sorted(table.items())
    values = [(key, value) for key, value in items if not _is_table(value)]
    tables = [(key, value) for key, value in items if _is_table(value)]
    for key, value in values:
        yield f"{_key(key)} = {_value(value)}\n"
    blank = bool(values)
    for key, value in tables:
        inner = (*path, key)
        name = ".".join(_key(part) for part in inner)
        header, group = (f"[[{name}]]\n", value) if isinstance(value, list) else (f"[{name}]\n", [value])
        for part in group:
            if blank:
                yield "\n"
            blank = True
            yield header
            yield from _table(part, inner)


def _is_table(value: Any) -> bool:
    """Return whether a value is written under a header of its own: a table, or a list of nothing but tables."""
    if isinstance(value, list):
        return bool(value) and all(isinstance(item, dict) for item in value)
    return isinstance(value, dict)


def _value(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return _text(value)
        case int():
            return str(value)
        case float():
            return _float(value)
        case datetime():
            return _moment(value)
        case date() | time():
            return value.isoformat()
        case list():
            return f"[{', '.join(_value(item) for item in value)}]"
        case dict():
            items = list(value.items()) if isinstance(value, Declared) else sorted(value.items())
            return "{" + ", ".join(f"{_key(key)} = {_value(item)}" for key, item in items) + "}"
    msg = f"{value!r} cannot be written as TOML"
    raise TypeError(msg)


def _key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else _text(key)


def _text(text: str) -> str:
    if not _NEEDS_ESCAPES.search(text):
        return f"'{text}'"
    return '"' + _ESCAPED.sub(lambda found: _escape(found[0]), text) + '"'


def _escape(character: str) -> str:
    return _SHORT_ESCAPES.get(character) or f"\\u{ord(character):04X}"


def _float(number: float) -> str:
    if math.isnan(number):
        return "nan"
    if math.isinf(number):
        return "inf" if number > 0 else "-inf"
    if number.is_integer():
        return f"{number:.1f}"
    return format(Decimal(repr(number)), "f")


def _moment(moment: datetime) -> str:
    """Write RFC 3339 with as many decimals as are needed; UTC is `Z`."""
    if moment.tzinfo is None:
        return _without_trailing_zeros(moment.isoformat())
    zone = "Z" if moment.utcoffset() == UTC.utcoffset(None) else moment.isoformat()[-6:]
    return _without_trailing_zeros(moment.replace(tzinfo=None).isoformat()) + zone


def _without_trailing_zeros(text: str) -> str:
    return text.rstrip("0") if "." in text else text
