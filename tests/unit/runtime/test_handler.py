"""Which keys an event leads to."""

from __future__ import annotations

from collections.abc import Iterable

from controller_runtime.api.meta import ObjectMeta, OwnerReference
from controller_runtime.api.resource import ObjectKey, Resource
from controller_runtime.cache import CacheEvent, Entry
from controller_runtime.handler import Handler, each_state, enqueue_mapped, enqueue_object, enqueue_owner
from helpers.controller_bench import Part, Widget, key, widget
from helpers.fake_cache import entry_of


def keys_of(handler: Handler, event: CacheEvent) -> list[ObjectKey]:
    keys: list[ObjectKey] = []

    def enqueue(key: ObjectKey, *, after: float = 0.0, priority: int = 0) -> None:
        assert (after, priority) == (0.0, 0)
        keys.append(key)

    handler(event, enqueue)
    return keys


def owned_by(*names: str, kind: str = "Widget", api_version: str = "example.com/v1", controller: bool = True) -> Part:
    references = [
        OwnerReference(api_version=api_version, kind=kind, name=name, uid=name, controller=controller or None)
        for name in names
    ]
    return Part(metadata=ObjectMeta(name="part", namespace="ns", owner_references=references))


def added(obj: Part) -> CacheEvent:
    entry = entry_of(obj)
    return CacheEvent("added", entry.key, entry, None)


def updated(before: Part, after: Part) -> CacheEvent:
    old, new = entry_of(before), entry_of(after)
    return CacheEvent("updated", new.key, new, old)


OWNER = enqueue_owner(Widget.resource)


def test_the_object_itself() -> None:
    entry = entry_of(widget("a"))
    assert keys_of(enqueue_object, CacheEvent("added", entry.key, entry, None)) == [key("a")]
    assert keys_of(enqueue_object, CacheEvent("deleted", entry.key, None, entry)) == [key("a")]


def test_the_owner() -> None:
    assert keys_of(OWNER, added(owned_by("a"))) == [key("a")]
    assert keys_of(OWNER, CacheEvent("deleted", key("part"), None, entry_of(owned_by("a")))) == [key("a")]


def test_the_version_of_the_owner_does_not_matter_but_group_and_kind_do() -> None:
    assert keys_of(OWNER, added(owned_by("a", api_version="example.com/v1alpha1"))) == [key("a")]
    assert keys_of(OWNER, added(owned_by("a", api_version="other.com/v1"))) == []
    assert keys_of(OWNER, added(owned_by("a", kind="Gadget"))) == []


def test_only_the_controlling_owner_unless_asked_for_every_one() -> None:
    event = added(owned_by("a", "b", controller=False))
    assert keys_of(OWNER, event) == []
    assert keys_of(enqueue_owner(Widget.resource, every_owner=True), event) == [key("a"), key("b")]


def test_a_reference_that_makes_no_sense_does_not_hide_the_next_one() -> None:
    part = owned_by("a")
    part.metadata.owner_references.insert(
        0, OwnerReference(api_version="a/b/c", kind="Widget", name="odd", uid="0", controller=True)
    )
    assert keys_of(OWNER, added(part)) == [key("a")]


def test_an_object_that_changes_hands_concerns_both_owners_once() -> None:
    assert keys_of(OWNER, updated(owned_by("a"), owned_by("b"))) == [key("a"), key("b")]
    assert keys_of(OWNER, updated(owned_by("a"), owned_by("a"))) == [key("a")]


def test_a_cluster_scoped_owner_has_no_namespace() -> None:
    resource = Resource(group="example.com", version="v1", kind="Widget", plural="widgets", namespaced=False)
    assert keys_of(enqueue_owner(resource), added(owned_by("a"))) == [ObjectKey("", "a")]


def test_a_function_of_the_event() -> None:
    handler = enqueue_mapped(lambda event: [key("x"), key(event.type), key("x")])
    assert keys_of(handler, added(owned_by())) == [key("x"), key("added")]


def test_a_function_of_each_state() -> None:
    def by_label(entry: Entry) -> Iterable[ObjectKey]:
        if "owner" in entry.meta.labels:
            yield key(entry.meta.labels["owner"])

    def labelled(owner: str) -> Part:
        return Part(metadata=ObjectMeta(name="part", namespace="ns", labels={"owner": owner}))

    handler = enqueue_mapped(each_state(by_label))
    assert keys_of(handler, added(labelled("a"))) == [key("a")]
    assert keys_of(handler, updated(labelled("a"), labelled("b"))) == [key("a"), key("b")]
    assert keys_of(handler, added(owned_by())) == []
