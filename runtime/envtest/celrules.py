"""CEL rules of a schema (`x-kubernetes-validations`), evaluated by the `cel` library.

A rule that mentions `oldSelf` is a transition rule: it is evaluated only where there is an old value to compare with,
and always then. Any other rule is skipped where nothing has changed (ratcheting). An expression that fails to evaluate
counts as broken, with the evaluator's words: a rule never holds by accident.

Pure functions; compiled rules are immutable and shared.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, final

import cel
from cel.stdlib import STDLIB_FUNCTIONS, add_stdlib_to_context

from controller_runtime.envtest.equality import identical
from controller_runtime.envtest.status import Cause

if TYPE_CHECKING:
    from controller_runtime.envtest.schema import Node

__all__ = ["CompiledRule", "check_rules", "escaped"]

_SELF: Final = re.compile(r"\b(?:self|oldSelf)\b(?:\.([A-Za-z_]\w*))?(\s*\()?")
# Functions that the library has only on request; a context without them is made five times as fast.
_EXTENSIONS: Final = frozenset(name.rpartition(".")[2] for name in STDLIB_FUNCTIONS) - {"contains"}
_EVALUATION_ERRORS: Final = (RuntimeError, TypeError, ValueError, LookupError, ArithmeticError, AttributeError)
_TEXTS: Final = {
    "": "Invalid value: {shown}: {message}",
    "FieldValueInvalid": "Invalid value: {shown}: {message}",
    "FieldValueForbidden": "Forbidden: {message}",
    "FieldValueRequired": "Required value: {message}",
    "FieldValueDuplicate": "Duplicate value: {shown}",
}


@final
class CompiledRule:
    """One rule, compiled.

    Raises:
        ValueError: the expression is no CEL.
    """

    __slots__ = (
        "_extended",
        "_message_program",
        "_names",
        "_program",
        "field_path",
        "message",
        "reason",
        "text",
        "transition",
    )

    def __init__(self, rule: Mapping[str, Any]) -> None:
        self.text = str(rule.get("rule", "")).strip()
        self.message: str = rule.get("message") or ""
        self.reason: str = rule.get("reason") or "FieldValueInvalid"
        self.field_path: str = rule.get("fieldPath") or ""
        self._program = cel.compile(self.text)
        expression = rule.get("messageExpression")
        self._message_program = cel.compile(expression) if expression else None
        programs = [program for program in (self._program, self._message_program) if program is not None]
        self._extended = any(not _EXTENSIONS.isdisjoint(program.functions()) for program in programs)
        self.transition = "oldSelf" in self._program.variables()
        self._names = _fields_used(self.text + " " + (expression or ""))

    def broken(self, node: Node, value: Any, old: Any) -> str | None:
        """Return the message if the rule does not hold, else None."""
        variables = {"self": self._visible(node, value)}
        if self.transition:
            variables["oldSelf"] = self._visible(node, old)
        context = cel.Context(variables=variables)
        if self._extended:
            add_stdlib_to_context(context)
        try:
            if self._program.execute(context) is True:
                return None
        except _EVALUATION_ERRORS as error:
            return f"rule evaluation error: {error}: {self.text}"
        if self._message_program is not None:
            try:
                message = self._message_program.execute(context)
            except _EVALUATION_ERRORS:
                message = None  # the fixed message is the documented fallback
            if isinstance(message, str) and message.strip():
                return message
        return self.message or f"failed rule: {self.text}"

    def _visible(self, node: Node, value: Any) -> Any:
        """What the expression sees of a value: only the fields that it uses, in CEL's types and names."""
        if self._names is not None and isinstance(value, dict):
            value = {
                name: inner for name, inner in value.items() if name in self._names or escaped(name) in self._names
            }
        return to_cel(node, value) if node.reshaped else value


def _fields_used(text: str) -> frozenset[str] | None:
    """The fields of `self` and `oldSelf` that a text mentions; None if it may use them all."""
    names: set[str] = set()
    for name, called in _SELF.findall(text):
        if not name or called:
            return None
        names.add(name)
    return frozenset(names)


def to_cel(node: Node | None, value: Any) -> Any:
    """Rewrite a value for CEL: numbers of type `number` are doubles, awkward property names are escaped."""
    if node is None or not node.reshaped:
        return value
    if node.type == "number" and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, dict):
        return {
            escaped(name) if name in node.properties else name: to_cel(node.child(name), inner)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [to_cel(node.items, item) for item in value]
    return value


def escaped(name: str) -> str:
    """The name by which an expression accesses a property."""
    if name in _RESERVED:
        return f"__{name}__"
    escaped_name = name.replace("__", "__underscores__")
    for character, word in ((".", "__dot__"), ("-", "__dash__"), ("/", "__slash__")):
        escaped_name = escaped_name.replace(character, word)
    return escaped_name


_RESERVED: Final = frozenset(
    ("true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if", "import", "let",
     "loop", "package", "namespace", "return", "var", "void", "while")
)  # fmt: skip


def check_rules(node: Node, value: Any, old: Any, path: str, out: list[Cause]) -> None:
    """Evaluate all rules at and below a node; `old` is what stood there before, or None if nothing comparable did."""
    if not node.has_rules:
        return
    unchanged = old is not None and identical(value, old)
    for rule in node.rules:
        if (rule.transition and old is None) or (unchanged and not rule.transition):
            continue
        message = rule.broken(node, value, old)
        if message is not None:
            out.append(_cause(rule, node, value, path, message))
    if isinstance(value, dict):
        before = old if isinstance(old, dict) else {}
        for name, inner in value.items():
            child = node.child(name)
            if child is not None and child.has_rules:
                named = name in node.properties
                below = (f"{path}.{name}" if path else name) if named else f"{path}[{name}]"
                check_rules(child, inner, before.get(name), below, out)
    elif isinstance(value, list) and node.items is not None and node.items.has_rules:
        from_old = _items_by_key(node, old)
        for index, item in enumerate(value):
            check_rules(node.items, item, from_old.get(_key(node, item)), f"{path}[{index}]", out)


def _cause(rule: CompiledRule, node: Node, value: Any, path: str, message: str) -> Cause:
    shown = f'"{node.type or "object"}"'
    text = _TEXTS.get(rule.reason, _TEXTS[""]).format(shown=shown, message=message)
    field = f"{path}{rule.field_path}" if path else rule.field_path.removeprefix(".")
    return Cause(field or "<nil>", text, rule.reason)


def _items_by_key(node: Node, old: Any) -> dict[tuple[Any, ...], Any]:
    if not isinstance(old, list) or node.list_type != "map":
        return {}
    return {_key(node, item): item for item in old}


def _key(node: Node, item: Any) -> tuple[Any, ...]:
    return tuple(item.get(key) for key in node.keys) if isinstance(item, dict) else (item,)
