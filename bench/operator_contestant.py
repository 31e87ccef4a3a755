"""The operator as a contestant: what `tikv-operator run` runs, over a transport that notes its writes.

PD is reached through the API server's service proxy in name only: kube-apiserver dials no address of this machine, so requests
to the proxy go straight to the door of the simulated PD.

At its end it says on standard output, as one JSON object, what it wrote and how often each controller reconciled.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections import Counter
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Final, final

import as_installed  # noqa: F401 - before all that it hides something from
import uvloop
from operator_recorder import Recorder
from prometheus_client import CollectorRegistry

from controller_runtime import Manager, make_logger
from controller_runtime.client import (
    ClientMetrics,
    HttpTransport,
    Request,
    RequestTimeout,
    Response,
    Stream,
    Transport,
    TransportError,
    load_config,
)
from tikv_operator.app import FIELD_MANAGER, PDAccess, assemble
from tikv_operator.common.settings import Settings
from tikv_operator.pdclient import PDUnreachable, requester_for

_PROXY: Final = "/proxy/"
_RECONCILES: Final = "controller_runtime_reconcile_total"


@final
class ShortCut:
    """A `Transport` that takes requests to the service proxy to PD itself."""

    def __init__(self, transport: Transport, door: str) -> None:
        self._transport = transport
        self._pd = requester_for(door, "direct")

    async def request(self, request: Request) -> Response:
        _, found, path = request.path.partition(_PROXY)
        if not found:
            return await self._transport.request(request)
        try:
            answer = await self._pd.request(
                request.method, f"/{path}", params=request.params, body=request.body, timeout=request.timeout
            )
        except PDUnreachable as error:
            kind = RequestTimeout if error.timed_out else TransportError
            raise kind(str(error)) from error
        return Response(answer.status, {}, answer.body)

    def stream(self, request: Request) -> AbstractAsyncContextManager[Stream]:
        return self._transport.stream(request)

    async def close(self) -> None:
        await self._pd.close()
        await self._transport.close()


async def main(options: argparse.Namespace) -> None:
    registry = CollectorRegistry()
    metrics = ClientMetrics(registry)
    http = HttpTransport(await load_config(options.kubeconfig), metrics=metrics)
    recorder = Recorder(http)
    transport = ShortCut(recorder, options.door)
    try:
        with options.log.open("w") as log:
            manager = Manager(
                transport,
                field_manager=FIELD_MANAGER,
                registry=registry,
                log=make_logger(format="json", level="info", stream=log),
                client_metrics=metrics,
                health_address="127.0.0.1:0",
                metrics_address="127.0.0.1:0",
                handle_signals=True,
            )
            assemble(manager, Settings(), PDAccess.PROXY)
            await manager.run()
    finally:
        await transport.close()
    facts = {"event": "end", "writes": recorder.writes, "reconciles": reconciles(registry)}
    print(json.dumps(facts), flush=True)


def reconciles(registry: CollectorRegistry) -> Counter[str]:
    """Return how often each controller reconciled."""
    found: Counter[str] = Counter()
    for family in registry.collect():
        for sample in family.samples:
            if sample.name == _RECONCILES:
                found[sample.labels["controller"]] += int(sample.value)
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-kubeconfig", required=True)
    parser.add_argument("-door", required=True, help="URL of the simulated PD")
    parser.add_argument("-log", type=Path, required=True)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(parser.parse_args()))
