"""The status that all groups and instances have."""

from __future__ import annotations

from typing import Annotated

from msgspec import field

from controller_runtime.api.meta import Condition, Model
from controller_runtime.api.schema import Schema

__all__ = ["CommonStatus", "Conditions", "GroupStatus"]

Conditions = Annotated[list[Condition], Schema(list_type="map", list_map_keys=("type",))]

_Count = Annotated[int, Schema(required=True, format="int32")]


class CommonStatus(Model, kw_only=True):
    """Observations that groups and instances share."""

    conditions: Conditions = field(default_factory=list)
    observed_generation: Annotated[int | None, Schema(format="int64")] = None
    """The `metadata.generation` that the controller has acted on."""
    observed_cluster_generation: Annotated[int | None, Schema(format="int64")] = None
    """The generation of the Cluster that the controller has acted on."""
    current_revision: str | None = None
    """The ControllerRevision that all instances have reached; of an instance, the one it runs."""
    update_revision: str | None = None
    """The ControllerRevision that instances are moved to."""
    collision_count: Annotated[int | None, Schema(format="int32")] = None
    """How often the hash of a revision collided with that of another one."""


class GroupStatus(CommonStatus, kw_only=True):
    """The status of a group. The counts and the selector are always sent, because the schema requires them."""

    version: str | None = None
    """The version that all instances run."""
    selector: Annotated[str, Schema(required=True)] = field(default_factory=str)
    """The label selector of the group's instances, for the scale subresource."""
    replicas: _Count = field(default_factory=int)
    """Existing instances."""
    ready_replicas: _Count = field(default_factory=int)
    """Instances that are ready."""
    current_replicas: _Count = field(default_factory=int)
    """Instances of the current revision."""
    updated_replicas: _Count = field(default_factory=int)
    """Instances of the update revision."""
