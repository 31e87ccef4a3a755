"""Which events pass which predicate, as a table."""

from __future__ import annotations

from typing import Any

import pytest

from controller_runtime.api.selectors import selector
from controller_runtime.cache import CacheEvent
from controller_runtime.predicate import (
    Predicate,
    and_,
    annotations_changed,
    any_state,
    generation_changed,
    label_selector,
    labels_changed,
    not_,
    on,
    or_,
    resource_version_changed,
    spec_or_lifecycle_changed,
)
from helpers.controller_bench import widget
from helpers.fake_cache import entry_of

CHANGED = (
    generation_changed,
    spec_or_lifecycle_changed,
    resource_version_changed,
    labels_changed,
    annotations_changed,
)


def added(**meta: Any) -> CacheEvent:
    entry = entry_of(widget(**meta))
    return CacheEvent("added", entry.key, entry, None)


def deleted(**meta: Any) -> CacheEvent:
    entry = entry_of(widget(**meta))
    return CacheEvent("deleted", entry.key, None, entry)


def updated(before: dict[str, Any] | None = None, **after: Any) -> CacheEvent:
    old, new = entry_of(widget(**(before or {}))), entry_of(widget(**after))
    return CacheEvent("updated", new.key, new, old)


@pytest.mark.parametrize("predicate", CHANGED)
def test_appearing_and_going_always_pass(predicate: Predicate) -> None:
    assert predicate(added())
    assert predicate(deleted())


@pytest.mark.parametrize("predicate", CHANGED)
def test_an_object_that_was_made_anew_unseen_always_passes(predicate: Predicate) -> None:
    assert predicate(updated({"uid": "1"}, uid="2"))


@pytest.mark.parametrize("predicate", CHANGED)
def test_a_resync_never_passes(predicate: Predicate) -> None:
    assert not predicate(updated())


@pytest.mark.parametrize(
    ("event", "passing"),
    [
        (updated(generation=2), {generation_changed, spec_or_lifecycle_changed}),
        (updated(resource_version="2"), {resource_version_changed}),
        (updated(labels={"a": "b"}), {labels_changed}),
        (updated(annotations={"a": "b"}), {annotations_changed}),
        (updated(finalizers=["f"]), {spec_or_lifecycle_changed}),
        (updated(deletion_timestamp="2026-01-01T00:00:00Z"), {spec_or_lifecycle_changed}),
    ],
)
def test_each_sees_its_own_aspect(event: CacheEvent, passing: set[Predicate]) -> None:
    assert {predicate for predicate in CHANGED if predicate(event)} == passing


def test_kinds_without_a_generation_pass_only_the_one_made_for_them() -> None:
    event = updated({"generation": 0}, generation=0, resource_version="2")
    assert spec_or_lifecycle_changed(event)
    assert not generation_changed(event)


def test_a_selector_sees_an_object_that_leaves_the_selection() -> None:
    passes = label_selector(selector({"app": "x"}))
    assert passes(added(labels={"app": "x"}))
    assert not passes(added(labels={"app": "y"}))
    assert passes(updated({"labels": {"app": "x"}}, labels={"app": "y"}))
    assert passes(updated({"labels": {"app": "y"}}, labels={"app": "x"}))
    assert not passes(updated({"labels": {"app": "y"}}, labels={"app": "z"}))
    assert passes(deleted(labels={"app": "x"}))


def test_any_state_looks_at_both() -> None:
    passes = any_state(lambda entry: entry.meta.generation > 5)
    assert [passes(updated({"generation": a}, generation=b)) for a, b in ((1, 1), (9, 1), (1, 9))] == [
        False,
        True,
        True,
    ]


def test_types_of_events() -> None:
    passes = on("added", "deleted")
    assert [passes(event) for event in (added(), updated(), deleted())] == [True, False, True]


def test_combinations() -> None:
    def never(_: CacheEvent) -> bool:
        return False

    def explode(_: CacheEvent) -> bool:
        raise AssertionError("evaluated although the outcome is known")

    always = not_(never)
    event = added()
    assert and_(always, always)(event)
    assert not and_(always, never, explode)(event)
    assert or_(never, always, explode)(event)
    assert not or_(never, never)(event)
    assert and_()(event)
    assert not or_()(event)
