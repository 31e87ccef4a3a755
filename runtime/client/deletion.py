"""What the API server's answer to a delete says: that the object is gone, or that something still keeps it.

One that finalizers or a grace period keep is answered as it is now, with its deletionTimestamp. One that is gone is answered
with a Status that names its uid, or, of some kinds (Services, ServiceAccounts, volume claims), with its last state, which has
none (`finalizeDelete` in the generic registry of Kubernetes' API server). A Status without a uid says nothing: that is what an
API gives whose server is not built on that registry. A pod has a deletionTimestamp even if it is gone: of it the answer says no
more than that it goes.
"""

from __future__ import annotations

from typing import Final

import msgspec

from controller_runtime.api.resource import Resource

__all__ = ["ended_uid"]


class _Metadata(msgspec.Struct, rename="camel"):
    uid: str = ""
    deletion_timestamp: str | None = None


class _Details(msgspec.Struct):
    uid: str = ""


class _Answer(msgspec.Struct):
    kind: str = ""
    metadata: _Metadata | None = None
    status: msgspec.Raw = msgspec.Raw(b"null")  # a word in a Status, anything in an object
    details: msgspec.Raw = msgspec.Raw(b"null")


_ANSWER: Final = msgspec.json.Decoder(_Answer)
_DETAILS: Final = msgspec.json.Decoder(_Details | None)
_SUCCESS: Final = b'"Success"'


def ended_uid(resource: Resource, answer: bytes) -> str | None:
    """Return the uid of the object that is gone according to the answer to its delete; None if that is not said."""
    try:
        found = _ANSWER.decode(answer)
        if found.kind == "Status" and bytes(found.status) == _SUCCESS:
            details = _DETAILS.decode(found.details)
            return (details.uid or None) if details is not None else None
    except msgspec.MsgspecError:
        return None
    if found.kind != resource.kind or found.metadata is None or found.metadata.deletion_timestamp is not None:
        return None
    return found.metadata.uid or None
