"""How fast the embedded API server is: start, creates, status patches, a long list, many watchers.

    .venv/bin/python bench/apiserver.py            prints a table; exits with 1 if a target is missed

The server is a process of its own and serves plain HTTP on loopback. The client is a bare HTTP/1.1 conversation over a few
connections, so that it costs less than the server and the server sets the pace. Beside the rate by the clock on the wall the
table has the rate per second of the server's own CPU time: the same on a machine that is busy with something else.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import statistics
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from urllib.parse import urlsplit

import orjson
import uvloop
import widgets
import yaml

from controller_runtime.api.resource import Resource
from controller_runtime.clock import SystemClock
from controller_runtime.envtest import EmbeddedCluster

THINGS: Final = Resource(group="bench.example.com", version="v1", kind="Thing", plural="things")
CREATES: Final = 6_000
PATCHES: Final = 6_000
LISTED: Final = 10_000
LISTED_SIZE: Final = 3_000
WATCHERS: Final = 20
EVENTS_A_SECOND: Final = 1_000
WATCH_SECONDS: Final = 10.0
CONNECTIONS: Final = 8
TICK: Final = os.sysconf("SC_CLK_TCK")


@dataclass
class Figure:
    """One line of the table."""

    name: str
    unit: str
    target: float
    values: list[float]
    more_is_better: bool = True
    by_cpu: list[float] | None = None

    @property
    def reached(self) -> bool:
        best = self.by_cpu or self.values
        middle = statistics.median(best)
        return middle >= self.target if self.more_is_better else middle <= self.target


class Conversation(asyncio.Protocol):
    """One connection on which requests are answered one after the other."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._size = 0  # of the answer that is being read, with its head; 0 as long as the head is not complete
        self._waiter: asyncio.Future[bytes] | None = None
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self._data += data
        if not self._size:
            head, found, _ = self._data.partition(b"\r\n\r\n")
            if not found:
                return
            length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
            self._size = len(head) + 4 + int(length)
        if len(self._data) >= self._size and self._waiter is not None:
            answer, waiter = bytes(self._data), self._waiter
            self._data.clear()
            self._size, self._waiter = 0, None
            waiter.set_result(answer)

    async def ask(self, request: bytes) -> bytes:
        assert self.transport is not None
        self._waiter = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return await self._waiter


@dataclass
class Server:
    """The server's process, and how to speak to it."""

    host: str
    port: int
    token: str
    pid: int

    def request(self, method: str, path: str, body: bytes = b"", content_type: str = "application/json") -> bytes:
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {self.token}\r\n"
            f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    async def connect(self) -> Conversation:
        _, conversation = await asyncio.get_running_loop().create_connection(Conversation, self.host, self.port)
        return conversation

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    async def ask(self, method: str, path: str, body: bytes = b"") -> bytes:
        conversation = await self.connect()
        answer = await conversation.ask(self.request(method, path, body))
        assert conversation.transport is not None
        conversation.transport.close()
        if not answer.startswith(b"HTTP/1.1 2"):
            raise RuntimeError(answer[:500])
        return answer.partition(b"\r\n\r\n")[2]

    async def send_all(self, requests: Iterable[bytes]) -> tuple[float, float]:
        """Send all over a few connections; return the seconds by the clock and the server's CPU seconds."""
        waiting: Iterator[bytes] = iter(requests)
        conversations = [await self.connect() for _ in range(CONNECTIONS)]

        async def talk(conversation: Conversation) -> None:
            for request in waiting:
                answer = await conversation.ask(request)
                if not answer.startswith(b"HTTP/1.1 2"):
                    raise RuntimeError(answer[:500])

        began, cpu = time.perf_counter(), self.cpu_seconds()
        async with asyncio.TaskGroup() as group:
            for conversation in conversations:
                group.create_task(talk(conversation))
        figures = time.perf_counter() - began, self.cpu_seconds() - cpu
        for conversation in conversations:
            assert conversation.transport is not None
            conversation.transport.close()
        return figures


@asynccontextmanager
async def serving() -> AsyncIterator[Server]:
    """Run the server's process."""
    with TemporaryDirectory(prefix="bench-") as folder:
        kubeconfig = Path(folder) / "kubeconfig"
        script = Path(__file__).with_name("embedded_server.py")
        process = await asyncio.create_subprocess_exec(sys.executable, str(script), str(kubeconfig), "--plain")
        try:
            async with asyncio.timeout(30):
                while not kubeconfig.exists():
                    await asyncio.sleep(0.02)
            config = yaml.safe_load(kubeconfig.read_text())
            url = urlsplit(config["clusters"][0]["cluster"]["server"])
            assert url.hostname is not None
            assert url.port is not None
            server = Server(url.hostname, url.port, config["users"][0]["user"]["token"], process.pid)
            await server.ask(
                "POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", orjson.dumps(definition())
            )
            yield server
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            await process.wait()


def definition() -> dict[str, Any]:
    """A kind with a status and a schema that is checked."""
    texts = {"type": "object", "additionalProperties": {"type": "string"}}
    spec = {"type": "object", "properties": {"number": {"type": "integer", "minimum": 0}, "text": {"type": "string"}}}
    status = {"type": "object", "properties": {"phase": {"type": "string"}, "details": texts}}
    made = widgets.definition(THINGS)
    made["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"] = {"spec": spec, "status": status}
    return made


