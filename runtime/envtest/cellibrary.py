"""The functions that Kubernetes adds to CEL, for the `cel` library, as far as rules of CRDs use them.

Covered: quantities, `isSorted`, `indexOf`, `lastIndexOf`, `find`, `findAll`, `isURL`, `isIP`, `isCIDR`. What a real server
knows beside these is in `UNKNOWN`.

Pure functions. A quantity is a map for the expressions; one cannot look into it.
"""

from __future__ import annotations

import ipaddress
import itertools
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final
from urllib.parse import urlsplit

from controller_runtime.api.quantity import parse_quantity

__all__ = ["FUNCTIONS", "UNKNOWN"]

UNKNOWN: Final = frozenset(
    ("allocatableQuantity", "cidr", "containsCIDR", "containsIP", "family", "format", "getEscapedPath", "getHost",
     "getHostname", "getPort", "getQuery", "getScheme", "ip", "isCanonical", "isGlobalUnicast", "isLinkLocalMulticast",
     "isLinkLocalUnicast", "isLoopback", "isSemver", "isUnspecified", "major", "masked", "minor", "named", "patch",
     "prefixLength", "semver", "url", "validate")
)  # fmt: skip
"""Functions of a real server that are not covered here."""

_QUANTITY: Final = "quantity"
_PATTERN: Final = "^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$"


def _quantity(text: str) -> dict[str, str]:
    try:
        amount = parse_quantity(text)
    except ValueError as error:
        msg = f"quantities must match the regular expression '{_PATTERN}'"
        raise ValueError(msg) from error
    return {_QUANTITY: str(amount)}


def _amount(value: Any) -> Decimal:
    return Decimal(value[_QUANTITY])


def _is_quantity(text: str) -> bool:
    try:
        parse_quantity(text)
    except ValueError:
        return False
    return True


def _compared(left: Any, right: Any) -> int:
    return (_amount(left) > _amount(right)) - (_amount(left) < _amount(right))


def _as_integer(value: Any) -> int:
    amount = _amount(value)
    if amount != int(amount):
        msg = "cannot convert value to integer"
        raise ValueError(msg)
    return int(amount)


def _sum(left: Any, right: Any, sign: int = 1) -> dict[str, str]:
    other = Decimal(right) if isinstance(right, int) else _amount(right)
    return {_QUANTITY: str(_amount(left) + sign * other)}


def _is_sorted(items: list[Any]) -> bool:
    return all(left <= right for left, right in itertools.pairwise(items))


def _index_of(where: Any, what: Any, start: int = 0) -> int:
    if isinstance(where, str):
        return where.find(what, start)
    return next((index for index, item in enumerate(where) if item == what), -1)


def _last_index_of(where: Any, what: Any) -> int:
    if isinstance(where, str):
        return where.rfind(what)
    return max((index for index, item in enumerate(where) if item == what), default=-1)


def _find(text: str, pattern: str) -> str:
    found = re.search(pattern, text, re.ASCII)
    return found.group() if found else ""


def _find_all(text: str, pattern: str, limit: int = -1) -> list[str]:
    found = [match.group() for match in re.finditer(pattern, text, re.ASCII)]
    return found if limit < 0 else found[:limit]


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return bool(parts.scheme and parts.netloc) or text.startswith("/")


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_cidr(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return "/" in text


FUNCTIONS: Final[dict[str, Callable[..., Any]]] = {
    "add": _sum,
    "asApproximateFloat": lambda value: float(_amount(value)),
    "asInteger": _as_integer,
    "compareTo": _compared,
    "find": _find,
    "findAll": _find_all,
    "indexOf": _index_of,
    "isCIDR": _is_cidr,
    "isGreaterThan": lambda left, right: _compared(left, right) > 0,
    "isIP": _is_ip,
    "isInteger": lambda value: _amount(value) == int(_amount(value)),
    "isLessThan": lambda left, right: _compared(left, right) < 0,
    "isQuantity": _is_quantity,
    "isSorted": _is_sorted,
    "isURL": _is_url,
    "lastIndexOf": _last_index_of,
    "quantity": _quantity,
    "sign": lambda value: (_amount(value) > 0) - (_amount(value) < 0),
    "sub": lambda left, right: _sum(left, right, -1),
}
