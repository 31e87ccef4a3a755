"""What our writes have changed in PD is known at once, and until a look at PD that begins later knows better."""

from __future__ import annotations

from tikv_operator.pdclient import PDSnapshot, Store
from tikv_operator.pdclient.notes import Notes

A = "a:20160"


def seen(*evicting: str, **labels: str) -> PDSnapshot:
    return PDSnapshot(stores={A: Store(id="1", address=A, labels=labels)}, evicting=frozenset(evicting))


def test_a_look_that_began_before_the_write_does_not_undo_it() -> None:
    notes = Notes()
    notes.look_begins()
    notes.evicting("1", True)
    notes.labels("1", {"zone": "a"})
    found = notes.look_succeeds(seen())
    assert found.evicting == {"1"}
    assert dict(found.stores[A].labels) == {"zone": "a"}


def test_the_next_one_knows_better() -> None:
    notes = Notes()
    notes.evicting("1", True)
    notes.labels("1", {"zone": "a"})
    notes.look_begins()
    found = notes.look_succeeds(seen(zone="b"))
    assert found.evicting == frozenset()
    assert dict(found.stores[A].labels) == {"zone": "b"}
    assert not notes.waits("1")


def test_a_look_that_fails_knows_nothing() -> None:
    notes = Notes()
    notes.evicting("1", False)
    notes.look_begins()
    assert notes.waits("1")
    assert notes.on(seen("1")).evicting == frozenset()
    notes.look_begins()
    notes.look_succeeds(seen())
    assert not notes.waits("1")


def test_of_two_writes_the_earlier_is_forgotten_alone() -> None:
    notes = Notes()
    notes.labels("1", {"zone": "a", "host": "x"})
    notes.look_begins()
    notes.labels("1", {"zone": None})
    assert dict(notes.look_succeeds(seen(zone="b", host="y")).stores[A].labels) == {"host": "y"}


def test_an_end_is_confirmed_by_a_look_that_sees_no_eviction() -> None:
    notes = Notes()
    notes.evicting("1", False)
    assert not notes.has_ended("1")
    notes.look_begins()
    notes.look_succeeds(seen())
    assert notes.has_ended("1")


def test_and_not_by_one_that_sees_it_go_on() -> None:
    notes = Notes()
    notes.evicting("1", False)
    notes.look_begins()
    assert notes.look_succeeds(seen("1")).evicting == {"1"}
    assert not notes.has_ended("1")
    assert not notes.waits("1")


def test_a_new_eviction_has_not_ended() -> None:
    notes = Notes()
    notes.evicting("1", False)
    notes.look_begins()
    notes.look_succeeds(seen())
    notes.evicting("1", True)
    assert not notes.has_ended("1")
