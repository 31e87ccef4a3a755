"""JSON patches (RFC 6902), with what a real server forgives.

An API server is more lenient than the RFC: indices count from the end when negative, `replace` of a missing key adds it, an
absent `value` is null, and a `test` of a missing key for null holds. Values are compared as JSON: 1 is not 1.0.

Pure functions; the document that is passed is given up.
"""

from __future__ import annotations

from typing import Any

import orjson

from controller_runtime.envtest.equality import identical

__all__ = ["PatchFailed", "apply_operations"]


class PatchFailed(Exception):
    """An operation cannot be carried out; the document is to be thrown away."""


def apply_operations(document: Any, operations: list[dict[str, Any]]) -> Any:
    """Carry out the operations in their order, and return the document.

    Raises:
        PatchFailed: one of them failed.
    """
    for operation in operations:
        path = operation.get("path")
        if not isinstance(path, str):
            msg = "an operation without a path"
            raise PatchFailed(msg)
        value = operation.get("value")
        match operation.get("op"):
            case "test":
                if not identical(_get(*_parent(document, path)), value):
                    msg = f"testing value {path} failed"
                    raise PatchFailed(msg)
            case "add":
                _add(*_parent(document, path), value)
            case "replace":
                _replace(*_parent(document, path), value)
            case "remove":
                _remove(*_parent(document, path))
            case "move":
                source = _source(operation)
                moved = _get(*_parent(document, source))
                _remove(*_parent(document, source))
                _add(*_parent(document, path), moved)
            case "copy":
                copied = _get(*_parent(document, _source(operation)))
                _add(*_parent(document, path), orjson.loads(orjson.dumps(copied)))
            case other:
                msg = f"unexpected kind: {other}"
                raise PatchFailed(msg)
    return document


def _source(operation: dict[str, Any]) -> str:
    source = operation.get("from")
    if not isinstance(source, str):
        msg = "an operation without a source"
        raise PatchFailed(msg)
    return source


def _parent(document: Any, pointer: str) -> tuple[Any, str]:
    """The container that a pointer leads to, and the key or index in it."""
    head, *parts = pointer.split("/")
    if head or not parts:
        msg = f"no pointer: {pointer!r}"
        raise PatchFailed(msg)
    names = [part.replace("~1", "/").replace("~0", "~") for part in parts]
    node = document
    for name in names[:-1]:
        node = _get(node, name)
        if not isinstance(node, (dict, list)):
            msg = f"missing path: {pointer}"
            raise PatchFailed(msg)
    return node, names[-1]


def _index(node: list[Any], name: str, size: int) -> int:
    try:
        index = int(name)
    except ValueError:
        msg = f"no index: {name!r}"
        raise PatchFailed(msg) from None
    if index < 0:
        index += size
    if not 0 <= index < size:
        msg = f"index out of bounds: {name}"
        raise PatchFailed(msg)
    return index


def _get(node: Any, name: str) -> Any:
    if isinstance(node, dict):
        return node.get(name)
    return node[_index(node, name, len(node))]


def _add(node: Any, name: str, value: Any) -> None:
    if isinstance(node, dict):
        node[name] = value
    elif name == "-":
        node.append(value)
    else:
        node.insert(_index(node, name, len(node) + 1), value)


def _replace(node: Any, name: str, value: Any) -> None:
    node[name if isinstance(node, dict) else _index(node, name, len(node))] = value


def _remove(node: Any, name: str) -> None:
    if isinstance(node, list):
        del node[_index(node, name, len(node))]
    elif name not in node:
        msg = f"unable to remove nonexistent key: {name}"
        raise PatchFailed(msg)
    else:
        del node[name]
