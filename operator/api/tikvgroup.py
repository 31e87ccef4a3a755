"""TiKVGroup: a number of TiKV instances made from one template."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import field

from controller_runtime.api.meta import Model, Object
from controller_runtime.api.resource import Resource
from controller_runtime.api.schema import CustomResource, Schema
from tikv_operator.api.columns import group_definition
from tikv_operator.api.common import (
    GROUP,
    VERSION,
    ClusterReference,
    GroupReplicas,
    MinReadySeconds,
    SchedulePolicies,
    TemplateMeta,
)
from tikv_operator.api.features import FeatureName
from tikv_operator.api.status import GroupStatus
from tikv_operator.api.tikv import TiKVTemplateSpec

__all__ = ["TiKVGroup", "TiKVGroupSpec", "TiKVGroupStatus", "TiKVTemplate"]


class TiKVTemplate(Model, kw_only=True):
    """What new and updated instances are made from."""

    metadata: TemplateMeta | None = None
    spec: TiKVTemplateSpec


class TiKVGroupSpec(Model, kw_only=True):
    """The desired state of a group."""

    cluster: ClusterReference
    features: Annotated[list[FeatureName] | None, Schema(list_type="atomic")] = None
    """Written by the operator: the features of the Cluster."""
    replicas: GroupReplicas
    schedule_policies: SchedulePolicies = None
    min_ready_seconds: MinReadySeconds = None
    """How long an instance must have been ready before an update goes on with the next; absent means 5."""
    template: TiKVTemplate


class TiKVGroupStatus(GroupStatus, kw_only=True):
    """The observed state of a group."""


def _no_spec() -> TiKVGroupSpec:
    """Stand in for a missing spec, which the schema allows: nothing of it is valid, so nothing is done."""
    template = TiKVTemplate(spec=TiKVTemplateSpec(version="", volumes=[]))
    return TiKVGroupSpec(cluster=ClusterReference(name=""), replicas=0, template=template)


class TiKVGroup(Object, kw_only=True):
    """A group of alike TiKV instances."""

    resource = Resource(group=GROUP, version=VERSION, kind="TiKVGroup", plural="tikvgroups")
    definition: ClassVar[CustomResource] = group_definition(short_name="kvg")

    spec: Annotated[TiKVGroupSpec, Schema(required=False)] = field(default_factory=_no_spec)
    status: TiKVGroupStatus | None = None
