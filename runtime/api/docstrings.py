"""Descriptions from source code: of a class its docstring, of a field the string literal below it.

    class VolumeMount(Model):
        type: str
        \"\"\"What the volume is used for.\"\"\"

Only generators need this. Where there is no source (a frozen program), there are no descriptions of fields.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from itertools import pairwise

__all__ = ["Docstrings"]


class Docstrings:
    """Reads descriptions; parses the source of each class at most once."""

    def __init__(self) -> None:
        self._fields: dict[type, dict[str, str]] = {}

    def of_class(self, class_: type) -> str:
        """Return the first paragraph of the class's own docstring as one line, or ""."""
        text = vars(class_).get("__doc__")
        return _paragraph(text) if isinstance(text, str) else ""

    def of_fields(self, class_: type) -> dict[str, str]:
        """Return field name -> description, inherited fields included."""
        found: dict[str, str] = {}
        for base in reversed(class_.__mro__):
            found |= self._own(base)
        return found

    def _own(self, class_: type) -> dict[str, str]:
        if class_ not in self._fields:
            self._fields[class_] = _read(class_)
        return self._fields[class_]


def _read(class_: type) -> dict[str, str]:
    try:
        source = inspect.getsource(class_)
    except (OSError, TypeError):  # a built-in class, or a program without its source
        return {}
    node = ast.parse(textwrap.dedent(source)).body[0]
    if not isinstance(node, ast.ClassDef):
        return {}
    return {
        above.target.id: _paragraph(below.value.value)
        for above, below in pairwise(node.body)
        if isinstance(above, ast.AnnAssign)
        and isinstance(above.target, ast.Name)
        and isinstance(below, ast.Expr)
        and isinstance(below.value, ast.Constant)
        and isinstance(below.value.value, str)
    }


def _paragraph(text: str) -> str:
    return " ".join(inspect.cleandoc(text).split("\n\n")[0].split())
