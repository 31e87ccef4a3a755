"""The envelopes of lists and watches: decoded without looking into the objects, which stay views of the received bytes."""

from __future__ import annotations

from typing import Final

import msgspec

from controller_runtime.api.resource import Resource
from controller_runtime.api.selectors import Selector
from controller_runtime.client.errors import DecodeError

__all__ = ["PAGE_SIZE", "Envelope", "Page", "decode_event", "decode_page", "selection"]

PAGE_SIZE: Final = 500
"""Objects asked for at a time: small enough to keep one page in memory, the size that other clients use."""


class _PageMeta(msgspec.Struct, rename="camel"):
    resource_version: str = ""
    continue_: str = msgspec.field(default="", name="continue")


class Page(msgspec.Struct):
    """One page of a list; `continue_` is empty on the last one."""

    metadata: _PageMeta = msgspec.field(default_factory=_PageMeta)
    items: list[msgspec.Raw] | None = None
    kind: str = ""

    @property
    def resource_version(self) -> str:
        return self.metadata.resource_version

    @property
    def continue_(self) -> str:
        return self.metadata.continue_


class Envelope(msgspec.Struct, gc=False):
    """One event of a watch: `ADDED`, `MODIFIED`, `DELETED`, `BOOKMARK` or `ERROR`."""

    type: str
    object: msgspec.Raw


_PAGE: Final = msgspec.json.Decoder(Page)
_ENVELOPE: Final = msgspec.json.Decoder(Envelope)


def decode_page(resource: Resource, body: bytes) -> Page:
    """Decode the answer to a list.

    Raises:
        DecodeError: it is no list of objects.
    """
    try:
        page = _PAGE.decode(body)
    except msgspec.MsgspecError as error:
        msg = f"list of {resource}: {error}"
        raise DecodeError(msg) from error
    if page.kind == "Table":
        msg = f"list of {resource}: the server sent a Table instead of objects"
        raise DecodeError(msg)
    return page


def decode_event(resource: Resource, line: bytes) -> Envelope:
    """Decode one line of a watch.

    Raises:
        DecodeError: it is no watch event.
    """
    try:
        return _ENVELOPE.decode(line)
    except msgspec.MsgspecError as error:
        msg = f"watch of {resource}: {error}"
        raise DecodeError(msg) from error


def selection(labels: Selector | None, fields: str = "") -> list[tuple[str, str]]:
    """Return the query parameters of a label selector and of a field selector."""
    params = [("labelSelector", str(labels))] if labels is not None and labels.requirements else []
    return [*params, ("fieldSelector", fields)] if fields else params
