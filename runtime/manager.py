"""The manager: builds what controllers share, starts everything in order, and stops it in order.

    async with Manager.from_environment(field_manager="widgets", leader_election="widgets.example.com") as manager:
        manager.add(Controller("widget", reconcile).reconciles(Widget))
        await manager.run()

Start: probes and metrics first, so that they answer while caches fill; then the cache, then runnables that need no leader
and the sources of controllers that warm up, then leader election, and only on the leader all others. Stop: the reverse. The
leader's runnables end (controllers let running reconciles finish), the lease is released, then the other runnables, the
cache, the last Events, and at the very end probes and metrics.

Guarantees: `run` ends only when every task it made has ended (or ignores its cancellation, which is an error). The first
failure of any runnable stops the manager and is what `run` raises. The lease is released only if all work of the leader
is known to have stopped; otherwise it expires.

Concurrency: one manager per event loop and run; nothing is process-wide, several managers may live side by side.
Cancelling `run` is a graceful stop, like SIGTERM; cancelling it again skips the rest of the grace period.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final, Literal, final

import structlog
from prometheus_client import CollectorRegistry, Gauge, GCCollector, PlatformCollector, ProcessCollector

from controller_runtime.access import AccessReviews
from controller_runtime.api.k8s import Lease
from controller_runtime.api.meta import ObjectMeta
from controller_runtime.api.resource import ObjectKey
from controller_runtime.cache import Cache
from controller_runtime.certificates import CertificateFiles, ServingCertificate
from controller_runtime.client.cached import CachedClient
from controller_runtime.client.config import load_config
from controller_runtime.client.http import HttpTransport
from controller_runtime.client.live import LiveClient
from controller_runtime.client.metrics import ClientMetrics
from controller_runtime.client.transport import Transport
from controller_runtime.clock import Clock, SystemClock
from controller_runtime.concurrency import cancel_and_wait, first_error
from controller_runtime.controller import Controller, Services
from controller_runtime.endpoints import Endpoints
from controller_runtime.events import Recorder
from controller_runtime.health import Check
from controller_runtime.httpserver import PageHandler
from controller_runtime.leaderelection import LeaderElectionLost, LeaderElector, LeaseTimings
from controller_runtime.leaselock import Election, KubernetesLease, own_namespace, unique_identity
from controller_runtime.metrics import ControllerMetrics
from controller_runtime.reconcile import Logger
from controller_runtime.runnables import Grace, GracePeriodExceeded, Runnable, RunnableGroup, name_of
from controller_runtime.signals import handling_signals
from controller_runtime.workqueue import WorkQueueMetrics

__all__ = ["Election", "Manager"]

_SYNC_POLL: Final = 1.0  # between two looks at why the cache is not in sync
_EVENTS_SECONDS: Final = 2.0  # for the last Events, beyond the grace period


@final
class Manager:
    """See the module docstring. `from_environment` is the usual way to make one.

    Args:
        transport: the way to the API server; whoever made it closes it.
        field_manager: owner of the fields that are applied; also the reporting controller of Events.
        clock, registry, log: the machine's clock, a registry of its own, and structlog's default logger, unless given.
        client_metrics: counts the client's retries; None for no count.
        election: None runs everything at once.
        identity: of this process, in Events; by default the election's, else the host's name with a random part.
        health_address: of probes (`/healthz`, `/readyz`), e.g. `":8081"`; `"0"` for none.
        metrics_address: of `/metrics` and pages, e.g. `":8080"`; `"0"` for none.
        metrics_tls: serve them over TLS with this certificate, which is read again when its files change; `"self-signed"`
            for one of this process alone.
        metrics_authorization: serve them to those only whose token the API server knows (TokenReview) and who may `get`
            the path (SubjectAccessReview of a non-resource URL). Needs TLS, and the permission to create both reviews.
        grace_period: seconds that runnables get to end by themselves; 0 for none, None for no limit.
        sync_timeout: seconds that runnables other than controllers wait for a full cache before they start without.
        handle_signals: SIGTERM and SIGINT stop `run`; the second one ends the process with status 1.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        field_manager: str,
        clock: Clock | None = None,
        registry: CollectorRegistry | None = None,
        log: Logger | None = None,
        client_metrics: ClientMetrics | None = None,
        election: Election | None = None,
        identity: str = "",
        health_address: str = "0",
        metrics_address: str = "0",
        metrics_tls: CertificateFiles | Literal["self-signed"] | None = None,
        metrics_authorization: bool = False,
        grace_period: float | None = 30.0,
        sync_timeout: float = 120.0,
        handle_signals: bool = False,
    ) -> None:
        self.transport = transport
        self.clock = clock or SystemClock()
        self.registry = registry or CollectorRegistry()
        self.log: Logger = log or structlog.get_logger()
        self.cache = Cache(transport, clock=self.clock, registry=self.registry, log=self.log)
        live = LiveClient(
            transport,
            field_manager=field_manager,
            metrics=client_metrics,
            on_warning=lambda text: self.log.warning("The API server warns", warning=text),
        )
        self.client = CachedClient(live, self.cache)
        self.identity = election.identity if election else identity or unique_identity()
        self.events = Recorder(
            self.client,
            controller=field_manager,
            instance=self.identity,
            clock=self.clock,
            log=self.log,
            registry=self.registry,
        )
        self.elected = asyncio.Event()
        self.endpoints = Endpoints(
            health_address=health_address,
            metrics_address=metrics_address,
            registry=self.registry,
            log=self.log,
            certificate=ServingCertificate(metrics_tls, registry=self.registry, log=self.log) if metrics_tls else None,
            access=AccessReviews(live, self.log) if metrics_authorization else None,
        )

        self._grace_period = grace_period
        self._sync_timeout = sync_timeout
        self._handle_signals = handle_signals
        self._services = Services(
            client=self.client,
            cache=self.cache,
            clock=self.clock,
            log=self.log,
            events=self.events,
            elected=self.elected,
            metrics=ControllerMetrics(self.registry),
            queue_metrics=WorkQueueMetrics(self.registry),
        )
        self._controllers: dict[str, Controller] = {}
        self._caches, self._events, self._others, self._leaders = (
            RunnableGroup(name, self.log, self._failed) for name in ("caches", "events", "others", "leader")
        )
        self._caches.add(self.cache)
        self._events.add(self.events)
        self._election = election
        self._elector = self._make_elector(election) if election else None
        self._run_called = False
        self._stop_requested = asyncio.Event()
        self._ended = asyncio.Event()
        self._in_a_hurry = False
        self._error: BaseException | None = None
        self._grace: Grace | None = None
        self._exit: Callable[[int], object] = os._exit

        self.add_ready_check("started", lambda: None if self._run_called else "the manager is not running")
        self.add_ready_check("informers", self._informer_trouble)

    def __repr__(self) -> str:
        state = "running" if self._run_called else "not running"
        return f"<Manager {state}, controllers: {', '.join(self._controllers) or 'none'}>"

    @classmethod
    @asynccontextmanager
    async def from_environment(
        cls,
        *,
        field_manager: str,
        kubeconfig: str | None = None,
        context: str | None = None,
        leader_election: str | None = None,
        leader_election_namespace: str | None = None,
        lease_timings: LeaseTimings | None = None,
        rejoin: bool = False,
        health_address: str = ":8081",
        metrics_address: str = ":8080",
        metrics_tls: CertificateFiles | Literal["self-signed"] | None = None,
        metrics_authorization: bool = False,
        grace_period: float | None = 30.0,
        registry: CollectorRegistry | None = None,
        log: Logger | None = None,
        handle_signals: bool = True,
    ) -> AsyncIterator[Manager]:
        """Make a manager for the cluster of the kubeconfig, or of the pod this process runs in.

        A run that goes on in another task when the context is left is stopped gracefully first, and only then the way to
        the API server is closed. A cancellation meanwhile ends its grace period.

        Args:
            field_manager: owner of the fields that are applied; name your program.
            kubeconfig, context: instead of what the environment says.
            leader_election: name of the Lease; None to run without election.
            leader_election_namespace: of the Lease; the pod's own namespace by default.

        Raises:
            ConfigError: there is no usable configuration, or no namespace for the Lease.
        """
        registry = registry or CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=registry)
        election = None
        if leader_election:
            lease = ObjectKey(leader_election_namespace or own_namespace(), leader_election)
            election = Election(lease=lease, timings=lease_timings or LeaseTimings(), rejoin=rejoin)
        config = await load_config(kubeconfig, context)
        metrics = ClientMetrics(registry)
        transport = HttpTransport(config, metrics=metrics)
        manager = None
        try:
            manager = cls(
                transport,
                field_manager=field_manager,
                registry=registry,
                log=log,
                client_metrics=metrics,
                election=election,
                health_address=health_address,
                metrics_address=metrics_address,
                metrics_tls=metrics_tls,
                metrics_authorization=metrics_authorization,
                grace_period=grace_period,
                handle_signals=handle_signals,
            )
            yield manager
        finally:
            try:
                if manager is not None:
                    await manager._stop_and_wait()
            finally:
                await transport.close()

    # Putting together

    def add(self, runnable: Controller | Runnable) -> None:
        """Add a controller, or anything with `async run()`. It starts in its turn, or now if its turn has been.

        Raises:
            ValueError: a controller of that name exists, or it watches nothing.
            RuntimeError: the manager is stopping.
        """
        if isinstance(runnable, Controller):
            if runnable.name in self._controllers:
                msg = f"there is a controller {runnable.name!r} already; names must differ within a manager"
                raise ValueError(msg)
            runnable.bind(self._services)
            self._controllers[runnable.name] = runnable
            if self._run_called:
                runnable.prepare()
        group = self._leaders if getattr(runnable, "needs_leader", True) else self._others
        group.add(runnable)

    def add_page(self, path: str, handler: PageHandler) -> None:
        """Serve a page beside `/metrics`.

        Args:
            path: e.g. `/debug/reconciles`.
            handler: given the query, returns a text or JSON-able data; it may be a coroutine function. LookupError becomes
                404, ValueError 400.

        Raises:
            ValueError: the path is taken.
            RuntimeError: the manager runs already.
        """
        self.endpoints.add_page(path, handler)

    def add_health_check(self, name: str, check: Check) -> None:
        """Add a check to `/healthz`: while it returns a reason, the kubelet restarts the pod."""
        self.endpoints.healthz.add(name, check)

    def add_ready_check(self, name: str, check: Check) -> None:
        """Add a check to `/readyz`."""
        self.endpoints.readyz.add(name, check)

    # Running

    async def run(self) -> None:
        """Run until SIGTERM or SIGINT (if signals are handled), `stop`, a failure, or cancellation. Once per manager.

        Raises:
            LeaderElectionLost: the lease is lost; end the process.
            GracePeriodExceeded: runnables did not end in time and were cancelled.
            AddressInUse: a server cannot listen.
            CertificateUnusable: the metrics' certificate cannot be read.
            BaseException: what the first failing runnable raised.
        """
        if self._run_called:
            msg = "a manager runs once"
            raise RuntimeError(msg)
        self._run_called = True
        async with AsyncExitStack() as last:
            last.callback(self._ended.set)
            if self._handle_signals:
                last.enter_context(handling_signals(self._on_signal))
            await last.enter_async_context(self.endpoints.open())
            starting = asyncio.create_task(self._start(), name="manager: start")
            cancelled = False
            try:
                await self._stop_requested.wait()
            except asyncio.CancelledError:
                cancelled = True
            at_once = self._in_a_hurry or isinstance(self._error, LeaderElectionLost)
            self._grace = Grace(0 if at_once else self._grace_period)
            stopping = asyncio.create_task(self._stop_in_order(starting, self._grace), name="manager: stop")
            while not stopping.done():
                try:
                    await asyncio.shield(stopping)
                except asyncio.CancelledError:
                    cancelled = True
                    self._grace.end()
            late = stopping.result()
        self._conclude(late)
        if cancelled:
            raise asyncio.CancelledError

    def stop(self) -> None:
        """Ask `run` to end gracefully. Idempotent."""
        self._stop_requested.set()

    async def _stop_and_wait(self) -> None:
        """Stop a run that still goes on, or is yet to begin, and return when it has ended; a cancellation skips its grace."""
        self.stop()
        cancelled = False
        while self._run_called and not self._ended.is_set():
            try:
                await self._ended.wait()
            except asyncio.CancelledError:
                cancelled = self._in_a_hurry = True
                if self._grace is not None:
                    self._grace.end()
        if cancelled:
            raise asyncio.CancelledError

    async def _start(self) -> None:
        """Start the groups in order; ends when the last has started, or with election, when leadership ends."""
        try:
            for controller in self._controllers.values():
                controller.prepare()
            self._events.start()
            self._caches.start()
            await self._wait_for_cache()
            self._others.start()
            await self._lead()
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - handed to run(), which raises it after an orderly stop
            self._failed(self, error)

    async def _wait_for_cache(self) -> None:
        """Wait until every kind is in the cache, except those whose trouble is known: other work need not wait for them."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._sync_timeout
        while True:
            try:
                return await self.cache.wait_synced(timeout=_SYNC_POLL)
            except TimeoutError as error:
                late = [informer for informer in self.cache.informers() if not informer.synced]
                if loop.time() >= deadline or all(informer.health() is not None for informer in late):
                    self.log.error("Starting although the cache is not in sync", reason=str(error))
                    return None

    async def _lead(self) -> None:
        elector = self._elector
        if elector is None:
            self._leaders.start()
            self.elected.set()
            return
        while True:
            self._leaders.warm_up()
            await elector.acquire()
            self._leaders.start()
            self.elected.set()
            try:
                await elector.hold()
            except LeaderElectionLost as error:
                self.elected.clear()
                if self._election is None or not self._election.rejoin:
                    raise
                self.log.warning("Lease lost, stopping the leader's work to compete again", error=str(error))
                await self._leaders.stop_to_start_again()
                if self._leaders.running:
                    raise

    async def _stop_in_order(self, starting: asyncio.Task[None], grace: Grace) -> list[str]:
        """Stop everything in the reverse order of its start; return the names of what had not ended in time."""
        self.log.info("Stopping", grace_period=self._grace_period)
        if not self.elected.is_set():
            await cancel_and_wait(starting)
        late = await self._leaders.stop(grace)
        await cancel_and_wait(starting)
        if self._elector is not None and not self._leaders.running:
            await self._elector.release()
        for group in (self._others, self._caches):
            late += await group.stop(grace)
        await self._events.stop(Grace(_EVENTS_SECONDS))
        self.log.info("Stopped")
        return late

    def _conclude(self, late: list[str]) -> None:
        """Raise what made the manager stop, or what went wrong when it stopped."""
        exceeded = f"runnables did not end within the grace period of {self._grace_period or 0:g} s: {', '.join(late)}"
        if self._error is not None:
            if late:
                self._error.add_note(exceeded)
            raise self._error
        if late and self._grace_period != 0:
            raise GracePeriodExceeded(exceeded)

    def _failed(self, runnable: object, error: BaseException) -> None:
        """Take note of a failure: the first one stops the manager."""
        name = name_of(runnable)
        error = first_error(error)
        if self._error is None and not self._stop_requested.is_set():
            self._error = error
            self.log.error("Stopping because a part failed", part=name, error=_describe(error), exc_info=error)
        else:
            self.log.error("Failed while stopping", part=name, error=_describe(error), exc_info=error)
        if isinstance(error, LeaderElectionLost) and self._grace is not None:
            self._grace.end()  # somebody else may lead soon: no reconcile may go on
        self._stop_requested.set()

    def _on_signal(self, name: str) -> None:
        if self._stop_requested.is_set():
            self.log.error("Second signal, exiting at once", signal=name)
            self._exit(1)
            return
        self._stop_requested.set()
        self.log.info("Signal received", signal=name)

    # Parts

    def _make_elector(self, election: Election) -> LeaderElector:
        status = Gauge(
            "leader_election_master_status", "1 while this process leads, else 0.", ("name",), registry=self.registry
        ).labels(election.lease.name)
        lease = Lease(metadata=ObjectMeta(name=election.lease.name, namespace=election.lease.namespace))

        def on_change(leads: bool) -> None:
            status.set(leads)
            what = "became leader" if leads else "stopped leading"
            self.events.normal(lease, "LeaderElection", f"{self.identity} {what}")

        lock = KubernetesLease(self.client, election.lease, labels=election.labels)
        return LeaderElector(
            lock, self.identity, clock=self.clock, log=self.log, timings=election.timings, on_change=on_change
        )

    def _informer_trouble(self) -> str | None:
        reasons = [self.cache.health(), *(controller.trouble() for controller in self._controllers.values())]
        return "; ".join(filter(None, reasons)) or None


def _describe(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