def thing(name: str, number: int, text: str = "") -> bytes:
    return orjson.dumps(
        {
            "apiVersion": THINGS.api_version,
            "kind": THINGS.kind,
            "metadata": {"name": name, "labels": {"app": "bench"}},
            "spec": {"number": number, "text": text},
        }
    )


async def start() -> float:
    """Milliseconds from nothing to an answer over HTTP, the import aside."""
    began = time.perf_counter()
    async with EmbeddedCluster(clock=SystemClock(), http=True) as cluster:
        url = urlsplit(cluster.url)
        _, writer = await asyncio.open_connection(url.hostname, url.port)
        seconds = time.perf_counter() - began
        writer.close()
    return 1000 * seconds


async def watchers(server: Server, collection: str) -> tuple[float, int]:
    """Let 20 watchers see 1,000 changes a second; return the reached rate and how many events were lost."""
    total = int(EVENTS_A_SECOND * WATCH_SECONDS)
    seen = [0] * WATCHERS

    async def watch(position: int, ready: asyncio.Event) -> None:
        reader, writer = await asyncio.open_connection(server.host, server.port, limit=2**24)
        writer.write(server.request("GET", f"{collection}?watch=1&resourceVersion={version}"))
        await reader.readuntil(b"\r\n\r\n")
        ready.set()
        while seen[position] < total:
            seen[position] += (await reader.readline()).count(b'"type":"MODIFIED"')
        writer.close()

    listed = orjson.loads(await server.ask("GET", f"{collection}?limit=100"))
    version = listed["metadata"]["resourceVersion"]
    names = [item["metadata"]["name"] for item in listed["items"]]

    def changes() -> Iterator[bytes]:
        for number in range(total):
            body = orjson.dumps({"spec": {"number": 1_000_000 + number}})
            path = f"{collection}/{names[number % len(names)]}"
            yield server.request("PATCH", path, body, "application/merge-patch+json")

    began = time.perf_counter()
    try:
        async with asyncio.timeout(6 * WATCH_SECONDS), asyncio.TaskGroup() as group:
            for position in range(WATCHERS):
                ready = asyncio.Event()
                group.create_task(watch(position, ready))
                await ready.wait()
            began = time.perf_counter()
            await server.send_all(changes())
    except TimeoutError:
        pass  # what has not come by now is counted as lost
    return total / (time.perf_counter() - began), total * WATCHERS - sum(seen)


async def measure(rounds: int, say: Callable[[str], None]) -> list[Figure]:
    starts = Figure("start after import, with TLS", "ms", 100, [], more_is_better=False)
    creates = Figure("small creates", "/s", 3_000, [], by_cpu=[])
    patches = Figure("status patches", "/s", 2_000, [], by_cpu=[])
    lists = Figure(f"list of {LISTED:,} objects of 3 KB", "s", 0.5, [], more_is_better=False)
    again = Figure("the same list again", "s", 0.5, [], more_is_better=False)
    events = Figure(f"changes to {WATCHERS} watchers", "/s", EVENTS_A_SECOND, [])
    lost = Figure("events lost", "", 0, [], more_is_better=False)
    for number in range(rounds):
        say(f"round {number + 1}")
        starts.values.append(await start())
        async with serving() as server:
            path = THINGS.path("default")
            wall, cpu = await server.send_all(
                server.request("POST", path, thing(f"small-{n}", n)) for n in range(CREATES)
            )
            creates.values.append(CREATES / wall)
            assert creates.by_cpu is not None
            creates.by_cpu.append(CREATES / cpu)
            status = [orjson.dumps({"status": {"phase": f"phase {n}"}}) for n in range(PATCHES)]
            wall, cpu = await server.send_all(
                server.request("PATCH", f"{path}/small-{n % CREATES}/status", body, "application/merge-patch+json")
                for n, body in enumerate(status)
            )
            patches.values.append(PATCHES / wall)
            assert patches.by_cpu is not None
            patches.by_cpu.append(PATCHES / cpu)
            await server.ask("POST", "/api/v1/namespaces", orjson.dumps({"metadata": {"name": "large"}}))
            large = THINGS.path("large")
            await server.send_all(
                server.request("POST", large, thing(f"large-{n:05}", n, "x" * (LISTED_SIZE - 350)))
                for n in range(LISTED)
            )
            for figure in (lists, again):
                began = time.perf_counter()
                body = await server.ask("GET", large)
                figure.values.append(time.perf_counter() - began)
            found = len(orjson.loads(body)["items"])
            assert found == LISTED, found
            rate, missing = await watchers(server, path)
            events.values.append(rate)
            lost.values.append(missing)
    return [starts, creates, patches, lists, again, events, lost]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        figures = runner.run(measure(rounds, lambda text: print(text, file=sys.stderr, flush=True)))
    print("| what | target | median | lowest - highest | per second of the server's CPU |\n|---|---|---|---|---|")
    for figure in figures:
        bound = "at least" if figure.more_is_better else "at most"
        by_cpu = f"{statistics.median(figure.by_cpu):,.0f}{figure.unit}" if figure.by_cpu else ""
        values = sorted(figure.values)
        print(
            f"| {figure.name} | {bound} {figure.target:,g} {figure.unit} | {statistics.median(values):,.4g} {figure.unit} "
            f"| {values[0]:,.4g} - {values[-1]:,.4g} | {by_cpu} |"
        )
    return not all(figure.reached for figure in figures)


if __name__ == "__main__":
    sys.exit(main())
