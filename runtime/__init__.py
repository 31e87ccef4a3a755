"""A controller runtime for asyncio: the names that an operator needs.

    from controller_runtime import Context, Controller, Manager, Object, Request, Requeue, Resource

    async def reconcile(ctx: Context, request: Request) -> Requeue | None:
        widget = await ctx.client.find(Widget, request.key)
        ...

    async with Manager.from_environment(field_manager="widgets") as manager:
        manager.add(Controller("widget", reconcile).reconciles(Widget))
        await manager.run()

Built-in kinds are in `controller_runtime.api.k8s`, predicates in `controller_runtime.predicate`, ready-made mappings in
`controller_runtime.handler`, tasks and pipelines in `controller_runtime.task`, clusters for tests in
`controller_runtime.envtest`.

Names are loaded when they are first used, so that a program that only prints its CRDs pays for nothing else.
"""

if __name__ != "controller_runtime":
    raise ImportError(f"import this package as 'controller_runtime', not {__name__!r}")

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from controller_runtime.api.meta import Condition, Model, Object, ObjectMeta, OwnerReference
    from controller_runtime.api.resource import ObjectKey, Resource
    from controller_runtime.api.schema import CustomResource, PrinterColumn, Rule, Scale, Schema
    from controller_runtime.api.selectors import Selector, selector
    from controller_runtime.cache import Cache, CacheEvent
    from controller_runtime.certificates import CertificateFiles
    from controller_runtime.client.errors import (
        AlreadyExists,
        ApiError,
        ClientError,
        ConfigError,
        Conflict,
        Forbidden,
        Invalid,
        NotFound,
    )
    from controller_runtime.client.helpers import add_finalizer, remove_finalizer, set_controller_reference
    from controller_runtime.client.interface import Client
    from controller_runtime.clock import Clock, SystemClock
    from controller_runtime.controller import Controller
    from controller_runtime.leaderelection import LeaderElectionLost, LeaseTimings
    from controller_runtime.log import configure_logging, make_logger
    from controller_runtime.manager import Election, Manager
    from controller_runtime.reconcile import (
        Context,
        EventRecorder,
        Logger,
        Reconciler,
        Request,
        Requeue,
        TerminalError,
    )
    from controller_runtime.runnables import GracePeriodExceeded, Runnable
    from controller_runtime.source import ChannelSource, FunctionSource, KindSource, PollSource, Source
    from controller_runtime.workqueue import ExponentialBackoff, RateLimiter, WorkQueue

__all__ = [
    "AlreadyExists",
    "ApiError",
    "Cache",
    "CacheEvent",
    "CertificateFiles",
    "ChannelSource",
    "Client",
    "ClientError",
    "Clock",
    "Condition",
    "ConfigError",
    "Conflict",
    "Context",
    "Controller",
    "CustomResource",
    "Election",
    "EventRecorder",
    "ExponentialBackoff",
    "Forbidden",
    "FunctionSource",
    "GracePeriodExceeded",
    "Invalid",
    "KindSource",
    "LeaderElectionLost",
    "LeaseTimings",
    "Logger",
    "Manager",
    "Model",
    "NotFound",
    "Object",
    "ObjectKey",
    "ObjectMeta",
    "OwnerReference",
    "PollSource",
    "PrinterColumn",
    "RateLimiter",
    "Reconciler",
    "Request",
    "Requeue",
    "Resource",
    "Rule",
    "Runnable",
    "Scale",
    "Schema",
    "Selector",
    "Source",
    "SystemClock",
    "TerminalError",
    "WorkQueue",
    "add_finalizer",
    "configure_logging",
    "make_logger",
    "remove_finalizer",
    "selector",
    "set_controller_reference",
]

_NAMES_BY_MODULE = {
    "api.meta": ("Condition", "Model", "Object", "ObjectMeta", "OwnerReference"),
    "api.resource": ("ObjectKey", "Resource"),
    "api.schema": ("CustomResource", "PrinterColumn", "Rule", "Scale", "Schema"),
    "api.selectors": ("Selector", "selector"),
    "cache": ("Cache", "CacheEvent"),
    "certificates": ("CertificateFiles",),
    "client.errors": (
        *("AlreadyExists", "ApiError", "ClientError", "ConfigError", "Conflict", "Forbidden", "Invalid", "NotFound"),
    ),
    "client.helpers": ("add_finalizer", "remove_finalizer", "set_controller_reference"),
    "client.interface": ("Client",),
    "clock": ("Clock", "SystemClock"),
    "controller": ("Controller",),
    "leaderelection": ("LeaderElectionLost", "LeaseTimings"),
    "log": ("configure_logging", "make_logger"),
    "manager": ("Election", "Manager"),
    "reconcile": ("Context", "EventRecorder", "Logger", "Reconciler", "Request", "Requeue", "TerminalError"),
    "runnables": ("GracePeriodExceeded", "Runnable"),
    "source": ("ChannelSource", "FunctionSource", "KindSource", "PollSource", "Source"),
    "workqueue": ("ExponentialBackoff", "RateLimiter", "WorkQueue"),
}
_MODULE_OF = {name: module for module, names in _NAMES_BY_MODULE.items() for name in names}


def __getattr__(name: str) -> object:
    module = _MODULE_OF.get(name)
    if module is None:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    value: object = getattr(import_module(f"{__name__}.{module}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
