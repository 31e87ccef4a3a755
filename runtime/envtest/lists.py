"""Lists: what a collection holds at which version, in pages.

`limit` and `continue` give a consistent snapshot: every page shows the collection as it was when the first was read. A
token that is older than the history answers 410 with a token that goes on inconsistently, as a real server's.
"""

from __future__ import annotations

import base64
import binascii
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson

from controller_runtime.api.resource import ObjectKey
from controller_runtime.envtest.selection import Selection
from controller_runtime.envtest.status import StatusError, bad_request, expired
from controller_runtime.envtest.storage import Stored, Table, TooOld

__all__ = ["Page", "list_page", "read_version", "version_not_reached"]


@dataclass(slots=True)
class Page:
    """A part of a collection as of `version`; `token` (if any) continues it, `remaining` counts what is left."""

    version: int
    items: list[Stored] = field(default_factory=list)
    token: str = ""
    remaining: int | None = None


def read_version(text: str) -> int | None:
    """Read a `resourceVersion` parameter; None for an empty one.

    Raises:
        StatusError: it is no version.
    """
    if not text:
        return None
    if not text.isdecimal():
        raise bad_request(f"invalid resource version {text!r}: strconv.ParseUint: parsing {text!r}: invalid syntax")
    return int(text)


def list_page(current: int, table: Table, selection: Selection, params: Mapping[str, str]) -> Page:
    """Answer a list request, `current` being the server's version.

    Raises:
        StatusError: 400 for parameters that contradict each other, 410 for a version that is too old, 504 for one that
            the server has not reached.
    """
    limit = _limit(params.get("limit", ""))
    wanted = read_version(params.get("resourceVersion", ""))
    match = params.get("resourceVersionMatch", "")
    after: ObjectKey | None = None
    if params.get("continue"):
        if wanted:
            raise bad_request("specifying resource version is not allowed when using continue")
        version, after = _read_token(params["continue"])
        if version == -1:
            version = current
    elif match == "Exact":
        if not wanted:
            raise _match_error("resourceVersionMatch=Exact is forbidden with an empty or zero resourceVersion")
        version = wanted
    elif match in ("", "NotOlderThan"):
        if match and wanted is None:
            raise _match_error("resourceVersionMatch is forbidden unless resourceVersion is provided")
        version = wanted if limit and wanted and not match else current
        if wanted is not None and wanted > current:
            raise version_not_reached(wanted, current)
    else:
        raise _match_error(f"unsupported resourceVersionMatch: {match!r}")
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
            message = (
                "The provided continue parameter is too old to display a consistent list result. You can start a new "
                "list without the continue parameter, or use the continue token in this response to retrieve the "
                "remainder of the results. Continuing with the provided token results in an inconsistent list - "
                "objects that were created, modified, or deleted between the time the first chunk was returned and "
                "now may show up in the list."
            )
            raise expired(message, continue_token=_write_token(-1, after)) from None
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
            page.token = _write_token(version, page.items[-1].key)
            if selection.by_key_only:
                page.remaining = sum(1 for key in keys[position:] if selection.matches(objects[key]))
            break
        page.items.append(stored)
    return page


def _limit(text: str) -> int:
    if not text:
        return 0
    if not text.lstrip("-").isdecimal():
        raise bad_request(f"invalid limit {text!r}")
    return max(0, int(text))


def _write_token(version: int, after: ObjectKey) -> str:
    token = orjson.dumps({"v": "meta.k8s.io/v1", "rv": version, "start": list(after)})
    return base64.urlsafe_b64encode(token).decode().rstrip("=")


def _read_token(text: str) -> tuple[int, ObjectKey]:
    try:
        token = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        namespace, name = token["start"]
        return int(token["rv"]), ObjectKey(str(namespace), str(name))
    except (binascii.Error, orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise bad_request(f"continue key is not valid: {error}") from error


def version_not_reached(wanted: int, current: int) -> StatusError:
    details = {
        "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
        "retryAfterSeconds": 1,
    }
    message = f"Too large resource version: {wanted}, current: {current}"
    return StatusError(504, "Timeout", message, details=details)


def _match_error(why: str) -> StatusError:
    message = f'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: {why}'
    return StatusError(422, "Invalid", message)
