"""What every controller of groups hears of."""

from __future__ import annotations

from controller_runtime import Controller
from controller_runtime.api import Object
from controller_runtime.api.k8s import ControllerRevision, PodDisruptionBudget, Service
from controller_runtime.cache import Cache
from controller_runtime.predicate import (
    annotations_changed,
    generation_changed,
    or_,
    resource_version_changed,
    spec_or_lifecycle_changed,
)
from tikv_operator.api import Cluster
from tikv_operator.common.membership import members

__all__ = ["feed_group"]


def feed_group(built: Controller, cache: Cache, group: type[Object], instance: type[Object]) -> None:
    """Let a controller hear of its groups, of what they own, and of their Clusters.

    Of a budget only the spec: its status changes with every pod.
    """
    built.reconciles(group, or_(spec_or_lifecycle_changed, annotations_changed))
    built.owns(PodDisruptionBudget, spec_or_lifecycle_changed)
    for owned in (instance, Service, ControllerRevision):
        built.owns(owned, resource_version_changed)
    built.watches(Cluster, members(cache, group), or_(generation_changed, annotations_changed))
