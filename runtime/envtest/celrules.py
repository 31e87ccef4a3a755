"""CEL rules of a schema (`x-kubernetes-validations`), evaluated by the `cel` library.

A rule that mentions `oldSelf` is a transition rule: it is evaluated only where there is an old value to compare with,
and always then. Any other rule only warns where nothing has changed (ratcheting). An expression that fails to evaluate
counts as broken, with the evaluator's words: a rule never holds by accident.

Pure functions; compiled rules are immutable and shared.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple, final

import cel
import orjson
from cel.stdlib import STDLIB_FUNCTIONS, add_stdlib_to_context

from controller_runtime.envtest.cellibrary import FUNCTIONS, UNKNOWN
from controller_runtime.envtest.equality import identical
from controller_runtime.envtest.jsontypes import json_type
from controller_runtime.envtest.status import Cause

if TYPE_CHECKING:
    from controller_runtime.envtest.schema import Node

__all__ = ["Broken", "CompiledRule", "check_rules", "escaped"]


class Broken(NamedTuple):
    """What a rule that does not hold says, and why it couldn't be evaluated at all, if that is it."""

    message: str
    problem: str = ""


_SELF: Final = re.compile(r"\b(?:self|oldSelf)\b(?:\.([A-Za-z_]\w*))?(\s*\()?")
_STRING_OR_OLD: Final = re.compile(r"""("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?<![\w.])oldSelf\b""")
# Functions that the library has only on request; a context without them is made five times as fast.
_EXTENSIONS: Final = frozenset(name.rpartition(".")[2] for name in STDLIB_FUNCTIONS) - {"contains"}
_EVALUATION_ERRORS: Final = (RuntimeError, TypeError, ValueError, LookupError, ArithmeticError, AttributeError)


@final
class CompiledRule:
    """One rule, compiled.

    Attributes:
        transition: compares with what was there before, and so is evaluated on updates alone.
        unknown: functions that a real server knows and this one doesn't.

    Raises:
        ValueError: the expression is no CEL.
    """

    __slots__ = (
        "_functions",
        "_message_program",
        "_names",
        "_optional",
        "_program",
        "_without_old",
        "field_path",
        "message",
        "reason",
        "text",
        "transition",
        "unknown",
    )

    def __init__(self, rule: Mapping[str, Any]) -> None:
        self.text = str(rule.get("rule", "")).strip()
        self.message: str = rule.get("message") or ""
        self.reason: str = rule.get("reason") or "FieldValueInvalid"
        self.field_path: str = rule.get("fieldPath") or ""
        expression = str(rule.get("messageExpression") or "")
        self._optional = bool(rule.get("optionalOldSelf"))
        # With `optionalOldSelf`, the old value is an optional one; the library takes these from expressions alone.
        with_old = "optional.of(oldSelf)" if self._optional else "oldSelf"
        self._program = cel.compile(_with_old(self.text, with_old))
        self._without_old = cel.compile(_with_old(self.text, "optional.none()")) if self._optional else self._program
        self._message_program = cel.compile(_with_old(expression, with_old)) if expression else None
        programs = [program for program in (self._program, self._message_program) if program is not None]
        self._functions = frozenset(name for program in programs for name in program.functions())
        self.unknown = sorted(self._functions & UNKNOWN)
        self.transition = not self._optional and "oldSelf" in self._program.variables()
        self._names = _fields_used(f"{self.text} {expression}")

    def broken(self, node: Node, value: Any, old: Any) -> Broken | None:
        """Return in which way the rule does not hold; None if it does."""
        variables = {"self": self._visible(node, value)}
        has_old = old is not None
        if has_old:
            variables["oldSelf"] = self._visible(node, old)
        context = cel.Context(variables=variables)
        if not _EXTENSIONS.isdisjoint(self._functions):
            add_stdlib_to_context(context)
        for name in self._functions & FUNCTIONS.keys():
            context.add_function(name, FUNCTIONS[name])
        program = self._program if has_old else self._without_old
        try:
            if program.execute(context) is True:
                return None
        except _EVALUATION_ERRORS as error:
            return Broken(self.message or self.text, _evaluation_problem(error))
        if self._message_program is not None and (has_old or not self._optional):
            try:
                message = self._message_program.execute(context)
            except _EVALUATION_ERRORS:
                message = None  # the fixed message is the documented fallback
            if isinstance(message, str) and message.strip():
                return Broken(message)
        return Broken(self.message or f"failed rule: {self.text}")

    def _visible(self, node: Node, value: Any) -> Any:
        """What the expression sees of a value: only the fields that it uses, in CEL's types and names."""
        if self._names is not None and isinstance(value, dict):
            value = {
                name: inner for name, inner in value.items() if name in self._names or escaped(name) in self._names
            }
        return to_cel(node, value) if node.reshaped else value


def _with_old(expression: str, old: str) -> str:
    """The expression with another name for the old value (outside of strings)."""
    return _STRING_OR_OLD.sub(lambda match: match.group(1) or old, expression)


def _evaluation_problem(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"no such key: {error.args[0]}"
    text = str(error)
    return text.rpartition("Error: ")[2] if "Python function call failed" in text else text


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
    """Evaluate all rules at and below a node; `old` is what stood there before, or None if nothing comparable did.

    What breaks a rule that doesn't look at the old value, and has been so before, is only warned of (ratcheting).
    """
    if not node.has_rules:
        return
    unchanged = old is not None and identical(value, old)
    for rule in node.rules:
        if rule.transition and old is None:
            continue
        broken = rule.broken(node, value, old)
        if broken is not None:
            out.append(_cause(rule, value, path, broken, warning=unchanged and not rule.transition))
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


def _cause(rule: CompiledRule, value: Any, path: str, broken: Broken, *, warning: bool) -> Cause:
    field = f"{path}{rule.field_path}" if path else rule.field_path.removeprefix(".")
    field = field or "<nil>"
    if broken.problem:
        shown = f'"{json_type(value)}"'
        message = f"Invalid value: {shown}: {broken.problem} evaluating rule: {broken.message}"
        return Cause(field, message, warning=warning)
    shown = "" if isinstance(value, (dict, list)) else f": {orjson.dumps(value).decode()}"
    text = {
        "FieldValueForbidden": f"Forbidden: {broken.message}",
        "FieldValueRequired": f"Required value: {broken.message}",
        "FieldValueDuplicate": f"Duplicate value{shown}",
    }.get(rule.reason, f"Invalid value{shown}: {broken.message}")
    return Cause(field, text, rule.reason, warning=warning)


def _items_by_key(node: Node, old: Any) -> dict[tuple[Any, ...], Any]:
    if not isinstance(old, list) or node.list_type != "map":
        return {}
    return {_key(node, item): item for item in old}


def _key(node: Node, item: Any) -> tuple[Any, ...]:
    return tuple(item.get(key) for key in node.keys) if isinstance(item, dict) else (item,)
