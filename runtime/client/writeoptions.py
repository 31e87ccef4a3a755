"""What a client asks for with every write, as parameters of the request or as the body of a delete. Pure values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from controller_runtime.api.meta import encode
from controller_runtime.client.interface import FieldValidation, Preconditions, Propagation

__all__ = ["WriteOptions"]


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """See the module docstring and `Client.with_options`."""

    field_manager: str
    dry_run: bool = False
    field_validation: FieldValidation | None = None

    def params(self) -> tuple[tuple[str, str], ...]:
        """Return the parameters of a create, an update or a patch."""
        validation = (("fieldValidation", self.field_validation),) if self.field_validation is not None else ()
        return (*self._always(), *validation)

    def apply_params(self, *, force: bool) -> tuple[tuple[str, str], ...]:
        """Return the parameters of an apply; about its fields the server is always strict."""
        return (*self._always(), ("force", "true" if force else "false"))

    def delete_body(
        self, grace_period: int | None, preconditions: Preconditions | None, propagation: Propagation | None
    ) -> bytes:
        """Return the body of a delete."""
        options: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions"}
        if grace_period is not None:
            options["gracePeriodSeconds"] = grace_period
        if propagation is not None:
            options["propagationPolicy"] = propagation
        if preconditions is not None:
            required = {"uid": preconditions.uid, "resourceVersion": preconditions.resource_version}
            options["preconditions"] = {name: value for name, value in required.items() if value}
        if self.dry_run:
            options["dryRun"] = ["All"]
        return encode(options)

    def _always(self) -> tuple[tuple[str, str], ...]:
        dry_run = (("dryRun", "All"),) if self.dry_run else ()
        return (("fieldManager", self.field_manager), *dry_run)
