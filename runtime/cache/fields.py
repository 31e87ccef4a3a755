"""Field selectors: which objects the server is to send, by the few fields that it can select by.

The server alone knows what a field means (which fields a kind can be selected by, and how their values are written), so it
decides. Only the terms about `metadata.name` and `metadata.namespace` are understood here. Pure values.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from controller_runtime.cache.meta import Meta

__all__ = ["FieldSelector"]

NAME: Final = "metadata.name"
NAMESPACE: Final = "metadata.namespace"

_TERM: Final = re.compile(r"\s*(?P<path>[^\s,=!\\]+)\s*(?P<operator>==|=|!=)\s*(?P<value>(?:[^,=\\]|\\[,=\\])*)(?:,|$)")
_ESCAPED: Final = re.compile(r"\\(.)")
_SPECIAL: Final = re.compile(r"([,=\\])")


@dataclass(frozen=True, slots=True)
class FieldSelector:
    """A conjunction of terms: path, whether the value must be equal (or must not be), value."""

    terms: tuple[tuple[str, bool, str], ...] = ()

    @classmethod
    def parse(cls, text: str) -> FieldSelector:
        r"""Parse kubectl's syntax, e.g. `spec.nodeName=n1,status.phase!=Failed`; `\` escapes a comma, `=` or itself.

        Raises:
            ValueError: `text` is not a field selector.
        """
        terms: list[tuple[str, bool, str]] = []
        position = 0
        while position < len(text):
            found = _TERM.match(text, position)
            if found is None:
                msg = f"unable to parse field selector {text!r} at position {position}: write path=value or path!=value"
                raise ValueError(msg)
            terms.append((found["path"], found["operator"] != "!=", _ESCAPED.sub(r"\1", found["value"].strip())))
            position = found.end()
        return cls(tuple(sorted(set(terms))))

    def __bool__(self) -> bool:
        return bool(self.terms)

    def __str__(self) -> str:
        return ",".join(
            path + ("=" if equal else "!=") + _SPECIAL.sub(r"\\\1", value) for path, equal, value in self.terms
        )

    def required(self, path: str) -> str | None:
        """Return the value that a field must have, or None if it may have any."""
        return next((value for name, equal, value in self.terms if equal and name == path), None)

    def without(self, path: str) -> FieldSelector:
        """Return the terms that are not about requiring a value of `path`."""
        return FieldSelector(tuple(term for term in self.terms if not (term[0] == path and term[1])))

    def selects(self, meta: Meta) -> bool | None:
        """Return whether an object is selected; None if that depends on more than its name and namespace."""
        known = {NAME: meta.name, NAMESPACE: meta.namespace}
        unknown = False
        for path, equal, value in self.terms:
            if path not in known:
                unknown = True
            elif (known[path] == value) is not equal:
                return False
        return None if unknown else True
