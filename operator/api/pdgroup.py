"""PDGroup: a number of PD instances made from one template."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import field

from controller_runtime.api.meta import Model, Object
from controller_runtime.api.resource import Resource
from controller_runtime.api.schema import CustomResource, Rule, Schema
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
from tikv_operator.api.pd import PDTemplateSpec
from tikv_operator.api.status import GroupStatus

__all__ = ["PDGroup", "PDGroupSpec", "PDGroupStatus", "PDTemplate"]


class PDTemplate(Model, kw_only=True):
    """What new and updated instances are made from."""

    metadata: TemplateMeta | None = None
    spec: PDTemplateSpec


class PDGroupSpec(Model, kw_only=True):
    """The desired state of a group."""

    __schema__ = Schema(
        rules=(
            Rule(
                "(has(self.bootstrapped) && self.bootstrapped) || self.replicas == oldSelf.replicas",
                "replicas cannot be changed when bootstrapped is false",
            ),
        )
    )

    cluster: ClusterReference
    features: Annotated[list[FeatureName] | None, Schema(list_type="atomic")] = None
    """Written by the operator: the features of the Cluster."""
    replicas: GroupReplicas
    """Can be changed only when `bootstrapped` is true."""
    bootstrapped: Annotated[
        bool | None,
        Schema(rules=(Rule("!oldSelf || self", "bootstrapped cannot be changed from true to false"),)),
    ] = None
    """Set by the operator once PD answers. True at creation makes the group join an existing cluster."""
    schedule_policies: SchedulePolicies = None
    min_ready_seconds: MinReadySeconds = None
    """How long an instance must have been ready before an update goes on with the next; absent means 5."""
    template: PDTemplate


class PDGroupStatus(GroupStatus, kw_only=True):
    """The observed state of a group."""

    mode: str | None = None
    """The mode, `ms` or normal, that all instances have reached."""


def _no_spec() -> PDGroupSpec:
    """Stand in for a missing spec, which the schema allows: nothing of it is valid, so nothing is done."""
    template = PDTemplate(spec=PDTemplateSpec(version="", volumes=[]))
    return PDGroupSpec(cluster=ClusterReference(name=""), replicas=0, template=template)


class PDGroup(Object, kw_only=True):
    """A group of alike PD instances."""

    resource = Resource(group=GROUP, version=VERSION, kind="PDGroup", plural="pdgroups")
    definition: ClassVar[CustomResource] = group_definition(short_name="pdg")

    spec: Annotated[PDGroupSpec, Schema(required=False)] = field(default_factory=_no_spec)
    status: PDGroupStatus | None = None
