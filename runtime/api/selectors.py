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


_KEY: Final = r"[A-Za-z0-9]([A-Za-z0-9._/-]*[A-Za-z0-9])?"
_TERM: Final = re.compile(
    rf"""\s*(?:
        (?P<absent>!\s*{_KEY})
      | (?P<set_key>{_KEY})\s+(?P<set_op>in|notin)\s*\((?P<set_values>[^)]*)\)
      | (?P<key>{_KEY})\s*(?P<op>==|=|!=|>|<)\s*(?P<value>[A-Za-z0-9._-]*)
      | (?P<present>{_KEY})
    )\s*(?:,|$)""",
    re.VERBOSE,
)


def parse_selector(text: str) -> Selector:
    """Parse kubectl's selector syntax, e.g. `app=web,tier in (a,b),!legacy`.

    Raises:
        ValueError: `text` is not a selector.
    """
    requirements: list[Requirement] = []
    position = 0
    if not text.strip():
        return Selector()
    while position < len(text):
        found = _TERM.match(text, position)
        if found is None:
            msg = f"unable to parse selector {text!r} at position {position}"
            raise ValueError(msg)
        requirements.append(_requirement(found))
        position = found.end()
    if text.rstrip().endswith(","):
        msg = f"unable to parse selector {text!r}: it ends with a comma"
        raise ValueError(msg)
    return Selector(tuple(requirements))


def _requirement(found: re.Match[str]) -> Requirement:
    if found["absent"]:
        return Requirement(found["absent"][1:].strip(), "!")
    if found["set_key"]:
        values = tuple(sorted(value.strip() for value in found["set_values"].split(",")))
        return Requirement(found["set_key"], "in" if found["set_op"] == "in" else "notin", values)
    if found["key"]:
        operators: dict[str, Operator] = {"=": "=", "==": "=", "!=": "!=", ">": ">", "<": "<"}
        return Requirement(found["key"], operators[found["op"]], (found["value"],))
    return Requirement(found["present"], "exists")
