"""Reads a whole collection page by page.

Guarantees: every page is read, and all come from one snapshot: if that expires half-way, the collection is read once
more, all at once. A server that repeats its continue token cannot make the reader go round in circles.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from controller_runtime.api.resource import Resource
from controller_runtime.api.selectors import Selector
from controller_runtime.client.errors import ClientError, Expired
from controller_runtime.client.transport import Request
from controller_runtime.client.wire import PAGE_SIZE, decode_page, selection

__all__ = ["read_all"]


async def read_all(
    send: Callable[[Request], Awaitable[bytes]], resource: Resource, namespace: str, labels: Selector | None
) -> list[msgspec.Raw]:
    """Return the JSON of all matching objects.

    Args:
        send: carries out a request and returns the body of a good answer.

    Raises:
        ClientError: the server repeats its continue token; or what `send` raises.
    """
    path, selected = resource.path(namespace), selection(labels)
    items: list[msgspec.Raw] = []
    token = ""
    while True:
        params = [*selected, ("limit", str(PAGE_SIZE))]
        if token:
            params.append(("continue", token))
        try:
            page = decode_page(resource, await send(Request(method="GET", path=path, params=params)))
        except Expired:
            if not token:
                raise
            whole = await send(Request(method="GET", path=path, params=selected))
            return decode_page(resource, whole).items or []
        items += page.items or ()
        if not page.continue_:
            return items
        if page.continue_ == token:
            msg = f"list of {resource}: the server repeats its continue token"
            raise ClientError(msg)
        token = page.continue_
