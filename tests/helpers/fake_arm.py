"""Azure Resource Manager as far as managed disks go, over HTTPS: one disk, and a credential that it accepts."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from aiohttp import web
from azure.core.credentials import AccessToken, AccessTokenInfo

from helpers.certificates import Authority

__all__ = ["DISK", "FakeARM", "FakeCredential", "running_arm"]

DISK: Final = "/subscriptions/123/resourceGroups/rg1/providers/Microsoft.Compute/disks/disk1"
_TOKEN: Final = "token-not-for-logs"


class FakeCredential:
    """Hands out one token; `error` is raised instead. `scopes` are what it was asked for."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.scopes: list[str] = []

    async def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        self.scopes += scopes
        if self.error is not None:
            raise self.error
        return AccessToken(_TOKEN, 1 << 40)

    async def get_token_info(self, *scopes: str, **_: Any) -> AccessTokenInfo:
        return AccessTokenInfo(*(await self.get_token(*scopes)))

    async def close(self) -> None:
        """Nothing is open."""


@dataclass
class FakeARM:
    """See the module docstring.

    Attributes:
        url: where it listens.
        ca: the file of the authority that signed its certificate.
        disk: what it answers about the disk.
        updates: the bodies of the updates that it took.
        reads: how often the disk was read.
        errors: `(status, code, message)`, each answered once, to the next requests of that method.
    """

    url: str = ""
    ca: str = ""
    disk: dict[str, Any] = field(default_factory=dict)
    updates: list[Any] = field(default_factory=list)
    reads: int = 0
    errors: dict[str, list[tuple[int, str, str]]] = field(default_factory=dict)

    async def answer(self, request: web.Request) -> web.Response:
        """Answer one request."""
        assert request.headers["Authorization"] == f"Bearer {_TOKEN}"
        assert request.query["api-version"]
        if request.method == "GET":
            self.reads += 1
        if self.errors.get(request.method):
            status, code, message = self.errors[request.method].pop(0)
            headers = {"Retry-After": "0"} if status == 429 else {}
            return web.json_response({"error": {"code": code, "message": message}}, status=status, headers=headers)
        if request.path.casefold() != DISK.casefold():
            error = {"code": "ResourceNotFound", "message": f"The Resource '{request.path}' was not found."}
            return web.json_response({"error": error}, status=404)
        if request.method == "GET":
            return web.json_response(self.disk)
        body = await request.json()
        self.updates.append(body)
        properties = self.disk["properties"] | body["properties"] | {"provisioningState": "Updating"}
        self.disk = {**self.disk, "properties": properties, "sku": self.disk["sku"] | body.get("sku", {})}
        location = f"{self.url}/subscriptions/123/providers/Microsoft.Compute/locations/eastus/operations/1"
        return web.json_response(self.disk, status=202, headers={"Azure-AsyncOperation": location})

    def finish(self, state: str = "Succeeded") -> None:
        """Let what is under way come to its end."""
        self.disk["properties"]["provisioningState"] = state


@asynccontextmanager
async def running_arm(folder: Path) -> AsyncIterator[FakeARM]:
    """Let it listen on a port of its own.

    Args:
        folder: where its certificate is written.
    """
    authority = Authority()
    server = authority.sign("management", hosts=("127.0.0.1",))
    files = {"ca": authority.certificate, "crt": server.certificate, "key": server.key}
    for name, content in files.items():
        (folder / name).write_bytes(content)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "crt", folder / "key")
    fake = FakeARM(ca=str(folder / "ca"))
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", fake.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        fake.url = f"https://127.0.0.1:{runner.addresses[0][1]}"
        yield fake
    finally:
        await runner.cleanup()
