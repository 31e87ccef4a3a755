"""Resource quantities (`500m`, `2Gi`, `1e3`): read, compared, and written the way Kubernetes writes them.

A quantity is a decimal number with a suffix of one of three families: binary (`Ki`, `Mi`, ...), decimal (`n`, `u`, `m`,
none, `k`, `M`, ...) or an exponent (`e3`). The API server stores built-in kinds in canonical form: the number is whole,
the suffix as large as possible, the family as it was written. Custom resources keep what the user wrote, which may even
be a plain number; compare quantities with `quantities_equal`, never as text.

All functions are pure.
"""

from __future__ import annotations

import re
from decimal import ROUND_UP, Context, Decimal
from typing import Annotated, Final

from controller_runtime.api.schema import Schema

__all__ = ["QUANTITY_PATTERN", "Quantity", "canonical_quantity", "parse_quantity", "quantities_equal"]

QUANTITY_PATTERN: Final = (
    r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))"
    r"(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$"
)

Quantity = Annotated[int | str, Schema(int_or_string=True, pattern=QUANTITY_PATTERN)]
"""The type of a quantity in a custom resource: what the user wrote, checked by the server."""

_PARTS: Final = re.compile(r"([+-]?)([0-9]+\.?[0-9]*|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?")
_BINARY: Final = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_DECIMAL: Final = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_SMALLEST: Final = Decimal("1e-9")
_LARGEST: Final = Decimal(2**63 - 1)
_EXACT: Final = Context(prec=200)


def parse_quantity(text: str | float) -> Decimal:
    """Return the value of a quantity.

    As in Kubernetes, anything finer than one billionth is rounded away from zero, and anything larger than 2**63-1 is
    cut to that.

    Raises:
        ValueError: `text` is not a quantity.
    """
    return _parse(text)[0]


def canonical_quantity(text: str | float) -> str:
    """Return the quantity as the API server would store it: `1000m` -> `1`, `2048Mi` -> `2Gi`, `0.5` -> `500m`.

    Raises:
        ValueError: `text` is not a quantity.
    """
    value, suffix = _parse(text)
    if not value:
        return "0"
    if suffix in _BINARY:
        if abs(value) >= 1024 and value == value.to_integral_value():
            return _binary(int(value))
        # Too small or too fine for a binary suffix: written in the decimal family, as the API server does.
        return _decimal(value, exponent=False)
    return _decimal(value, exponent=suffix[:1] in ("e", "E") and suffix != "E")


def quantities_equal(a: str | float, b: str | float) -> bool:
    """Return whether two quantities have the same value, however they are written.

    Raises:
        ValueError: one of them is not a quantity.
    """
    return parse_quantity(a) == parse_quantity(b)


def _parse(text: str | float) -> tuple[Decimal, str]:
    """Return the value and the suffix as written."""
    found = _PARTS.fullmatch(_plain(text))
    if found is None:
        msg = f"{text!r} is not a quantity: want a number with an optional suffix such as m, k, Mi, G or e3"
        raise ValueError(msg)
    sign, digits, suffix = found[1], found[2], found[3] or ""
    number = Decimal(digits)
    if suffix in _BINARY:
        number = _EXACT.multiply(number, Decimal(2 ** _BINARY[suffix]))
    elif suffix in _DECIMAL:
        number = _EXACT.scaleb(number, _DECIMAL[suffix])
    else:
        number = _power(number, suffix)
    number = min(number, _LARGEST)
    if number != (rounded := number.quantize(_SMALLEST, ROUND_UP, _EXACT)):
        number = rounded
    return (-number if sign == "-" else number), suffix


def _plain(text: str | float) -> str:
    """Write a JSON number without the exponent form that Python chooses for large and small floats."""
    if isinstance(text, bool):
        return repr(text)
    return text if isinstance(text, str) else format(Decimal(repr(text)), "f")


def _power(number: Decimal, suffix: str) -> Decimal:
    """Apply an exponent without building a number of astronomic size: beyond these bounds the value is clipped anyway."""
    exponent = int(suffix[1:])
    if not number:
        return number
    if number.adjusted() + exponent > 30:
        return _LARGEST
    if number.adjusted() + exponent < -30:
        return _SMALLEST
    return _EXACT.scaleb(number, exponent)


def _binary(value: int) -> str:
    """Write a whole number with the largest binary suffix that leaves it whole."""
    for suffix, shift in reversed(_BINARY.items()):
        if value % (1 << shift) == 0:
            return f"{value >> shift}{suffix}"
    return str(value)


def _decimal(value: Decimal, *, exponent: bool) -> str:
    """Write a number with the largest power of a thousand that leaves it whole, as a suffix or as an exponent."""
    for suffix, power in reversed(_DECIMAL.items()):
        scaled = _EXACT.scaleb(value, -power)
        if scaled == scaled.to_integral_value():
            tail = (f"e{power}" if power else "") if exponent else suffix
            return f"{int(scaled)}{tail}"
    msg = f"{value} is finer than a billionth"
    raise AssertionError(msg)
