"""TiKVs in every state an updater can meet, as short calls."""

from __future__ import annotations

from typing import Any

from controller_runtime.api import Condition, ObjectMeta, format_time
from tikv_operator.api import ClusterReference, TiKV, TiKVSpec, TiKVStatus, Volume, VolumeMount
from tikv_operator.common.keys import ANNOTATION_DEFER_DELETE, ANNOTATION_PRIORITY, LABEL_INSTANCE_REVISION

__all__ = ["NEW", "NOW", "OLD", "make_tikv"]

NOW = 1_800_000_000.0
OLD = "basic-tikv-old"
NEW = "basic-tikv-new"


def make_tikv(
    name: str,
    *,
    revision: str = NEW,
    ready: bool | None = True,
    running: bool | None = True,
    ready_for: float = 3600.0,
    synced: bool = True,
    offline: bool | None = None,
    offlined: bool | None = None,
    deferred: str | None = None,
    deleting: bool = False,
    priority: str | None = None,
    topology: dict[str, str] | None = None,
    generation: int = 1,
    observed: int | None = None,
    now: float = NOW,
) -> TiKV:
    """Return a TiKV; by default one of the new revision that has been ready for an hour.

    Args:
        ready, running, offlined: the conditions; None for none.
        synced: its controller has carried out its revision.
        observed: the generation that status and conditions are about.
    """
    observed = generation if observed is None else observed
    conditions = [
        Condition(
            type=kind,
            status=str(status),
            reason=reason if status else f"Not{reason}",
            last_transition_time=format_time(now - ready_for),
            observed_generation=observed,
        )
        for kind, status, reason in (
            ("Ready", ready, "Ready"),
            ("Running", running, "Running"),
            ("Offlined", offlined, "Completed"),
        )
        if status is not None
    ]
    annotations: dict[str, Any] = {ANNOTATION_DEFER_DELETE: deferred, ANNOTATION_PRIORITY: priority}
    return TiKV(
        metadata=ObjectMeta(
            name=name,
            namespace="ns1",
            uid=f"uid-{name}",
            resource_version="1",
            generation=generation,
            labels={LABEL_INSTANCE_REVISION: revision},
            annotations={key: value for key, value in annotations.items() if value is not None},
            deletion_timestamp=format_time(now) if deleting else None,
        ),
        spec=TiKVSpec(
            version="v8.1.0",
            volumes=[Volume(name="data", mounts=[VolumeMount(type="data")], storage="20Gi")],
            cluster=ClusterReference(name="tc"),
            subdomain="basic-tikv-peer",
            offline=offline,
            topology=topology,
        ),
        status=TiKVStatus(
            conditions=conditions,
            observed_generation=observed,
            current_revision=revision if synced else "basic-tikv-other",
        ),
    )
