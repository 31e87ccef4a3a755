"""Label selectors: built in code, parsed from kubectl's syntax, matched against labels, written into a query.

A `Selector` is immutable and hashable, so it can be part of a cache's scope.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

__all__ = ["Requirement", "Selector", "parse_selector", "selector"]

Operator = Literal["=", "!=", "in", "notin", "exists", "!", ">", "<"]


@dataclass(frozen=True, slots=True)
class Requirement:
    """One term of a selector; all terms must hold."""

    key: str
    operator: Operator
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.key)
        match self.operator:
            case "=" | "in":
                return value is not None and value in self.values
            case "!=" | "notin":
                return value is None or value not in self.values
            case "exists":
                return value is not None
            case "!":
                return value is None
            case ">" | "<":
                try:
                    left, right = int(value or ""), int(self.values[0])
                except ValueError:
                    return False
                return left > right if self.operator == ">" else left < right

    def __str__(self) -> str:
        match self.operator:
            case "exists":
                return self.key
            case "!":
                return f"!{self.key}"
            case "in" | "notin":
                return f"{self.key} {self.operator} ({','.join(self.values)})"
            case _:
                return f"{self.key}{self.operator}{self.values[0]}"


@dataclass(frozen=True, slots=True)
class Selector:
    """A conjunction of requirements; the empty selector matches everything."""

    requirements: tuple[Requirement, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        return all(requirement.matches(labels) for requirement in self.requirements)

    def __str__(self) -> str:
        return ",".join(str(requirement) for requirement in self.requirements)


def selector(labels: Mapping[str, str] | None = None, *, exists: Iterable[str] = ()) -> Selector:
    """Build a selector of equalities (sorted by key) and of keys that must exist."""
    equal = tuple(Requirement(key, "=", (value,)) for key, value in sorted((labels or {}).items()))
    return Selector(equal + tuple(Requirement(key, "exists") for key in exists))


_TOKEN: Final = re.compile(r"\s*(==|!=|[=!(),<>]|[^\s=!(),<>]+)")
_OPERATORS: Final[dict[str, Operator]] = {
    "=": "=",
    "==": "=",
    "!=": "!=",
    ">": ">",
    "<": "<",
    "in": "in",
    "notin": "notin",
}
_NAME: Final = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_DOMAIN: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


def parse_selector(text: str) -> Selector:
    """Parse kubectl's selector syntax, e.g. `app=web,tier in (a,b),!legacy`.

    Raises:
        ValueError: `text` is not a selector; the message is the API server's.
    """
    return _Parser(text).selector()


class _Parser:
    """Reads tokens from left to right; the empty token is the end. Keys and values may be called `in` and `notin`."""

    def __init__(self, text: str) -> None:
        self._parts: list[str] = [*_TOKEN.findall(text), ""]
        self._next = 0

    def selector(self) -> Selector:
        requirements: list[Requirement] = []
        while part := self._parts[self._next]:
            if part != "!" and not _is_word(part):
                raise _unexpected(part, "expected: !, identifier, or 'end of string'")
            try:
                requirements.append(self._requirement())
            except ValueError as error:
                msg = f"unable to parse requirement: {error}"
                raise ValueError(msg) from None
            if (part := self._take()) == "":
                break
            if part != ",":
                raise _unexpected(part, "expected: ',' or 'end of string'")
            if (after := self._parts[self._next]) != "!" and not _is_word(after):
                raise _unexpected(after, "expected: identifier after ','")
        return Selector(tuple(requirements))

    def _take(self) -> str:
        part = self._parts[self._next]
        self._next = min(self._next + 1, len(self._parts) - 1)
        return part

    def _requirement(self) -> Requirement:
        key = self._take()
        absent = key == "!"
        key = self._take() if absent else key
        if not _is_word(key):
            raise _unexpected(key, "expected: identifier")
        _check_key(key)
        if self._parts[self._next] in ("", ","):
            return Requirement(key, "!" if absent else "exists")
        operator = _OPERATORS.get(part := self._take())
        if operator is None:
            raise _unexpected(part, "expected: in, notin, =, ==, !=, gt, lt")
        values = self._values() if operator in ("in", "notin") else (self._value(),)
        for index, value in enumerate(values):
            _check_value(key, operator, index, value)
        return Requirement(key, operator, values)

    def _value(self) -> str:
        if self._parts[self._next] in ("", ","):
            return ""
        part = self._take()
        if not _is_word(part):
            raise _unexpected(part, "expected: identifier")
        return part

    def _values(self) -> tuple[str, ...]:
        """A list in parentheses; what is missing between commas is an empty value."""
        if (part := self._take()) != "(":
            msg = f"found '{part}' expected: '('"
            raise ValueError(msg)
        values: set[str] = set()
        expected = "expected: ',', ')' or identifier"
        while True:
            part = self._take()
            if _is_word(part):
                values.add(part)
                part = self._take()
                expected = "expected: ',' or ')'"
            else:
                values.add("")
            if part == ")":
                return tuple(sorted(values))
            if part != ",":
                raise _unexpected(part, expected)


def _is_word(part: str) -> bool:
    return part != "" and part[0] not in "=!(),<>"


def _unexpected(part: str, expected: str) -> ValueError:
    return ValueError(f"found '{part}', {expected}")


def _check_key(key: str) -> None:
    domain, slash, name = key.rpartition("/")
    if (slash and (len(domain) > 253 or not _DOMAIN.fullmatch(domain))) or not _NAME.fullmatch(name):
        rule = "must be a name of letters, digits, '-', '_' and '.', perhaps after a DNS subdomain and '/'"
        msg = f'<nil>: Invalid value: "{key}": {rule}'
        raise ValueError(msg)


def _check_value(key: str, operator: Operator, index: int, value: str) -> None:
    if operator in (">", "<") and not re.fullmatch("[+-]?[0-9]+", value):
        msg = f"values[{index}]: Invalid value: \"{value}\": for 'Gt', 'Lt' operators, the value must be an integer"
        raise ValueError(msg)
    if value and operator not in (">", "<") and not _NAME.fullmatch(value):
        rule = "must be empty or a name of letters, digits, '-', '_' and '.' of no more than 63 characters"
        msg = f'values[{index}][{key}]: Invalid value: "{value}": {rule}'
        raise ValueError(msg)
