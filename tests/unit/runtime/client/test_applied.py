"""When an apply may be left out, and when it must not be: every doubt sends."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

import pytest

from controller_runtime.api.k8s import ConfigMap
from controller_runtime.api.resource import ObjectKey
from controller_runtime.client.applied import AppliedMemory

RESOURCE = ConfigMap.resource
KEY = ObjectKey("ns", "a")
BODY = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "ns"}, "data": {"x": "1"}}


@dataclass
class State:
    raw: bytes


def state(version: int | str = 10, *, uid: str = "u1", **changes: Any) -> State:
    """The object as the server answers, and as the cache holds it."""
    metadata = {"name": "a", "namespace": "ns", "uid": uid, "resourceVersion": str(version), **changes.pop("meta", {})}
    obj = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": metadata, "data": {"x": "1"}, **changes}
    return State(json.dumps(obj).encode())


def would_send(
    memory: AppliedMemory,
    cached: State,
    body: dict[str, Any] | None = None,
    *,
    answer: State | None = None,
    subresource: str = "",
    force: bool = True,
) -> bool:
    """Go through one apply, and tell whether it was sent."""
    with memory.applying(RESOURCE, KEY, subresource, body or BODY, force=force) as attempt:
        if attempt.is_in(cached):
            return False
        attempt.sent((answer or cached).raw)
        return True


@pytest.fixture
def memory() -> AppliedMemory:
    """A memory in which `BODY` was applied, and answered with version 10."""
    memory = AppliedMemory()
    assert would_send(memory, state(9), answer=state(10))
    return memory


def test_the_same_content_on_the_same_object_is_not_sent_again(memory: AppliedMemory) -> None:
    assert not would_send(memory, state(10))
    assert not would_send(memory, state(10))


def test_nothing_is_left_out_before_this_process_has_applied_anything() -> None:
    assert would_send(AppliedMemory(), state(10))


def test_a_change_of_the_status_alone_is_no_reason_to_send(memory: AppliedMemory) -> None:
    assert not would_send(memory, state(11, status={"phase": "Running"}))
    assert not would_send(memory, state(12, status={"phase": "Failed"}, meta={"generation": 2}))


def test_the_order_of_keys_is_no_reason_to_send(memory: AppliedMemory) -> None:
    obj = json.loads(state(11).raw)
    shuffled = State(json.dumps(dict(reversed(obj.items()))).encode())
    assert not would_send(memory, shuffled, dict(reversed(BODY.items())))


def test_items_of_a_list_lack_their_kind_and_that_is_no_reason_to_send(memory: AppliedMemory) -> None:
    obj = json.loads(state(11).raw)
    del obj["kind"], obj["apiVersion"]
    assert not would_send(memory, State(json.dumps(obj).encode()))


def test_what_the_server_defaults_or_normalises_is_no_reason_to_send() -> None:
    memory = AppliedMemory()
    body = {**BODY, "spec": {"cpu": "1000m"}}
    answer = state(10, spec={"cpu": "1", "defaulted": True})
    assert would_send(memory, state(9), body, answer=answer)
    assert not would_send(memory, answer, body)
    assert not would_send(memory, state(11, spec={"cpu": "1", "defaulted": True}, status={}), body)


@pytest.mark.parametrize(
    ("case", "cached"),
    [
        ("a field that was applied has another value", state(11, data={"x": "2"})),
        ("a field that was applied is gone", state(11, data={})),
        ("somebody added a field", state(11, data={"x": "1", "y": "2"})),
        ("somebody added a label", state(11, meta={"labels": {"a": "1"}})),
        ("somebody added an owner", state(11, meta={"ownerReferences": [{"uid": "o"}]})),
        ("the object is being deleted", state(11, meta={"deletionTimestamp": "t"})),
        ("the object was created anew", state(11, uid="u2")),
        ("the cache is older than the answer", state(9)),
        ("the versions cannot be compared", state("x")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_it_is_sent_when(memory: AppliedMemory, case: str, cached: State) -> None:
    assert would_send(memory, cached)


def test_other_content_is_sent(memory: AppliedMemory) -> None:
    assert would_send(memory, state(10), {**BODY, "data": {"x": "2"}})


def test_content_with_a_key_less_is_sent_although_the_object_contains_it() -> None:
    memory = AppliedMemory()
    both = state(10, data={"x": "1", "y": "2"})
    assert would_send(memory, state(9), {**BODY, "data": {"x": "1", "y": "2"}}, answer=both)
    assert would_send(memory, both, BODY)


def test_only_the_last_content_counts(memory: AppliedMemory) -> None:
    assert would_send(memory, state(10), {**BODY, "data": {}}, answer=state(11, data={}))
    assert would_send(memory, state(11, data={}), BODY)


def test_forcing_is_part_of_what_is_asked(memory: AppliedMemory) -> None:
    assert would_send(memory, state(10), force=False)


def test_a_precondition_is_always_for_the_server_to_check() -> None:
    memory = AppliedMemory()
    body = {**BODY, "metadata": {"name": "a", "resourceVersion": "10"}}
    assert would_send(memory, state(10), body)
    assert would_send(memory, state(10), body)


def test_the_status_is_remembered_apart_from_the_object(memory: AppliedMemory) -> None:
    body = {"metadata": {"name": "a"}, "status": {"phase": "Running"}}
    running = state(10, status={"phase": "Running"})
    assert would_send(memory, running, body, subresource="status")
    assert not would_send(memory, running, body, subresource="status")
    assert not would_send(memory, state(11, status={"phase": "Running"}, data={"x": "9"}), body, subresource="status")
    assert would_send(memory, state(12, status={"phase": "Failed"}), body, subresource="status")
    assert not would_send(memory, running)


def test_a_failed_apply_leaves_doubt(memory: AppliedMemory) -> None:
    def fail() -> None:
        with memory.applying(RESOURCE, KEY, "", {**BODY, "data": {}}, force=True) as attempt:
            assert not attempt.is_in(state(10))
            raise TimeoutError

    with pytest.raises(TimeoutError):
        fail()
    assert would_send(memory, state(10))


async def test_applies_that_overlap_leave_doubt(memory: AppliedMemory) -> None:
    """The smaller content may have been carried out first: the object would contain it, and more."""

    async def apply(body: dict[str, Any], seconds: float, answer: State) -> None:
        with memory.applying(RESOURCE, KEY, "", body, force=True) as attempt:
            if not attempt.is_in(state(9)):
                await asyncio.sleep(seconds)
                attempt.sent(answer.raw)

    larger = {**BODY, "data": {"x": "1", "y": "2"}}
    await asyncio.gather(
        apply(BODY, 3, state(11, data={"x": "1"})), apply(larger, 2, state(12, data={"x": "1", "y": "2"}))
    )
    assert len(memory) == 0
    assert would_send(memory, state(12, data={"x": "1", "y": "2"}), BODY)


def test_memory_is_bounded_and_the_oldest_are_forgotten() -> None:
    memory = AppliedMemory(capacity=3)
    for number in range(5):
        with memory.applying(RESOURCE, ObjectKey("ns", str(number)), "", BODY, force=True) as attempt:
            attempt.sent(state(10).raw)
    assert len(memory) == 3
    with memory.applying(RESOURCE, ObjectKey("ns", "4"), "", BODY, force=True) as attempt:
        assert attempt.is_in(state(10))
    with memory.applying(RESOURCE, ObjectKey("ns", "0"), "", BODY, force=True) as attempt:
        assert not attempt.is_in(state(10))


def test_a_deleted_object_is_forgotten(memory: AppliedMemory) -> None:
    memory.forget(RESOURCE, KEY)
    assert len(memory) == 0
