"""What `kubectl get` shows of our kinds, and how long their names may be."""

from __future__ import annotations

from typing import Final

from controller_runtime.api.schema import CustomResource, PrinterColumn, Rule, Scale

__all__ = ["AGE", "CLUSTER", "condition_column", "group_definition", "instance_definition", "name_at_most"]

CLUSTER: Final = PrinterColumn("Cluster", "string", ".spec.cluster.name")
AGE: Final = PrinterColumn("Age", "date", ".metadata.creationTimestamp")


def condition_column(condition: str) -> PrinterColumn:
    """Return a column that shows the status of one condition."""
    return PrinterColumn(condition, "string", f'.status.conditions[?(@.type=="{condition}")].status')


def name_at_most(limit: int) -> Rule:
    """Return the rule of a root object whose name must leave room for what is appended to it."""
    return Rule(f"size(self.metadata.name) <= {limit}", f"name must not exceed {limit} characters")


def group_definition(*, short_name: str) -> CustomResource:
    """Return the definition of a group kind: scalable, found by its cluster's name, listed with its progress."""
    return CustomResource(
        short_names=(short_name,),
        categories=("group",),
        scale=Scale(label_selector_path=".status.selector"),
        printer_columns=(
            CLUSTER,
            PrinterColumn("Desired", "string", ".spec.replicas"),
            PrinterColumn("Ready", "string", ".status.readyReplicas"),
            PrinterColumn("Updated", "string", ".status.updatedReplicas"),
            PrinterColumn("UpdateRevision", "string", ".status.updateRevision"),
            PrinterColumn("CurrentRevision", "string", ".status.currentRevision"),
            condition_column("Synced"),
            condition_column("Ready"),
            AGE,
        ),
        selectable_fields=(".spec.cluster.name",),
        rules=(name_at_most(40),),
    )


def instance_definition(*columns: PrinterColumn) -> CustomResource:
    """Return the definition of an instance kind; `columns` stand between its cluster and its conditions.

    It has a scale subresource, with a constant 1, so that pod disruption budgets can count its pod.
    """
    return CustomResource(
        categories=("instance",),
        scale=Scale(),
        printer_columns=(CLUSTER, *columns, condition_column("Synced"), condition_column("Ready"), AGE),
        selectable_fields=(".spec.cluster.name",),
        rules=(name_at_most(47),),
    )
