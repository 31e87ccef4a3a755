"""An operator author's file, as `mypy --strict` sees it: never run, every type that matters is asserted.

It uses the public packages only: the facade, `controller_runtime.api.k8s`, `cache`, `client`, `envtest`, `handler`,
`predicate` and `task`. What must *not* pass is in misuse.py.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, assert_type

from prometheus_client import CollectorRegistry

from controller_runtime import (
    Cache,
    CacheEvent,
    CertificateFiles,
    ChannelSource,
    Client,
    Clock,
    Condition,
    Context,
    Controller,
    CustomResource,
    EventRecorder,
    FunctionSource,
    LeaseTimings,
    Logger,
    Manager,
    Model,
    Object,
    ObjectKey,
    ObjectMeta,
    OwnerReference,
    PollSource,
    Reconciler,
    Request,
    Requeue,
    Resource,
    Runnable,
    Schema,
    Source,
    TerminalError,
    add_finalizer,
    make_logger,
    selector,
    set_controller_reference,
)
from controller_runtime.api.k8s import ConfigMap, Pod, PodSpec
from controller_runtime.cache import Informer, keep_fields
from controller_runtime.client import (
    LiveClient,
    NamespacedClient,
    Preconditions,
    RateLimit,
    Transport,
    WatchEvent,
    Written,
    controller_of,
    create_or_update,
    merge_patch,
    retry_on_conflict,
)
from controller_runtime.envtest import EmbeddedCluster, run_virtual
from controller_runtime.handler import Enqueue, each_state
from controller_runtime.predicate import Predicate, and_, label_selector, not_, spec_or_lifecycle_changed
from controller_runtime.task import (
    Node,
    ReportStore,
    Result,
    Runner,
    Task,
    TaskMetrics,
    block,
    complete,
    fail,
    if_,
    if_break,
    retry,
    task,
    wait,
)

# A kind of one's own, and one without a class


class WidgetSpec(Model):
    size: Annotated[int, Schema(minimum=1)]
    colour: str | None = None


class WidgetStatus(Model):
    ready: bool | None = None
    conditions: list[Condition] | None = None


class Widget(Object):
    resource = Resource(group="example.com", version="v1", kind="Widget", plural="widgets")
    definition = CustomResource(short_names=("wg",))
    spec: WidgetSpec
    status: WidgetStatus | None = None


class Scale(Object):
    resource = Resource(group="autoscaling", version="v1", kind="Scale", plural="scales")


class WidgetView(Object):
    """A widget without what nobody reads here."""

    resource = Widget.resource
    status: WidgetStatus | None = None


GADGETS = Resource(group="example.com", version="v1", kind="Gadget", plural="gadgets", namespaced=False)
KEY = ObjectKey("default", "a")


def objects() -> None:
    widget = Widget(metadata=ObjectMeta(name="a", namespace="default"), spec=WidgetSpec(size=3))
    assert_type(widget.spec.size, int)
    assert_type(widget.spec.colour, str | None)
    assert_type(widget.metadata.labels, dict[str, str])
    assert_type(widget.metadata.owner_references, list[OwnerReference])
    assert_type(Widget.resource, Resource)
    assert_type(Pod().spec, PodSpec | None)
    assert_type(KEY.namespace, str)
    assert_type(add_finalizer(widget, "example.com/widget"), bool)
    set_controller_reference(widget, ConfigMap())
    assert_type(controller_of(widget), OwnerReference | None)


# The client


async def reads(client: Client) -> None:
    assert_type(await client.get(Widget, KEY), Widget)
    assert_type(await client.find(Widget, KEY), Widget | None)
    assert_type(await client.list(Widget, namespace="default", labels=selector({"app": "widget"})), list[Widget])
    assert_type(await client.list(Pod, index=("node", "n1")), list[Pod])
    assert_type(await client.live.get(Pod, KEY), Pod)

    assert_type(await client.get(GADGETS, KEY), dict[str, Any])
    assert_type(await client.find(GADGETS, KEY), dict[str, Any] | None)
    assert_type(await client.list(GADGETS), list[dict[str, Any]])

    async with client.watch(Widget, namespace="default") as events:
        assert_type(events, AsyncIterator[WatchEvent[Widget]])
        async for event in events:
            assert_type(event.object, Widget)
    async with client.watch(GADGETS) as raw_events:
        async for raw_event in raw_events:
            assert_type(raw_event.object, dict[str, Any])


async def writes(client: Client, widget: Widget) -> None:
    assert_type(await client.create(widget), Widget)
    assert_type(await client.update(widget), Widget)
    assert_type(await client.update_status(widget), Widget)
    assert_type(await client.apply(widget), Widget)
    assert_type(await client.apply({"apiVersion": "example.com/v1", "kind": "Gadget"}), dict[str, Any])
    assert_type(await client.patch(Widget, KEY, merge_patch({"spec": {"size": 4}})), Widget)
    assert_type(await client.patch(GADGETS, KEY, merge_patch({})), dict[str, Any])
    await client.delete(Widget, KEY, preconditions=Preconditions(uid=widget.metadata.uid), propagation="Foreground")

    await client.delete_all_of(Widget, namespace="default", labels=selector({"app": "widget"}))
    assert_type(await client.get_subresource(Widget, KEY, "scale", Scale), Scale)
    assert_type(await client.get_subresource(Widget, KEY, "scale", Scale.resource), dict[str, Any])
    assert_type(await client.create_subresource(Pod, KEY, "eviction", {"kind": "Eviction"}), dict[str, Any])
    assert_type(client.with_options(dry_run=True, field_validation="Strict"), Client)

    def recolour(obj: Widget) -> None:
        obj.spec.colour = "red"

    written, what = await create_or_update(client, widget, recolour)
    assert_type(written, Widget)
    assert_type(what, Written)

    async def grow() -> Widget:
        newest = await client.live.get(Widget, KEY)
        newest.spec.size += 1
        return await client.update(newest)

    assert_type(await retry_on_conflict(grow), Widget)


async def other_clients(transport: Transport, client: Client) -> None:
    live = LiveClient(transport, field_manager="widgets", rate_limit=RateLimit(rate=20.0, burst=30))
    assert_type(live.with_options(field_manager="other"), LiveClient)
    here: Client = NamespacedClient(client, "default")
    assert_type(await here.get(Widget, ObjectKey("", "a")), Widget)


def caches(cache: Cache) -> None:
    view = keep_fields(WidgetView)
    assert_type(cache.declare(Widget, fields="metadata.namespace=default", transform=view), Informer)
    with cache.use(GADGETS, metadata_only=True) as gadgets:
        assert_type(gadgets, Informer)
        gadgets.add_handler(lambda event: None, resync=600.0).remove()


# Reconcilers and controllers


async def reconcile(ctx: Context, request: Request) -> Requeue | None:
    assert_type(ctx.client, Client)
    assert_type(ctx.clock, Clock)
    assert_type(ctx.log, Logger)
    assert_type(ctx.events, EventRecorder)
    assert_type(request.key, ObjectKey)
    assert_type(request.attempt, int)
    widget = await ctx.client.find(Widget, request.key)
    if widget is None:
        return None
    if widget.spec.size > 100:
        ctx.events.warning(widget, "TooLarge", f"no widget has size {widget.spec.size}")
        raise TerminalError("too large")
    await ctx.client.apply(ConfigMap(metadata=ObjectMeta(name=request.name, namespace=request.namespace)))
    return Requeue(after=30.0)


async def never_again(_: Context, request: Request) -> None:
    """A reconciler that always returns None may say so."""


def widgets_of(event: CacheEvent) -> Iterable[ObjectKey]:
    assert_type(event.key, ObjectKey)
    if event.new is not None:
        assert_type(event.new.decode(ConfigMap), ConfigMap)
        assert_type(event.new.meta.labels, Mapping[str, str])
        yield ObjectKey(event.key.namespace, event.new.meta.labels["widget"])


def is_large(event: CacheEvent) -> bool:
    return event.new is not None and event.new.decode(Widget).spec.size > 10


@asynccontextmanager
async def changes(enqueue: Enqueue) -> AsyncIterator[None]:
    enqueue(KEY)
    enqueue(KEY, after=1.0, priority=5)
    yield


async def poll() -> list[ObjectKey]:
    return [KEY]


def controllers(give_up: Callable[[Request, BaseException], None]) -> Controller:
    reconciler: Reconciler = never_again
    assert_type(Controller("other", reconciler).reconciles(GADGETS), Controller)

    channel = ChannelSource("outside")
    channel.send(KEY, priority=1)
    sources: list[Source] = [channel, FunctionSource(changes), PollSource(poll, interval=30.0)]
    predicate: Predicate = and_(is_large, not_(label_selector(selector({"ignored": "true"}))))
    controller = (
        Controller("widget", reconcile, workers=4, timeout=60.0, warm_up=True, max_retries=10, on_give_up=give_up)
        .reconciles(Widget, spec_or_lifecycle_changed, predicate)
        .owns(ConfigMap)
        .owns(GADGETS, every_owner=True)
        .watches(Pod, widgets_of)
        .watches(GADGETS, each_state(lambda entry: [entry.key]))
    )
    for source in sources:
        controller.watches_source(source)
    assert_type(controller, Controller)
    return controller


# Pipelines of tasks


@dataclass
class Run:
    client: Client
    key: ObjectKey
    widget: Widget | None = None


@task("Widget")
async def load(run: Run) -> Result:
    run.widget = await run.client.find(Widget, run.key)
    return complete()


@task("ConfigMap")
async def config_map(run: Run) -> Result:
    if run.widget is None:
        return fail("no widget")
    return wait("for somebody") if run.widget.spec.colour else retry(5.0, "no colour yet")


def is_gone(run: Run) -> bool:
    return run.widget is None


def pipeline() -> Node[Run]:
    assert_type(load, Task[Run])
    tree = block(load, if_break(is_gone), if_(lambda run: run.widget is not None, config_map))
    assert_type(tree, Node[Run])
    return tree


def pipeline_reconciler(manager: Manager) -> Reconciler:
    reports = ReportStore()
    runner = Runner("widget", pipeline(), metrics=TaskMetrics(manager.registry), reports=reports, clock=manager.clock)
    assert_type(runner, Runner[Run])

    async def run_pipeline(ctx: Context, request: Request) -> Requeue | None:
        return await runner.run(Run(ctx.client, request.key), request, ctx.log)

    return run_pipeline


# The manager


class Janitor:
    """Any class with `async run()` is a runnable."""

    needs_leader = False

    async def run(self) -> None: ...


def nothing_wrong() -> str | None:
    return None


def page(query: Mapping[str, str]) -> dict[str, str]:
    return dict(query)


async def main() -> None:
    async with Manager.from_environment(
        field_manager="widgets",
        leader_election="widgets.example.com",
        lease_timings=LeaseTimings(duration=30.0, renew_deadline=20.0),
        metrics_tls=CertificateFiles(Path("tls.crt"), Path("tls.key")),
        metrics_authorization=True,
    ) as manager:
        assert_type(manager, Manager)
        assert_type(manager.cache, Cache)
        assert_type(manager.registry, CollectorRegistry)
        janitor: Runnable = Janitor()
        manager.add(janitor)
        manager.add(controllers(lambda request, error: None))
        manager.add(Controller("piped", pipeline_reconciler(manager)).reconciles(Widget))
        manager.add_ready_check("nothing", nothing_wrong)
        manager.add_page("/debug/widgets", page)
        manager.cache.declare(Pod, indexes={"node": lambda pod: [pod.meta.labels["node"]]})
        assert_type(manager.cache.get(Widget, KEY), Widget)
        assert_type(manager.cache.find(GADGETS, KEY), dict[str, Any] | None)
        await manager.run()


# Tests of one's own


async def on_an_embedded_cluster() -> int:
    async with EmbeddedCluster() as cluster:
        assert_type(cluster, EmbeddedCluster)
        manager = Manager(cluster.transport, field_manager="test", log=make_logger(level="error"))
        assert_type(await manager.client.create(ConfigMap(metadata=ObjectMeta(name="a", namespace="x"))), ConfigMap)
        return len(await manager.client.live.list(ConfigMap))


def test_of_an_author(run: Callable[[], Awaitable[int]]) -> None:
    assert_type(run_virtual(on_an_embedded_cluster()), int)
