"""Asks the API server which resource serves a kind: what an untyped manifest needs before it can be sent anywhere.

Concurrency: `Discovery` may be shared by the tasks of one event loop. Found resources are remembered, missing ones are not,
so a CRD installed later is found by the next call.
"""

from __future__ import annotations

from typing import Any, final

import msgspec

from controller_runtime.api.resource import Resource
from controller_runtime.client.errors import BadRequest, DecodeError, NotFound, error_from_response
from controller_runtime.client.transport import Request, Transport

__all__ = ["Discovery", "discover"]


class _ApiResource(msgspec.Struct, gc=False):
    name: str
    kind: str
    namespaced: bool = False


class _ApiResourceList(msgspec.Struct):
    resources: list[_ApiResource] = []


async def discover(transport: Transport, api_version: str, kind: str) -> Resource:
    """Return the resource of `kind`, e.g. of `("apps/v1", "Deployment")`.

    Raises:
        NotFound: the server does not serve this API version, or not this kind in it.
        ApiError: the server refused to tell.
        TransportError: no answer came.
    """
    group, _, version = api_version.rpartition("/")
    path = f"/apis/{group}/{version}" if group else f"/api/{version}"
    response = await transport.request(Request(method="GET", path=path))
    if response.status == 404:
        raise _missing(f"the server does not serve the API version {api_version!r} (of kind {kind!r})")
    if response.status != 200:
        raise error_from_response(response.status, response.headers, response.body)
    try:
        served = msgspec.json.decode(response.body, type=_ApiResourceList).resources
    except msgspec.MsgspecError as error:
        msg = f"discovery of {api_version}: {error}"
        raise DecodeError(msg) from error
    for resource in served:
        if resource.kind == kind and "/" not in resource.name:
            return Resource(group, version, kind, resource.name, resource.namespaced)
    raise _missing(f"the server serves no kind {kind!r} in the API version {api_version!r}")


@final
class Discovery:
    """Remembers what `discover` found."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._found: dict[tuple[str, str], Resource] = {}

    async def resource_of(self, manifest: dict[str, Any]) -> Resource:
        """Return the resource that serves `manifest`, by its apiVersion and kind.

        Raises:
            BadRequest: the manifest has no apiVersion or kind.
            NotFound: as `discover`.
        """
        api_version, kind = manifest.get("apiVersion"), manifest.get("kind")
        if not isinstance(api_version, str) or not isinstance(kind, str) or not api_version or not kind:
            msg = "an untyped object needs an apiVersion and a kind"
            raise BadRequest(msg, code=400, reason="BadRequest")
        found = self._found.get((api_version, kind))
        if found is None:
            found = self._found[api_version, kind] = await discover(self._transport, api_version, kind)
        return found


def _missing(message: str) -> NotFound:
    return NotFound(message, code=404, reason="NotFound")
