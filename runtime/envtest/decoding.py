"""From the body of a request to an object of its kind, without anything that the kind does not know.

Pure: only the object that is passed changes.
"""

from __future__ import annotations

from typing import Any

from controller_runtime.envtest.checks import WriteOptions, check_unknown_fields
from controller_runtime.envtest.kinds import Kind
from controller_runtime.envtest.metadata import drop_unknown_fields
from controller_runtime.envtest.shapes import check_shape
from controller_runtime.envtest.storage import Json

__all__ = ["decoded"]


def decoded(kind: Kind, body: Any, options: WriteOptions, subresource: str = "") -> Json:
    """Return the object of a request; what its kind does not know is refused, reported, or ignored, as the options say.

    Of an object that was patched through its status subresource only the status can have anything new.

    Raises:
        StatusError: it is no object of this kind, or has unknown fields in a strict request.
    """
    obj = check_shape(kind, body)
    unknown = drop_unknown_fields(obj["metadata"])
    if subresource == "status":
        part = {"status": obj.pop("status")} if "status" in obj else {}
        unknown += kind.strategy.prune(part)
        obj.update(part)
    else:
        unknown += kind.strategy.prune(obj)
    check_unknown_fields(kind, unknown, options)
    return obj
