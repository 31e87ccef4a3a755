"""The part of kubectl's JSONPath that printer columns and scale paths use.

Supported: `.name`, `['name']`, `[2]`, `[-1]`, `[*]`, `.*` and filters like `[?(@.type=="Ready")]` with `==`, `!=`, `<`, `>`,
`<=`, `>=` against a string, number or boolean. Paths are compiled once; evaluation is pure.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import Any, Final

import orjson

__all__ = ["JsonPath", "JsonPathError", "compile_path"]

Step = Callable[[Any], list[Any]]
JsonPath = Callable[[Any], list[Any]]


class JsonPathError(ValueError):
    """The text is no path of the supported kind."""


_TOKEN: Final = re.compile(
    r"""\.(?P<name>(?:[\w\-/]|\\.)+)
      | \[\s*'(?P<quoted>(?:[^'\\]|\\.)*)'\s*\]
      | \[\s*"(?P<double>(?:[^"\\]|\\.)*)"\s*\]
      | \[\s*(?P<index>-?\d+)\s*\]
      | (?P<all>\[\s*\*\s*\]|\.\*)
      | \[\?\(\s*@(?P<path>[.\w\-/\[\]']*)\s*(?:(?P<operator>==|!=|<=|>=|<|>)\s*(?P<literal>"[^"]*"|'[^']*'|[^\s)]+)\s*)?\)\]""",
    re.VERBOSE,
)
_COMPARE: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}


def compile_path(text: str) -> JsonPath:
    """Compile a path; evaluating it gives all values found, in order.

    Raises:
        JsonPathError: the path cannot be understood.
    """
    body = text.strip()
    if body.startswith("{") and body.endswith("}"):
        body = body[1:-1].strip()
    body = body.removeprefix("$")
    steps: list[Step] = []
    position = 0
    while position < len(body):
        if body[position:] == ".":
            break
        found = _TOKEN.match(body, position)
        if found is None:
            msg = f"unsupported JSONPath {text!r} at {body[position:]!r}"
            raise JsonPathError(msg)
        steps.append(_step(found))
        position = found.end()

    def evaluate(value: Any) -> list[Any]:
        values = [value]
        for step in steps:
            values = [result for item in values for result in step(item)]
        return values

    return evaluate


def _step(found: re.Match[str]) -> Step:
    name = found["name"] or found["quoted"] or found["double"]
    if name is not None:
        return _field(re.sub(r"\\(.)", r"\1", name))
    if found["index"] is not None:
        return _item(int(found["index"]))
    if found["all"] is not None:
        return _everything
    return _filter(compile_path(found["path"] or ""), found["operator"], found["literal"])


def _field(name: str) -> Step:
    def step(value: Any) -> list[Any]:
        return [value[name]] if isinstance(value, dict) and name in value else []

    return step


def _item(index: int) -> Step:
    def step(value: Any) -> list[Any]:
        return [value[index]] if isinstance(value, list) and -len(value) <= index < len(value) else []

    return step


def _everything(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return list(value) if isinstance(value, list) else []


def _filter(path: JsonPath, symbol: str | None, literal: str | None) -> Step:
    wanted = None if literal is None else _literal(literal)

    def holds(item: Any) -> bool:
        found = path(item)
        if symbol is None:
            return bool(found)
        return any(type(value) is type(wanted) and bool(_COMPARE[symbol](value, wanted)) for value in found)

    def step(value: Any) -> list[Any]:
        return [item for item in _everything(value) if holds(item)]

    return step


def _literal(text: str) -> Any:
    if text[0] in "'\"":
        return text[1:-1]
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        msg = f"unsupported literal {text!r} in a JSONPath filter"
        raise JsonPathError(msg) from error
