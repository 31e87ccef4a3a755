"""The warnings that a server attaches to its answers: a deprecated API, an unknown field that was dropped.

Each text is told once: servers repeat them with every request.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, final

__all__ = ["ServerWarnings"]

_WARNING: Final = re.compile(r'\b299 \S+ "((?:[^"\\]|\\.)*)"')
_ESCAPED: Final = re.compile(r"\\(.)")
_REMEMBERED: Final = 1000


@final
class ServerWarnings:
    """See the module docstring.

    Args:
        tell: called with each new text.
    """

    __slots__ = ("_tell", "_told")

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._told: dict[str, None] = {}

    def __call__(self, header: str) -> None:
        """Take note of a `Warning` header, which may hold several."""
        for found in _WARNING.finditer(header):
            text = _ESCAPED.sub(r"\1", found[1])
            if text not in self._told:
                self._told[text] = None
                if len(self._told) > _REMEMBERED:
                    del self._told[next(iter(self._told))]
                self._tell(text)
