"""Lists: what a collection holds at which version, in pages.

`limit` and `continue` give a consistent snapshot: every page shows the collection as it was when the first was read. A
token that is older than the history answers 410 with a token that goes on inconsistently, as a real server's.
"""

from __future__ import annotations

import base64
import binascii
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Final

import orjson

from controller_runtime.api.resource import ObjectKey
from controller_runtime.envtest.listoptions import ListOptions, read_version
from controller_runtime.envtest.selection import Selection
from controller_runtime.envtest.status import StatusError, bad_request, expired
from controller_runtime.envtest.storage import Stored, Table, TooOld

__all__ = ["Page", "list_page", "version_not_reached"]

_INCONSISTENT: Final = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without the "
    "continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing "
    "with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the "
    "time the first chunk was returned and now may show up in the list."
)


@dataclass(slots=True)
class Page:
    """A part of a collection as of `version`; `token` (if any) continues it, `remaining` counts what is left."""

    version: int
    items: list[Stored] = field(default_factory=list)
    token: str = ""
    remaining: int | None = None


def list_page(current: int, table: Table, selection: Selection, options: ListOptions) -> Page:
    """Answer a list request, `current` being the server's version.

    Raises:
        StatusError: 400 for a version or a token that cannot be read, 410 for one that is too old, 504 for a version that
            the server has not reached.
    """
    wanted = read_version(options.version)
    limit = 0 if options.version == "0" else options.limit  # anything will do: it comes from the cache, in one piece
    after: ObjectKey | None = None
    if options.token:
        if wanted:
            raise bad_request("specifying resource version is not allowed when using continue")
        version, after = _read_token(options.token, selection.namespace)
        if version == -1:
            version = current
    elif wanted and (options.match == "Exact" or (limit and not options.match)):
        version = wanted
    else:
        version = max(wanted or 0, current)
    if version > current:
        raise version_not_reached(version, current)
    return _page(current, table, selection, version, limit, after)


def _page(current: int, table: Table, selection: Selection, version: int, limit: int, after: ObjectKey | None) -> Page:
    if version == current:
        objects, keys = table.objects, table.sorted_keys()
    else:
        try:
            objects = table.state_at(version)
        except TooOld:
            if after is None:
                raise expired("The resourceVersion for the provided list is too old.") from None
            fresh = _write_token(-1, after, selection.namespace)
            raise expired(_INCONSISTENT, continue_token=fresh) from None
        keys = sorted(objects)
    start = bisect_right(keys, after) if after is not None else 0
    page = Page(version)
    if not limit:
        if selection.by_key_only and not selection.namespace and not selection.name:
            page.items = [objects[key] for key in keys[start:]]
        else:
            matches = selection.matches
            page.items = [stored for key in keys[start:] if matches(stored := objects[key])]
        return page
    for position in range(start, len(keys)):
        stored = objects[keys[position]]
        if not selection.matches(stored):
            continue
        if len(page.items) == limit:
            page.token = _write_token(version, page.items[-1].key, selection.namespace)
            if selection.by_key_only:
                page.remaining = sum(1 for key in keys[position:] if selection.matches(objects[key]))
            break
        page.items.append(stored)
    return page


def _write_token(version: int, after: ObjectKey, namespace: str) -> str:
    """A token in the form of a real server: the version, and the key after the collection's own that comes next."""
    start = f"/{after.name}\0" if namespace else f"/{after.namespace}/{after.name}\0"
    token = orjson.dumps({"v": "meta.k8s.io/v1", "rv": version, "start": start})
    return base64.urlsafe_b64encode(token).decode().rstrip("=")


def _read_token(text: str, namespace: str) -> tuple[int, ObjectKey]:
    try:
        token = orjson.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
        start = str(token["start"]).removesuffix("\0").removeprefix("/")
        version = int(token["rv"])
    except binascii.Error:
        raise _bad_token("illegal base64 data at input byte 0") from None
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise _bad_token(str(error)) from error
    if version == 0:
        raise _bad_token("incorrect encoded start resourceVersion (version meta.k8s.io/v1)")
    if namespace:
        return version, ObjectKey(namespace, start)
    home, _, name = start.rpartition("/")
    return version, ObjectKey(home, name)


def _bad_token(why: str) -> StatusError:
    return bad_request(f"invalid continue token: continue key is not valid: {why}")


def version_not_reached(wanted: int, current: int) -> StatusError:
    details = {
        "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
        "retryAfterSeconds": 1,
    }
    message = f"Timeout: Too large resource version: {wanted}, current: {current}"
    return StatusError(504, "Timeout", message, details=details)
