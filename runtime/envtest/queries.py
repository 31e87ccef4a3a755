"""Booleans and numbers in a query, read as the API server reads them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from controller_runtime.envtest.status import bad_request

__all__ = ["flag", "number"]

_INTEGER: Final = re.compile(r"[+-]?[0-9]+")


def flag(params: Mapping[str, str], name: str) -> bool:
    """Read a boolean parameter: whatever is there means yes, but `0` and `false`."""
    return name in params and params[name].lower() not in ("0", "false")


def number(params: Mapping[str, str], name: str) -> int:
    """Read an integer parameter; an absent one is 0.

    Raises:
        StatusError: 400, it is no integer.
    """
    text = params.get(name)
    if text is None:
        return 0
    if not _INTEGER.fullmatch(text):
        raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    return int(text)
