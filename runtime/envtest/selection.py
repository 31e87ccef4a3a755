"""Which objects a list, watch or collection delete is about: namespace, name, labels and fields.

Label selectors have kubectl's full syntax; field selectors are conjunctions of `path=value` and `path!=value` over the
fields that a kind declares, anything else being a BadRequest as on a real server.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from controller_runtime.api.selectors import Selector, parse_selector
from controller_runtime.envtest.status import bad_request
from controller_runtime.envtest.storage import Json, Stored

__all__ = [
    "EVERYTHING",
    "NAME_FIELDS",
    "FieldTerm",
    "FieldValue",
    "Selection",
    "UnknownField",
    "field_at",
    "parse_fields",
    "select",
]

FieldValue = Callable[[Json], str]
UnknownField = Callable[[str], str]
_ALL_LABELS: Final = Selector()


@dataclass(frozen=True, slots=True)
class FieldTerm:
    """One term of a field selector; `value_of` reads the field, as text, from an object."""

    path: str
    value: str
    equal: bool
    value_of: FieldValue

    def matches(self, obj: Json) -> bool:
        return (self.value_of(obj) == self.value) == self.equal


@dataclass(frozen=True, slots=True)
class Selection:
    """All conditions must hold; an empty namespace or name is no condition."""

    namespace: str = ""
    name: str = ""
    labels: Selector = _ALL_LABELS
    fields: tuple[FieldTerm, ...] = ()

    @property
    def by_key_only(self) -> bool:
        return not self.labels.requirements and not self.fields

    def matches(self, stored: Stored) -> bool:
        if self.namespace and stored.key.namespace != self.namespace:
            return False
        if self.name and stored.key.name != self.name:
            return False
        if self.labels.requirements and not self.labels.matches(stored.labels):
            return False
        return all(term.matches(stored.obj) for term in self.fields)


EVERYTHING: Final = Selection()


def field_at(path: str) -> FieldValue:
    """Return a reader of a dotted path; a missing field reads as the empty string, a boolean as `true`/`false`."""
    names = tuple(name for name in path.split(".") if name)

    def value_of(obj: Json) -> str:
        value: Any = obj
        for name in names:
            if not isinstance(value, dict):
                return ""
            value = value.get(name)
        if value is None:
            return ""
        if isinstance(value, bool):
            return "true" if value else "false"
        return str(value)

    return value_of


NAME_FIELDS: Final[Mapping[str, FieldValue]] = {
    "metadata.name": field_at("metadata.name"),
    "metadata.namespace": field_at("metadata.namespace"),
}
# Terms stand between commas that have no backslash before them.
_TERMS: Final = re.compile(r"(?:\\.|[^,\\])+|\\$")
_TERM: Final = re.compile(r"(?P<path>[^=!]*)(?P<operator>!=|==|=)(?P<value>.*)", re.DOTALL)
_WRONG_ESCAPE: Final = re.compile(r"(?<!\\)(?:\\\\)*(\\(?:[^\\,=]|$))")
_ESCAPED: Final = re.compile(r"\\([\\,=])")


def parse_fields(text: str, known: Mapping[str, FieldValue], unknown: UnknownField) -> tuple[FieldTerm, ...]:
    """Parse a field selector over the fields in `known`.

    Args:
        unknown: words the refusal of another field.

    Raises:
        StatusError: the text is no selector, or names a field that the kind does not offer.
    """
    terms: list[FieldTerm] = []
    for part in filter(None, _TERMS.findall(text)):
        found = _TERM.match(part)
        if found is None:
            raise bad_request(f"invalid selector: '{text}'; can't understand '{part}'")
        path, operator, value = found["path"], found["operator"], _unescaped(found["value"])
        value_of = known.get(path)
        if value_of is None:
            raise bad_request(unknown(path))
        terms.append(FieldTerm(path, value, operator != "!=", value_of))
    return tuple(terms)


def _unescaped(value: str) -> str:
    """Undo the backslashes before a backslash, a comma or an equals sign; none may stand before anything else."""
    wrong = _WRONG_ESCAPE.search(value)
    if wrong is not None:
        raise bad_request(f"invalid field selector: invalid escape sequence: {wrong[0]}")
    return _ESCAPED.sub(r"\1", value)


def select(
    params: Mapping[str, str], namespace: str, name: str, known: Mapping[str, FieldValue], unknown: UnknownField
) -> Selection:
    """Read a request's `labelSelector` and `fieldSelector`.

    Raises:
        StatusError: one of them cannot be understood.
    """
    try:
        labels = parse_selector(params.get("labelSelector", ""))
    except ValueError as error:
        raise bad_request(str(error)) from error
    return Selection(namespace, name, labels, parse_fields(params.get("fieldSelector", ""), known, unknown))
