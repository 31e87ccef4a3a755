"""The operator-wide knobs, with the defaults of a production cluster. Durations are seconds.

Everything that makes the operator wait is here, so that a demo or a test makes it faster by configuration alone.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Settings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of one operator process.

    Attributes:
        workers: reconciles that run at the same time, per controller.
        default_prestop_image: image of the init container that brings the pre-stop checker.
        store_ready_seconds: how long a TiKV's pod must have been ready before the store counts as healthy.
        store_ready_min_regions: a store with fewer regions is ready without leading any.
        default_min_ready_seconds: for groups that do not set `minReadySeconds`.
        eviction_timeout: how long the eviction of leaders may hold up the removal of a store or a restart.
        eviction_standstill: how long the evictions of several stores may get no further before they make room for one.
        min_grace_period: shortest grace period of a TiKV pod; one second is added for each 200 regions.
        requeue: delay before looking again at something that no event reports.
        status_soon: how long a change of a status may be kept back that nobody waits for, so that several are one write.
        status_later: the same for a change of messages alone, which say how far something is.
        upgrade_check: delay between two looks at unmet preconditions of an upgrade.
        pd_timeout: of one request to PD.
        pd_poll: between two polls of a PD where nothing is in motion.
        pd_poll_busy: the same while something is in motion.
        pd_busy_for: how long after the last sign of motion a PD is still polled often.
        pd_max_age: PD's last answer is not trusted any more when it is older than this.
        cloud_timeout: of all that one look at a volume asks its cloud.
        cloud_retry: after a cloud didn't answer, or refused to change a volume, until it is asked again.
        backoff_base: delay after a key's first failure; it doubles with each further one.
        backoff_max: longest delay after a failure.
        history_limit: old revisions of a group that are kept, where its Cluster does not say.
    """

    workers: int = 4
    default_prestop_image: str = "pingcap/tidb-operator-prestop-checker:latest"
    store_ready_seconds: float = 15.0
    store_ready_min_regions: int = 100
    default_min_ready_seconds: float = 5.0
    eviction_timeout: float = 300.0
    eviction_standstill: float = 15.0
    min_grace_period: int = 30
    requeue: float = 5.0
    status_soon: float = 2.0
    status_later: float = 10.0
    upgrade_check: float = 30.0
    pd_timeout: float = 10.0
    pd_poll: float = 30.0
    pd_poll_busy: float = 1.0
    pd_busy_for: float = 10.0
    pd_max_age: float = 90.0
    cloud_timeout: float = 20.0
    cloud_retry: float = 60.0
    backoff_base: float = 1.0
    backoff_max: float = 60.0
    history_limit: int = 10
