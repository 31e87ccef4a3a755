"""The way from `kubectl apply` to `kubectl apply --server-side`, which a real server smooths.

Client-side apply keeps what it applied in an annotation. When the field manager `kubectl` applies to such an object, the
fields named there may change without a conflict, and the annotation is kept up to date. Pure functions.
"""

from __future__ import annotations

from typing import Final

import orjson

from controller_runtime.envtest.fieldset import FieldSet, applied_fields
from controller_runtime.envtest.mergetypes import MergeType
from controller_runtime.envtest.storage import Json

__all__ = ["forgiven_fields", "refresh_last_applied"]

_ANNOTATION: Final = "kubectl.kubernetes.io/last-applied-configuration"
_MANAGER: Final = "kubectl"


def forgiven_fields(live: Json, manager: str, shape: MergeType) -> FieldSet:
    """The fields over which an apply of this manager raises no conflict."""
    text = live["metadata"].get("annotations", {}).get(_ANNOTATION)
    if manager != _MANAGER or not text:
        return {}
    try:
        applied = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}  # somebody's own text: then nothing is forgiven
    return applied_fields(applied, shape) if isinstance(applied, dict) else {}


def refresh_last_applied(obj: Json, config: Json, manager: str) -> None:
    """Keep the annotation, if there is one, in step with what has been applied."""
    annotations = obj["metadata"].get("annotations", {})
    if manager == _MANAGER and _ANNOTATION in annotations:
        annotations[_ANNOTATION] = orjson.dumps(config, option=orjson.OPT_SORT_KEYS).decode() + "\n"
