"""Equality of JSON values, to which 1, 1.0 and true are three different things (to Python they are one)."""

from __future__ import annotations

from typing import Any

import orjson

__all__ = ["identical"]


def identical(left: Any, right: Any) -> bool:
    """Whether two values are the same JSON, whatever the order of their keys."""
    if left is right:
        return True
    if type(left) is not type(right) or left != right:
        return False
    if not isinstance(left, (dict, list)):
        return True
    return orjson.dumps(left, option=orjson.OPT_SORT_KEYS) == orjson.dumps(right, option=orjson.OPT_SORT_KEYS)
