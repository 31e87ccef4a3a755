"""Mistakes that `mypy --strict` must find: each ignored error below is a promise, for an ignore that ignores nothing fails.

Like consumer.py this file is never run.
"""

from __future__ import annotations

from controller_runtime import (
    CacheEvent,
    Client,
    Context,
    Controller,
    Manager,
    ObjectKey,
    ObjectMeta,
    Request,
    Requeue,
    Resource,
)
from controller_runtime.api.k8s import ConfigMap, Pod
from controller_runtime.task import Node, Result, block, complete, if_, task

KEY = ObjectKey("default", "a")
GADGETS = Resource(group="example.com", version="v1", kind="Gadget", plural="gadgets")


async def clients(client: Client) -> None:
    _ = (await client.find(Pod, KEY)).metadata  # type: ignore[union-attr] # it may not exist
    _ = (await client.get(Pod, KEY)).spec.containers  # type: ignore[union-attr] # a built-in kind's fields are optional
    _ = (await client.get(GADGETS, KEY)).metadata  # type: ignore[attr-defined] # untyped objects are dicts
    await client.get(Pod, "default/a")  # type: ignore[call-overload] # a key is no text
    await client.get("Pod", KEY)  # type: ignore[call-overload] # a kind is a class or a Resource
    await client.list(Pod, labels="app=web")  # type: ignore[call-overload] # a selector is parsed first
    await client.create({"kind": "Pod"})  # type: ignore[type-var] # only apply takes untyped objects
    await client.patch(Pod, KEY, {"spec": {}})  # type: ignore[call-overload] # a patch has a content type
    await client.delete(Pod, KEY, propagation="Sometimes")  # type: ignore[arg-type]
    ConfigMap(metadata=ObjectMeta(nmae="a"))  # type: ignore[call-arg] # misspelt
    Request(KEY).key = KEY  # type: ignore[misc] # frozen


def not_a_coroutine(ctx: Context, request: Request) -> Requeue | None:
    return None


async def wrong_answer(ctx: Context, request: Request) -> int:
    return 1


async def wrong_parameters(client: Client, key: ObjectKey) -> None: ...


def names(event: CacheEvent) -> list[str]:
    return [event.key.name]


def unfinished(event: CacheEvent) -> None: ...


async def right(ctx: Context, request: Request) -> None: ...


def controllers(manager: Manager) -> None:
    Controller("a", not_a_coroutine)  # type: ignore[arg-type]
    Controller("b", wrong_answer)  # type: ignore[arg-type]
    Controller("c", wrong_parameters)  # type: ignore[arg-type]
    Controller("d", right, workers="4")  # type: ignore[arg-type]
    Controller("e", right).reconciles("Pod")  # type: ignore[arg-type]
    Controller("f", right).watches(Pod, names)  # type: ignore[arg-type] # keys are no texts
    Controller("g", right).reconciles(Pod, unfinished)  # type: ignore[arg-type] # a predicate answers
    manager.add(right)  # type: ignore[arg-type] # a reconciler is no runnable
    manager.add_page("/x", "a text")  # type: ignore[arg-type]
    Manager.from_environment(field_manager="x", metrics_tls="tls.crt")  # type: ignore[arg-type] # a key belongs to it


class OneRun:
    pass


class OtherRun:
    pass


@task("One")
async def one(run: OneRun) -> Result:
    return complete()


@task("Other")
async def other(run: OtherRun) -> Result:
    return complete()


@task("Wrong")  # type: ignore[arg-type] # a task returns a Result
async def wrong(run: OneRun) -> None: ...


def has_other(run: OtherRun) -> bool:
    return True


pipeline: Node[OneRun] = block(one, other)  # type: ignore[arg-type] # each task must get along with the pipeline's context
if_(has_other, one)  # type: ignore[arg-type]
