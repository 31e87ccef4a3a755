"""Which events of a watched kind are worth a run.

A predicate is a function of a `CacheEvent`; a watch lets an event through if all its predicates say True. Those that compare
two states (`generation_changed` and its like) let every event through that is not an update.

Choose `spec_or_lifecycle_changed` for the kind a controller reconciles: unlike `generation_changed` it never loses the moment
at which an object is marked for deletion or loses a finalizer, nor updates of kinds that have no generation (ConfigMaps,
Secrets).

Concurrency: predicates are pure; they run synchronously for each event, so they must be quick and must not block.
"""

from __future__ import annotations

from collections.abc import Callable

from controller_runtime.api.selectors import Selector
from controller_runtime.cache import CacheEvent, Entry, EventType, Meta

__all__ = [
    "Predicate",
    "and_",
    "annotations_changed",
    "any_state",
    "generation_changed",
    "label_selector",
    "labels_changed",
    "not_",
    "on",
    "or_",
    "resource_version_changed",
    "spec_or_lifecycle_changed",
]

Predicate = Callable[[CacheEvent], bool]


def generation_changed(event: CacheEvent) -> bool:
    """An update changed the generation: for most kinds, their spec.

    The server raises the generation for changes of the spec and for the deletion mark only, and only of kinds that have
    one: see `spec_or_lifecycle_changed`. Switches resyncs off.
    """
    return _differs(event, lambda meta: meta.generation)


def spec_or_lifecycle_changed(event: CacheEvent) -> bool:
    """An update changed the generation, the deletion mark or the finalizers, or the kind keeps no generation."""
    if event.new is not None and not event.new.meta.generation:
        return True
    return _differs(event, lambda meta: (meta.generation, meta.deletion_timestamp, meta.finalizers))


def resource_version_changed(event: CacheEvent) -> bool:
    """An update changed anything at all: switches resyncs off."""
    return _differs(event, lambda meta: meta.resource_version)


def labels_changed(event: CacheEvent) -> bool:
    """An update changed the labels."""
    return _differs(event, lambda meta: meta.labels)


def annotations_changed(event: CacheEvent) -> bool:
    """An update changed the annotations."""
    if event.new is None or event.old is None or _made_anew(event.new, event.old):
        return True
    return event.new.annotations != event.old.annotations


def _differs(event: CacheEvent, aspect: Callable[[Meta], object]) -> bool:
    """Whether an update changed this aspect, or the object was deleted and made anew unseen. True for other events."""
    if event.new is None or event.old is None or _made_anew(event.new, event.old):
        return True
    return aspect(event.new.meta) != aspect(event.old.meta)


def _made_anew(new: Entry, old: Entry) -> bool:
    return new.meta.uid != old.meta.uid


def any_state(test: Callable[[Entry], bool]) -> Predicate:
    """Let events through of objects that pass `test`, now or before the event.

    Looking at both states means that an object that stops passing is seen once more: its watcher learns that it left.
    """

    def predicate(event: CacheEvent) -> bool:
        return (event.new is not None and test(event.new)) or (event.old is not None and test(event.old))

    return predicate


def label_selector(selector: Selector) -> Predicate:
    """Let events through of objects that match `selector`, now or before the event."""
    return any_state(lambda entry: selector.matches(entry.meta.labels))


def on(*types: EventType) -> Predicate:
    """Let events of these types through: `added`, `updated`, `deleted`."""
    return lambda event: event.type in types


def and_(*predicates: Predicate) -> Predicate:
    """All of them; the first False ends the evaluation."""
    return lambda event: all(predicate(event) for predicate in predicates)


def or_(*predicates: Predicate) -> Predicate:
    """Any of them; the first True ends the evaluation."""
    return lambda event: any(predicate(event) for predicate in predicates)


def not_(predicate: Predicate) -> Predicate:
    """The opposite."""
    return lambda event: not predicate(event)
