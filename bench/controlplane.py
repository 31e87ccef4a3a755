"""Something to benchmark against: etcd and kube-apiserver, or the embedded API server in a process of its own.

Both run on loopback, on free ports, in a folder that is removed afterwards, and end with the context. Whoever has the kubeconfig
may do everything: access control is not what is measured.

Objects get there by two ways. `Control.create` asks the API server. `Control.fill` and `Control.touch` write whole
collections: of the real one straight into etcd, from where the API server takes them to all watches as if they had been
written through it. One write through the API server costs it 5 ms and more, so that on a small machine it, and not the
contestant, would set the pace.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final, Protocol

import aiohttp
import orjson

from controller_runtime import Resource
from controller_runtime.client.config import load_config
from controller_runtime.client.http import HttpTransport
from controller_runtime.client.transport import Request, Transport
from controller_runtime.envtest import BinaryCluster
from controller_runtime.envtest.binaryprocess import ProcessGroup

__all__ = ["Control", "embedded", "real"]

_BATCH: Final = 100  # operations in one transaction of etcd, whose limit is 128
_START_SECONDS: Final = 90.0


class Control(Protocol):
    """What the benchmarks need of a control plane."""

    name: str
    kubeconfig: Path

    async def call(self, method: str, path: str, body: Any = None, content_type: str = "application/json") -> Any: ...
    async def served(self, resource: Resource) -> None:
        """Wait until a kind whose definition was just created can be read."""
        ...

    async def create(
        self, resource: Resource, obj: dict[str, Any], *, status: dict[str, Any] | None = None
    ) -> None: ...
    async def list(self, resource: Resource) -> list[dict[str, Any]]: ...
    async def fill(self, resource: Resource, objects: Sequence[dict[str, Any]], status: dict[str, Any] | None) -> None:
        """Make the collection consist of these objects, and nothing else; their names differ."""
        ...

    async def change(self, resource: Resource, name: str, sequence: int) -> None:
        """Set `spec.sequence` of one object through the API server."""
        ...

    async def learn(self, resource: Resource, names: Sequence[str]) -> None:
        """Read what `touch` needs to know, so that it need not while it is measured. Nobody else may write these objects."""
        ...

    async def touch(self, resource: Resource, names: Sequence[str], sequence: int) -> dict[str, int]:
        """Set `spec.sequence` of the named objects; return when each write was answered, in nanoseconds."""
        ...


class _Api:
    """The way through the API server, common to both."""

    def __init__(self, name: str, kubeconfig: Path, transport: Transport) -> None:
        self.name = name
        self.kubeconfig = kubeconfig
        self._transport = transport

    async def call(self, method: str, path: str, body: Any = None, content_type: str = "application/json") -> Any:
        """Carry out one request.

        Raises:
            RuntimeError: the answer is none of success.
        """
        data = None if body is None else orjson.dumps(body)
        response = await self._transport.request(
            Request(method=method, path=path, body=data, content_type=content_type if data else "", timeout=120.0)
        )
        if response.status >= 300:
            msg = f"{method} {path}: {response.status} {response.body[:300]!r}"
            raise RuntimeError(msg)
        return orjson.loads(response.body)

    async def served(self, resource: Resource) -> None:
        async with asyncio.timeout(_START_SECONDS):
            while True:
                with contextlib.suppress(RuntimeError):
                    await self.list(resource)
                    return
                await asyncio.sleep(0.1)

    async def create(self, resource: Resource, obj: dict[str, Any], *, status: dict[str, Any] | None = None) -> None:
        namespace, name = obj["metadata"].get("namespace", ""), obj["metadata"]["name"]
        await self.call("POST", resource.path(namespace), obj)
        if status is not None:
            path = resource.path(namespace, name, "status")
            await self.call("PATCH", path, {"status": status}, "application/merge-patch+json")

    async def list(self, resource: Resource) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = (await self.call("GET", resource.path()))["items"]
        return items

    async def fill(self, resource: Resource, objects: Sequence[dict[str, Any]], status: dict[str, Any] | None) -> None:
        await self.call("DELETE", resource.path("default"))
        await _in_parallel(self.create(resource, obj, status=status) for obj in objects)

    async def change(self, resource: Resource, name: str, sequence: int) -> None:
        patch = {"spec": {"sequence": sequence}}
        await self.call("PATCH", resource.path("default", name), patch, "application/merge-patch+json")

    async def learn(self, resource: Resource, names: Sequence[str]) -> None:
        """Nothing: a patch needs to know nothing."""

    async def touch(self, resource: Resource, names: Sequence[str], sequence: int) -> dict[str, int]:
        answered: dict[str, int] = {}

        async def one(name: str) -> None:
            await self.change(resource, name, sequence)
            answered[name] = time.time_ns()

        await _in_parallel(one(name) for name in names)
        return answered


async def _in_parallel(calls: Iterable[Any], width: int = 10) -> None:
    """Await all of `calls`, so many at a time."""
    waiting = iter(calls)

    async def worker() -> None:
        for call in waiting:
            await call

    async with asyncio.TaskGroup() as group:
        for _ in range(width):
            group.create_task(worker())


class _Real(_Api):
    """The way into etcd, through its JSON gateway. Only custom resources are stored as JSON; others go through the API."""

    def __init__(self, kubeconfig: Path, transport: Transport, etcd: str, session: aiohttp.ClientSession) -> None:
        super().__init__("kube-apiserver", kubeconfig, transport)
        self._etcd = etcd
        self._session = session
        self._known: dict[
            str, dict[str, Any]
        ] = {}  # objects that `touch` has read, by key: while they last, only it writes

    async def fill(self, resource: Resource, objects: Sequence[dict[str, Any]], status: dict[str, Any] | None) -> None:
        self._known.clear()
        if "." not in resource.group:
            await super().fill(resource, objects, status)
            return
        prefix = self._key(resource, "")
        end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
        await self._ask("deleterange", {"key": _b64(prefix.encode()), "range_end": _b64(end.encode())})
        if not objects:
            return
        first = objects[0]["metadata"]["name"]
        await self.create(resource, objects[0], status=status)
        stored = await self._stored(resource, [first])  # as the API server writes it, managedFields and all
        model = orjson.loads(stored[first])
        copies = {}
        for number, obj in enumerate(objects):
            copy = {**model, **obj, "metadata": {**model["metadata"], **obj["metadata"]}}
            copy["metadata"]["uid"] = obj["metadata"].get("uid") or f"00000000-0000-4000-8000-{number:012}"
            if status is not None:
                copy["status"] = status
            copies[obj["metadata"]["name"]] = orjson.dumps(copy)
        await self._put(resource, copies)

    async def touch(self, resource: Resource, names: Sequence[str], sequence: int) -> dict[str, int]:
        await self.learn(resource, names)
        changed = {}
        for name in names:
            obj = self._known[self._key(resource, name)]
            obj["spec"]["sequence"] = sequence
            obj["metadata"]["generation"] = obj["metadata"].get("generation", 1) + 1
            changed[name] = orjson.dumps(obj)
        return await self._put(resource, changed)

    async def learn(self, resource: Resource, names: Sequence[str]) -> None:
        unknown = [name for name in names if self._key(resource, name) not in self._known]
        for name, raw in (await self._stored(resource, unknown)).items():
            self._known[self._key(resource, name)] = orjson.loads(raw)

    async def _stored(self, resource: Resource, names: Sequence[str]) -> dict[str, bytes]:
        found = {}
        for start in range(0, len(names), _BATCH):
            part = names[start : start + _BATCH]
            reads = [{"requestRange": {"key": _b64(self._key(resource, name).encode())}} for name in part]
            answer = await self._ask("txn", {"success": reads})
            for name, response in zip(part, answer["responses"], strict=True):
                found[name] = base64.b64decode(response["response_range"]["kvs"][0]["value"])
        return found

    async def _put(self, resource: Resource, values: dict[str, bytes]) -> dict[str, int]:
        """Write each value in a transaction of its own: every object gets its own version, as through the API server."""
        answered: dict[str, int] = {}

        async def one(name: str, value: bytes) -> None:
            await self._ask("put", {"key": _b64(self._key(resource, name).encode()), "value": _b64(value)})
            answered[name] = time.time_ns()

        await _in_parallel(one(name, value) for name, value in values.items())
        return answered

    async def _ask(self, what: str, body: dict[str, Any]) -> dict[str, Any]:
        async with self._session.post(f"{self._etcd}/v3/kv/{what}", data=orjson.dumps(body)) as response:
            response.raise_for_status()
            answer: dict[str, Any] = orjson.loads(await response.read())
            return answer

    @staticmethod
    def _key(resource: Resource, name: str) -> str:
        return f"/registry/{resource.group}/{resource.plural}/default/{name}"


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


@asynccontextmanager
async def real(assets: Path) -> AsyncIterator[Control]:
    """Start etcd and kube-apiserver of the folder `assets`, with its priorities and fairness, which tests do without.

    Raises:
        ComponentFailed: one of them ended or did not get ready; the message has its last lines.
    """
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        cluster = BinaryCluster(assets=assets, flags=["--enable-priority-and-fairness=true"], patience=_START_SECONDS)
        await stack.enter_async_context(cluster)
        kubeconfig = folder / "kubeconfig"
        kubeconfig.write_text(cluster.kubeconfig())
        session = await stack.enter_async_context(aiohttp.ClientSession())
        yield _Real(kubeconfig, cluster.transport, cluster.etcd_url, session)


@asynccontextmanager
async def embedded(*, history: int = 100_000, tls: bool = True) -> AsyncIterator[Control]:
    """Start the embedded API server in a process of its own.

    Args:
        history: changes that it remembers for watches that come back.
        tls: serve HTTPS, or plain HTTP.
    """
    async with AsyncExitStack() as stack:
        group = stack.enter_context(ProcessGroup())
        kubeconfig = group.folder / "kubeconfig"
        script = Path(__file__).with_name("embedded_server.py")
        options = [f"--history={history}", *([] if tls else ["--plain"])]
        server = group.start(Path(sys.executable), str(script), str(kubeconfig), *options)
        async with asyncio.timeout(_START_SECONDS):
            while not kubeconfig.exists():
                if server.exit_code is not None:
                    raise server.failure(f"ended with exit code {server.exit_code}")
                await asyncio.sleep(0.05)
        transport = HttpTransport(await load_config(str(kubeconfig)), user_agent="bench")
        stack.push_async_callback(transport.close)
        yield _Api("the embedded API server", kubeconfig, transport)
