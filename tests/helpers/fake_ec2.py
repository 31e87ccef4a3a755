"""EC2 as far as volumes and their modification go, over HTTP: the Query API with XML answers.

It takes requests from anybody who signs them, and remembers them. A volume is modified when `advance` says so.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web

__all__ = ["FakeEC2", "running_ec2"]

_SIGNED: Final = re.compile(r"AWS4-HMAC-SHA256 Credential=AKIATEST/\d{8}/eu-central-1/ec2/aws4_request, ")
_NAMESPACE: Final = "http://ec2.amazonaws.com/doc/2016-11-15/"


@dataclass
class _Volume:
    fields: dict[str, str]
    modification: dict[str, str] | None = None
    target: dict[str, str] = field(default_factory=dict)


@dataclass
class FakeEC2:
    """See the module docstring.

    Attributes:
        url: where it listens.
        requests: the parameters of each request, without those that all have.
        errors: `(status, code, message)`, each answered once, to the next requests of that action.
    """

    url: str = ""
    requests: list[dict[str, str]] = field(default_factory=list)
    errors: dict[str, list[tuple[int, str, str]]] = field(default_factory=dict)
    _volumes: dict[str, _Volume] = field(default_factory=dict)

    def add(self, volume_id: str, *, size: int, type: str, iops: int, throughput: int) -> None:  # noqa: A002
        self._volumes[volume_id] = _Volume(
            {"size": str(size), "volumeType": type, "iops": str(iops), "throughput": str(throughput)}
        )

    def advance(self, volume_id: str, state: str, progress: int = 0) -> None:
        """Bring the modification of a volume into a state."""
        volume = self._volumes[volume_id]
        assert volume.modification is not None
        volume.modification |= {"modificationState": state, "progress": str(progress)}
        if state in ("optimizing", "completed"):
            volume.fields |= volume.target

    def asked(self, action: str) -> list[dict[str, str]]:
        """Return the parameters of the requests of one action, without its name."""
        return [
            {name: value for name, value in request.items() if name != "Action"}
            for request in self.requests
            if request["Action"] == action
        ]

    async def answer(self, request: web.Request) -> web.Response:
        """Answer one request."""
        form = {name: str(value) for name, value in (await request.post()).items() if name != "Version"}
        assert _SIGNED.match(request.headers["Authorization"])
        self.requests.append(form)
        action = form["Action"]
        if self.errors.get(action):
            return _error(*self.errors[action].pop(0))
        volume_id = form.get("VolumeId") or form["VolumeId.1"]
        volume = self._volumes.get(volume_id)
        if volume is None:
            return _error(400, "InvalidVolume.NotFound", f"The volume '{volume_id}' does not exist.")
        match action:
            case "DescribeVolumes":
                item = {"volumeId": volume_id, "status": "in-use", **volume.fields}
                return _xml(action, f"<volumeSet>{_item(item)}</volumeSet>")
            case "DescribeVolumesModifications":
                if volume.modification is None:
                    message = f"Modification for volume '{volume_id}' does not exist."
                    return _error(400, "InvalidVolumeModification.NotFound", message)
                return _xml(action, f"<volumeModificationSet>{_item(volume.modification)}</volumeModificationSet>")
            case "ModifyVolume":
                return self._modify(volume, form)
        raise AssertionError(action)

    def _modify(self, volume: _Volume, form: dict[str, str]) -> web.Response:
        running = volume.modification is not None and volume.modification["modificationState"] in (
            "modifying",
            "optimizing",
        )
        if running:
            return _error(400, "IncorrectModificationState", "It cannot be modified in modification state MODIFYING")
        names = {"Size": "size", "VolumeType": "volumeType", "Iops": "iops", "Throughput": "throughput"}
        volume.target = {names[name]: value for name, value in form.items() if name in names}
        target = volume.fields | volume.target
        volume.modification = {
            "volumeId": form["VolumeId"],
            "modificationState": "modifying",
            "progress": "0",
            **{f"target{name[0].upper()}{name[1:]}": value for name, value in target.items()},
        }
        fields = "".join(f"<{name}>{value}</{name}>" for name, value in volume.modification.items())
        return _xml("ModifyVolume", f"<volumeModification>{fields}</volumeModification>")


@asynccontextmanager
async def running_ec2() -> AsyncIterator[FakeEC2]:
    """Let it listen on a port of its own."""
    fake = FakeEC2()
    app = web.Application()
    app.router.add_post("/", fake.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        fake.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield fake
    finally:
        await runner.cleanup()


def _item(fields: dict[str, str]) -> str:
    return "<item>" + "".join(f"<{name}>{value}</{name}>" for name, value in fields.items()) + "</item>"


def _xml(action: str, body: str) -> web.Response:
    text = f'<{action}Response xmlns="{_NAMESPACE}"><requestId>r-1</requestId>{body}</{action}Response>'
    return web.Response(text=text, content_type="text/xml")


def _error(status: int, code: str, message: str) -> web.Response:
    text = (
        f"<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors>"
        "<RequestID>r-1</RequestID></Response>"
    )
    return web.Response(status=status, text=text, content_type="text/xml")
