"""Owner references, finalizers, retries."""

from __future__ import annotations

import asyncio

import pytest

from controller_runtime.api.k8s import ConfigMap, Namespace, Node, Pod
from controller_runtime.api.meta import ObjectMeta, OwnerReference
from controller_runtime.client import (
    AlreadyOwned,
    Conflict,
    NotFound,
    add_finalizer,
    controller_of,
    owner_reference,
    remove_finalizer,
    remove_owner_reference,
    retry_on_conflict,
    set_controller_reference,
    set_owner_reference,
)


def pod(name: str = "owner", uid: str = "u1", namespace: str = "ns") -> Pod:
    return Pod(metadata=ObjectMeta(name=name, namespace=namespace, uid=uid))


def child(*owners: OwnerReference) -> ConfigMap:
    return ConfigMap(metadata=ObjectMeta(name="child", namespace="ns", owner_references=list(owners)))


def test_a_controller_reference_blocks_the_owners_deletion() -> None:
    obj = child()
    set_controller_reference(pod(), obj)
    assert obj.metadata.owner_references == [
        OwnerReference(api_version="v1", kind="Pod", name="owner", uid="u1", controller=True, block_owner_deletion=True)
    ]


def test_a_plain_owner_reference_says_neither() -> None:
    reference = owner_reference(pod(), controller=False)
    assert (reference.controller, reference.block_owner_deletion) == (None, None)


def test_the_same_owner_is_replaced_in_place_also_when_created_anew() -> None:
    other = OwnerReference(api_version="v1", kind="Node", name="n", uid="x")
    obj = child(owner_reference(pod(uid="old"), controller=False), other)
    set_controller_reference(pod(uid="new"), obj)
    assert [reference.uid for reference in obj.metadata.owner_references] == ["new", "x"]
    assert obj.metadata.owner_references[0].controller


def test_an_object_has_one_controller() -> None:
    obj = child()
    set_controller_reference(pod(), obj)
    with pytest.raises(AlreadyOwned, match="ConfigMap ns/child is already controlled by Pod owner"):
        set_controller_reference(pod("second", "u2"), obj)
    assert len(obj.metadata.owner_references) == 1


def test_an_owner_is_in_the_same_namespace_or_cluster_scoped() -> None:
    with pytest.raises(ValueError, match="Pod other/owner cannot own ConfigMap ns/child"):
        set_controller_reference(pod(namespace="other"), child())
    with pytest.raises(ValueError, match="cannot own Namespace x"):
        set_controller_reference(pod(), Namespace(metadata=ObjectMeta(name="x")))
    obj = child()
    set_controller_reference(Node(metadata=ObjectMeta(name="n", uid="u")), obj)
    assert obj.metadata.owner_references[0].kind == "Node"


def test_an_owner_must_have_been_read() -> None:
    with pytest.raises(ValueError, match="Pod ns/owner cannot own anything: it has no uid"):
        owner_reference(pod(uid=""))


def test_finalizers_are_added_once_and_removed_altogether() -> None:
    obj = child()
    assert add_finalizer(obj, "x")
    assert not add_finalizer(obj, "x")
    obj.metadata.finalizers += ["y", "x"]
    assert remove_finalizer(obj, "x")
    assert not remove_finalizer(obj, "x")
    assert obj.metadata.finalizers == ["y"]


class Flaky:
    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.calls = 0

    async def __call__(self) -> str:
        self.calls += 1
        if self.calls <= self.failures:
            msg = "changed"
            raise Conflict(msg, code=409)
        return "done"


async def test_a_conflict_is_retried_a_few_times() -> None:
    assert await retry_on_conflict(Flaky(4)) == "done"
    assert asyncio.get_running_loop().time() < 0.1
    stubborn = Flaky(99)
    with pytest.raises(Conflict):
        await retry_on_conflict(stubborn)
    assert stubborn.calls == 5


async def test_any_other_error_is_raised_at_once() -> None:
    calls = 0

    async def missing() -> None:
        nonlocal calls
        calls += 1
        msg = "gone"
        raise NotFound(msg, code=404)

    with pytest.raises(NotFound):
        await retry_on_conflict(missing)
    assert calls == 1


def test_a_plain_owner_stands_beside_the_controller_and_goes_alone() -> None:
    obj = child()
    set_controller_reference(pod("boss", "u1"), obj)
    set_owner_reference(pod("friend", "u2"), obj)
    set_owner_reference(pod("friend", "u3"), obj)
    assert [(owner.name, owner.uid, owner.controller) for owner in obj.metadata.owner_references] == [
        ("boss", "u1", True),
        ("friend", "u3", None),
    ]
    controller = controller_of(obj)
    assert controller is not None
    assert controller.name == "boss"
    assert remove_owner_reference(pod("friend", "any"), obj)
    assert not remove_owner_reference(pod("friend", "any"), obj)
    assert [owner.name for owner in obj.metadata.owner_references] == ["boss"]
    assert controller_of(child()) is None


def test_an_earlier_owner_may_not_hide_another_controller() -> None:
    obj = child(
        owner_reference(pod("friend", "u2"), controller=False), owner_reference(pod("boss", "u1"), controller=True)
    )
    with pytest.raises(AlreadyOwned, match="already controlled by Pod boss"):
        set_controller_reference(pod("friend", "u2"), obj)
