"""The operator put together: all controllers on one manager, with what they share.

`assemble` only wires; the manager owns every task. The same function serves a Deployment, `make run` and the demo.
"""

from __future__ import annotations

import enum
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

from controller_runtime import Manager
from controller_runtime.log import configure_logging
from controller_runtime.task import ReportStore, TaskMetrics
from tikv_operator.cluster.controller import controller as cluster_controller
from tikv_operator.common.metrics import InstanceMetrics
from tikv_operator.common.settings import Settings
from tikv_operator.pages import ReportsPage
from tikv_operator.pd.controller import controller as pd_controller
from tikv_operator.pdclient import PDClients, SecretTLS, direct, through_api_server
from tikv_operator.pdgroup.controller import controller as pdgroup_controller
from tikv_operator.tikv.controller import controller as tikv_controller
from tikv_operator.tikvgroup.controller import controller as tikvgroup_controller
from tikv_operator.volume.clouds import Cloud, open_volume_modifiers
from tikv_operator.volume.modifier import VolumeModifier

__all__ = ["FIELD_MANAGER", "LEASE", "Operator", "PDAccess", "RunOptions", "assemble", "run_operator"]

FIELD_MANAGER = "tidb-operator"
"""The owner of our fields, and our user agent: the one of TiDB Operator, so that its objects can be taken over."""

LEASE = "c6a50700.pingcap.com"
"""TiDB Operator's lease: it and this operator never work on the same cluster at the same time."""


class PDAccess(enum.StrEnum):
    """How the operator reaches PD."""

    AUTO = "auto"
    DIRECT = "direct"
    PROXY = "proxy"


@final
@dataclass(frozen=True, slots=True)
class Operator:
    """What the controllers share, for whoever wants to watch them."""

    manager: Manager
    pds: PDClients
    reports: ReportStore
    settings: Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What `tikv-operator run` was told."""

    kubeconfig: Path | None = None
    context: str | None = None
    leader_elect: bool = True
    leader_election_namespace: str | None = None
    metrics_bind_address: str = ":8080"
    health_probe_bind_address: str = ":8081"
    pd_access: PDAccess = PDAccess.AUTO
    volume_modifiers: tuple[Cloud, ...] = ()
    settings: Settings = field(default_factory=Settings)
    log_format: str = "console"
    log_level: str = "info"


def assemble(
    manager: Manager, settings: Settings, pd_access: PDAccess, *, volume_modifiers: Iterable[VolumeModifier] = ()
) -> Operator:
    """Add all controllers to the manager and return what they share.

    Args:
        volume_modifiers: change volumes through the API of their cloud; see `volume`.
    """
    reports = ReportStore()
    metrics = TaskMetrics(manager.registry, prefix="tikv_operator")
    proxied = pd_access is PDAccess.PROXY
    connect = through_api_server(manager.transport) if proxied else direct(SecretTLS(manager.client))
    pds = PDClients(connect, settings=settings, clock=manager.clock, log=manager.log, registry=manager.registry)
    manager.add(pds)
    for controller in (cluster_controller, pdgroup_controller, tikvgroup_controller):
        manager.add(controller(manager, pds, settings, metrics=metrics, reports=reports))
    instances = InstanceMetrics(manager.registry)
    modifiers = tuple(volume_modifiers)
    for of_instances in (pd_controller, tikv_controller):
        manager.add(
            of_instances(
                manager,
                pds,
                settings,
                metrics=metrics,
                reports=reports,
                instances=instances,
                volume_modifiers=modifiers,
            )
        )
    manager.add_page("/debug/reconciles", ReportsPage(reports))
    return Operator(manager, pds, reports, settings)


async def run_operator(options: RunOptions) -> None:
    """Run until SIGTERM or SIGINT, or until the lease is lost.

    Raises:
        CloudUnusable: a cloud whose volumes are to be changed can't be used here.
        ConfigError: there is no usable kubeconfig.
        LeaderElectionLost: another instance has taken over; exit.
    """
    configure_logging(format=options.log_format, level=options.log_level)
    async with (
        open_volume_modifiers(options.volume_modifiers, options.settings) as modifiers,
        Manager.from_environment(
            kubeconfig=str(options.kubeconfig) if options.kubeconfig else None,
            context=options.context,
            field_manager=FIELD_MANAGER,
            leader_election=LEASE if options.leader_elect else None,
            leader_election_namespace=options.leader_election_namespace or (None if _in_cluster() else "default"),
            metrics_address=options.metrics_bind_address,
            health_address=options.health_probe_bind_address,
        ) as manager,
    ):
        assemble(manager, options.settings, _pd_access(options), volume_modifiers=modifiers)
        await manager.run()


def _pd_access(options: RunOptions) -> PDAccess:
    """PD's service names mean something in the cluster only; anywhere else the API server leads there."""
    if options.pd_access is not PDAccess.AUTO:
        return options.pd_access
    return PDAccess.DIRECT if _in_cluster() else PDAccess.PROXY


def _in_cluster() -> bool:
    return "KUBERNETES_SERVICE_HOST" in os.environ
