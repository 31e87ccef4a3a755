"""The operator's own gauges.

One instance per operator process, made with the manager's registry; use it from one event loop.
"""

from __future__ import annotations

from typing import Final, final

from prometheus_client import CollectorRegistry, Gauge

from controller_runtime.api import ObjectKey
from tikv_operator.common.conditions import FALSE, READY, SYNCED, find_condition
from tikv_operator.common.instances import Instance
from tikv_operator.common.keys import LABEL_COMPONENT, LABEL_GROUP

__all__ = ["InstanceMetrics"]

_OBSERVED: Final = (SYNCED, READY)
_LABELS: Final = ("namespace", "cluster", "component", "group", "instance", "condition")


@final
class InstanceMetrics:
    """Counts instances that are not as they should be: `tidb_operator_abnormal_instance`, by condition.

    The name and the labels are TiDB Operator's, so that its alerts go on working.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._gauge = Gauge(
            "tidb_operator_abnormal_instance",
            "1 while a condition of an instance is False, else 0.",
            _LABELS,
            registry=registry,
        )
        self._labels: dict[ObjectKey, tuple[str, ...]] = {}

    def observe(self, instance: Instance) -> None:
        """Take over what an instance's conditions say."""
        own = instance.metadata.labels
        labels = (
            instance.metadata.namespace,
            instance.spec.cluster.name,
            own.get(LABEL_COMPONENT, ""),
            own.get(LABEL_GROUP, ""),
            instance.metadata.name,
        )
        if self._labels.get(instance.key, labels) != labels:
            self.forget(instance.key)
        self._labels[instance.key] = labels
        conditions = instance.status.conditions if instance.status is not None else []
        for name in _OBSERVED:
            found = find_condition(conditions, name)
            self._gauge.labels(*labels, name).set(found is not None and found.status == FALSE)

    def forget(self, key: ObjectKey) -> None:
        """Drop the series of an instance that is gone."""
        labels = self._labels.pop(key, None)
        if labels is not None:
            for name in _OBSERVED:
                self._gauge.remove(*labels, name)
