"""Claims that wait for what doesn't come by itself."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from controller_runtime.api import format_time
from controller_runtime.api.k8s import PersistentVolumeClaim
from controller_runtime.task import Status
from helpers.tikv_fakes import NOW, make_context, make_tikv
from tikv_operator.tikv.tasks.claim_trouble import claim_trouble, held_up
from tikv_operator.tikv.tasks.state import Problem

NAME = "data-basic-tikv-abc123"


def claim(age: float = 3600.0, storage_class: str | None = None, **status: Any) -> PersistentVolumeClaim:
    tree = {
        "metadata": {"name": NAME, "namespace": "ns1", "creationTimestamp": format_time(NOW - age)},
        "spec": {"storageClassName": storage_class} if storage_class else {},
        "status": status,
    }
    return msgspec.convert(tree, PersistentVolumeClaim)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param(claim(phase="Bound"), None, id="bound"),
        pytest.param(
            claim(phase="Pending"),
            ("VolumeNotBound", f"volume claim {NAME} waits for a volume of the default storage class"),
            id="no class named",
        ),
        pytest.param(
            claim(phase="Pending", storage_class="fast"),
            ("VolumeNotBound", f"volume claim {NAME} waits for a volume of storage class fast"),
            id="a class that does not exist",
        ),
        pytest.param(
            claim(phase="Bound", modifyVolumeStatus={"status": "Pending", "targetVolumeAttributesClassName": "gold"}),
            ("VolumeNotModified", f"volume claim {NAME} waits for volume attributes class gold"),
            id="attributes of a class that does not exist",
        ),
        pytest.param(
            claim(
                phase="Bound", modifyVolumeStatus={"status": "Infeasible", "targetVolumeAttributesClassName": "gold"}
            ),
            ("VolumeNotModified", f"volume claim {NAME} cannot have volume attributes class gold"),
            id="attributes that the driver refuses",
        ),
        pytest.param(claim(phase="Bound", modifyVolumeStatus={"status": "InProgress"}), None, id="on its way"),
    ],
)
def test_what_a_claim_waits_for(found: PersistentVolumeClaim, expected: tuple[str, str] | None) -> None:
    assert held_up(found) == expected


async def test_a_claim_that_waits_long_is_said_and_one_that_is_new_is_looked_at_again() -> None:
    ctx = make_context(make_tikv())
    assert (await claim_trouble(ctx)).status is Status.COMPLETE
    ctx.client.add(claim(age=20, phase="Pending"))
    result = await claim_trouble(ctx)
    assert (result.status, result.after, ctx.problems) == (Status.RETRY, pytest.approx(40.0), [])
    ctx.client.add(claim(age=61, phase="Pending", storage_class="fast"))
    assert (await claim_trouble(ctx)).status is Status.WAIT
    message = f"volume claim {NAME} waits for a volume of storage class fast"
    assert ctx.problems == [Problem("VolumeNotBound", message)]
