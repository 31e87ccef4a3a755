"""Reading request bodies and applying the patches that are no server-side apply.

Every function is pure and raises a StatusError with the code that a real server would answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import jsonpatch
import orjson
import yaml
from jsonpointer import JsonPointerException

from controller_runtime.envtest import protobuf
from controller_runtime.envtest.status import StatusError, bad_request, unsupported_media_type
from controller_runtime.envtest.storage import Json
from controller_runtime.envtest.strategic import strategic_merge

__all__ = ["APPLY", "JSON_PATCH", "MERGE_PATCH", "PATCHES", "STRATEGIC", "merge", "patched", "read_body", "read_yaml"]

JSON_PATCH: Final = "application/json-patch+json"
MERGE_PATCH: Final = "application/merge-patch+json"
STRATEGIC: Final = "application/strategic-merge-patch+json"
APPLY: Final = "application/apply-patch+yaml"
PATCHES: Final = (JSON_PATCH, MERGE_PATCH, STRATEGIC, APPLY)

_JSON: Final = ("application/json", "application/yaml")
_MAX_OPERATIONS: Final = 10_000


def read_body(body: bytes, content_type: str) -> Any:
    """Decode a body of a create, update or delete.

    Raises:
        StatusError: 400 for what cannot be parsed, 415 for another format than JSON, YAML or (of some kinds) protobuf.
    """
    media = content_type.partition(";")[0].strip().lower() or "application/json"
    if media == "application/yaml":
        return read_yaml(body)
    if media == protobuf.MEDIA:
        return protobuf.read_protobuf(body)
    if media != "application/json":
        raise unsupported_media_type(content_type, _JSON)
    return _read_json(body)


def _read_json(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise bad_request(f"the body of the request is not valid JSON: {error}") from error


class _JsonLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc] # chosen at run time
    """YAML as Kubernetes reads it: what JSON can say, so a date stays text."""


_JsonLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read_yaml(body: bytes) -> Any:
    """Decode YAML, of which JSON is a part."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass  # not JSON: it may still be YAML
    try:
        return yaml.load(body, Loader=_JsonLoader)  # noqa: S506 - derived from SafeLoader
    except yaml.YAMLError as error:
        raise bad_request(f"error decoding YAML: {error}") from error


def patched(live: Json, body: bytes, media: str, schema: Mapping[str, Any] | None) -> Json:
    """Return a new object: `live` (a private copy, which is given up) with the patch applied.

    Args:
        schema: the schema with the merge keys; None where strategic merge is not supported.

    Raises:
        StatusError: 400 for a patch that cannot be read, 415 for one of an unsupported kind, 422 for one that fails.
    """
    patch = _read_json(body)
    if media == JSON_PATCH:
        return _json_patched(live, patch)
    if not isinstance(patch, dict):
        raise bad_request("the patch must be a JSON object")
    if media == MERGE_PATCH:
        merged: Json = merge(live, patch)
        return merged
    if media == STRATEGIC and schema is not None:
        return strategic_merge(live, patch, schema)
    raise unsupported_media_type(media, [name for name in PATCHES if name != STRATEGIC or schema is not None])


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
        raise bad_request("a JSON patch must be a list of operations")
    if len(patch) > _MAX_OPERATIONS:
        message = f"The allowed maximum operations in a JSON patch is {_MAX_OPERATIONS}, got {len(patch)}"
        raise StatusError(413, "RequestEntityTooLarge", message)
    try:
        result = jsonpatch.apply_patch(live, patch, in_place=True)
    except jsonpatch.JsonPatchTestFailed as error:
        raise _unprocessable(f"testing value failed: {error}") from error
    except (jsonpatch.InvalidJsonPatch, TypeError) as error:
        raise bad_request(f"the JSON patch is malformed: {error}") from error
    except (jsonpatch.JsonPatchException, JsonPointerException) as error:
        raise _unprocessable(str(error)) from error
    if not isinstance(result, dict):
        raise bad_request("a JSON patch must leave a JSON object")
    return result


def _unprocessable(why: str) -> StatusError:
    return StatusError(422, "Invalid", f"the server rejected our request due to an error in our request: {why}")
