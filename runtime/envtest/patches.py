"""Reading request bodies and applying the patches that are no server-side apply.

Every function is pure and raises a StatusError with the code that a real server would answer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import orjson
import yaml

from controller_runtime.envtest import protobuf
from controller_runtime.envtest.jsonpatches import PatchFailed, apply_operations
from controller_runtime.envtest.status import (
    StatusError,
    bad_request,
    cannot_unmarshal,
    unsupported_media_type,
    unsupported_patch,
)
from controller_runtime.envtest.storage import Json
from controller_runtime.envtest.strategic import strategic_merge

__all__ = ["APPLY", "JSON_PATCH", "MERGE_PATCH", "PATCHES", "STRATEGIC", "merge", "patched", "read_body", "read_yaml"]

JSON_PATCH: Final = "application/json-patch+json"
MERGE_PATCH: Final = "application/merge-patch+json"
STRATEGIC: Final = "application/strategic-merge-patch+json"
APPLY: Final = "application/apply-patch+yaml"
PATCHES: Final = (JSON_PATCH, MERGE_PATCH, STRATEGIC, APPLY)

_BODIES: Final = ("application/json", "application/yaml", "application/vnd.kubernetes.protobuf")
_FRACTION: Final = re.compile(rb"\d[.eE]")
_EXACT: Final = 1 << 53
_MAX_OPERATIONS: Final = 10_000


def read_body(body: bytes, content_type: str, kind: str = "") -> Any:
    """Decode a body of a create, update or delete.

    Args:
        kind: what the body should be, for the text of the error.

    Raises:
        StatusError: 400 for what cannot be parsed, 415 for another format than JSON, YAML or (of some kinds) protobuf.
    """
    media = content_type.partition(";")[0].strip().lower() or "application/json"
    if media == protobuf.MEDIA:
        return protobuf.read_protobuf(body)
    if media not in _BODIES:
        raise unsupported_media_type(_BODIES)
    try:
        return _plain(orjson.loads(body), body) if media == "application/json" else _load_yaml(body)
    except (orjson.JSONDecodeError, yaml.YAMLError) as error:
        what = f"must be of type {kind}" if kind else "must be an object"
        problem = "json parse error" if media == "application/json" else "yaml"
        shown = body[:24].decode(errors="replace") or "<empty>"
        why = f"couldn't get version/kind; {problem}: {_decoding_problem(error, body)}"
        raise bad_request(f"the object provided is unrecognized ({what}): {why} ({shown})") from error


def _decoding_problem(error: Exception, body: bytes) -> str:
    """What is wrong, in a line; a body that ends too early is what happens most."""
    if isinstance(error, orjson.JSONDecodeError) and (not body or error.pos >= len(body) - 1):
        return "unexpected end of JSON input"
    return " ".join(str(error).split())


def _read_patch(body: bytes) -> Any:
    try:
        return _plain(orjson.loads(body), body)
    except orjson.JSONDecodeError as error:
        raise bad_request(f"error decoding patch: {_decoding_problem(error, body)}") from error


def _plain(value: Any, body: bytes) -> Any:
    """Write whole numbers without a fraction, as every value is written that has passed a real server: 3.0 is 3."""
    return _whole_numbers(value) if _FRACTION.search(body) else value


def _whole_numbers(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _whole_numbers(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_whole_numbers(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT else value


class _JsonLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc] # chosen at run time
    """YAML as Kubernetes reads it: what JSON can say, so a date stays text."""


_JsonLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read_yaml(body: bytes) -> Any:
    """Decode the YAML (of which JSON is a part) of an apply."""
    try:
        return _load_yaml(body)
    except yaml.YAMLError as error:
        text = " ".join(str(error).split())
        raise bad_request(f"error decoding YAML: error converting YAML to JSON: yaml: {text}") from error


def _load_yaml(body: bytes) -> Any:
    try:
        return _plain(orjson.loads(body), body)
    except orjson.JSONDecodeError:
        pass  # not JSON: it may still be YAML
    return yaml.load(body, Loader=_JsonLoader)  # noqa: S506 - derived from SafeLoader


def patched(live: Json, body: bytes, media: str, schema: Mapping[str, Any] | None) -> Json:
    """Return a new object: `live` (a private copy, which is given up) with the patch applied.

    Args:
        schema: the schema with the merge keys; None where strategic merge is not supported.

    Raises:
        StatusError: 400 for a patch that cannot be read, 415 for one of an unsupported kind, 422 for one that fails.
    """
    if media == STRATEGIC and schema is None:
        raise unsupported_patch(strategic=False)
    patch = _read_patch(body)
    if media == JSON_PATCH:
        return _json_patched(live, patch)
    if not isinstance(patch, dict):
        raise bad_request(f"error decoding patch: {cannot_unmarshal(patch, 'map[string]interface {}')}")
    if media == MERGE_PATCH:
        merged: Json = merge(live, patch)
        return merged
    return strategic_merge(live, patch, schema or {})


def merge(live: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    merged: Json = dict(live) if isinstance(live, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, dict):
            merged[name] = merge(merged.get(name), value)
        else:
            merged[name] = value
    return merged


def _json_patched(live: Json, patch: Any) -> Json:
    if not isinstance(patch, list):
        raise bad_request(f"error decoding patch: {cannot_unmarshal(patch, '[]handlers.jsonPatchOp')}")
    if len(patch) > _MAX_OPERATIONS:
        why = f"The allowed maximum operations in a JSON patch is {_MAX_OPERATIONS}, got {len(patch)}"
        raise StatusError(413, "RequestEntityTooLarge", f"Request entity too large: {why}")
    for operation in patch:
        if not isinstance(operation, dict):
            raise bad_request(f"error decoding patch: {cannot_unmarshal(operation, 'handlers.jsonPatchOp')}")
    try:
        result = apply_operations(live, patch)
    except PatchFailed as error:
        # The real server keeps to itself which operation failed, and why.
        raise StatusError(422, "Invalid", "the server rejected our request due to an error in our request") from error
    checked: Json = result
    return checked
