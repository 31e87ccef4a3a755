"""JSON exactly as Go's `encoding/json` writes it.

Some JSON is compared as text: the template an instance was made from, the data of a ControllerRevision and its hash. Where
TiDB Operator wrote it, a single other byte would restart a database.

The form: compact, UTF-8, and inside of strings `<`, `>`, `&` and the two Unicode line separators escaped. Keys keep their
order, which is a Go struct's; `sort_maps=True` sorts them at every level, as Go does with maps.

All functions are pure.
"""

from __future__ import annotations

import json
from typing import Any, Final

__all__ = ["go_json"]

# These never appear outside of strings, so they can be replaced in the finished text.
_HTML: Final = str.maketrans(
    {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"},
)


def go_json(value: Any, *, sort_maps: bool = False) -> str:
    """Write plain builtins as Go does.

    Args:
        sort_maps: sort the keys of every dict; otherwise they keep their order.

    Raises:
        ValueError: `value` holds a number that JSON cannot express.
        TypeError: `value` is not made of plain builtins.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=sort_maps)
    return text.translate(_HTML)
