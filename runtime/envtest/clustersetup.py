"""What is set up in a cluster through its API, whichever API server answers: CRDs, and tokens of service accounts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Final

import orjson

from controller_runtime.client.errors import error_from_response
from controller_runtime.client.transport import Request, Transport

__all__ = ["install_crds", "service_account_token"]

_PATIENCE: Final = 30.0
_POLL: Final = 0.05
_TOKEN_SECONDS: Final = 3600
_CRDS: Final = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


async def install_crds(transport: Transport, crds: Iterable[dict[str, Any]]) -> None:
    """Create CustomResourceDefinitions, or change those that exist, and wait until each is served.

    Raises:
        ApiError: one of them is not valid.
        TimeoutError: one of them was not served in time.
        TransportError: no answer came.
    """
    wanted = list(crds)
    for crd in wanted:
        await _apply(transport, crd)
    for crd in wanted:
        async with asyncio.timeout(_PATIENCE):
            while True:
                if await _served(transport, crd):
                    break
                await asyncio.sleep(_POLL)


async def service_account_token(transport: Transport, name: str, namespace: str) -> str:
    """Ask for a token of a service account, good for an hour.

    Raises:
        NotFound: there is no such service account.
        TransportError: no answer came.
    """
    body = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"expirationSeconds": _TOKEN_SECONDS},
    }
    answer = await _call(
        transport, "POST", f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token", body, "application/json"
    )
    token: str = answer["status"]["token"]
    return token


async def _apply(transport: Transport, crd: dict[str, Any]) -> None:
    params = [("fieldManager", "envtest"), ("force", "true")]
    path = f"{_CRDS}/{crd['metadata']['name']}"
    await _call(transport, "PATCH", path, crd, "application/apply-patch+yaml", params)


async def _served(transport: Transport, crd: dict[str, Any]) -> bool:
    """Tell whether the definition is Established and all its versions are discovered."""
    stored = await _call(transport, "GET", f"{_CRDS}/{crd['metadata']['name']}")
    conditions = stored.get("status", {}).get("conditions") or ()
    if not any(each["type"] == "Established" and each["status"] == "True" for each in conditions):
        return False
    spec = stored["spec"]
    for version in spec["versions"]:
        if version["served"]:
            answer = await transport.request(Request(method="GET", path=f"/apis/{spec['group']}/{version['name']}"))
            if answer.status != 200:  # of a group that nobody knows yet there is not even a Status
                return False
            names = [each["name"] for each in orjson.loads(answer.body).get("resources", ())]
            if spec["names"]["plural"] not in names:
                return False
    return True


async def _call(
    transport: Transport,
    method: str,
    path: str,
    body: dict[str, Any] | None = None,
    content_type: str = "",
    params: Iterable[tuple[str, str]] = (),
) -> dict[str, Any]:
    response = await transport.request(
        Request(
            method=method,
            path=path,
            params=list(params),
            body=None if body is None else orjson.dumps(body),
            content_type=content_type,
        )
    )
    if response.status >= 300:
        raise error_from_response(response.status, response.headers, response.body)
    answer: dict[str, Any] = orjson.loads(response.body)
    return answer
