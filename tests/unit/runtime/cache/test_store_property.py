"""The store against a model: a server with a history, a watch that lags, writes that arrive late, and lists of any age."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from controller_runtime.api.resource import ObjectKey
from controller_runtime.cache.events import CacheEvent
from controller_runtime.cache.meta import Entry, Meta
from controller_runtime.cache.store import Store

NAMES = st.sampled_from(["a", "b", "c"])
State = dict[ObjectKey, Entry]


class StoreMachine(RuleBasedStateMachine):
    """`history[i]` is the server's state at version `i`; `changes[i]` is what version `i` changed."""

    def __init__(self) -> None:
        super().__init__()
        self.history: list[State] = [{}]
        self.changes: list[tuple[str, Entry]] = []
        self.uids = 0
        self.store = Store({"parity": lambda entry: [str(int(entry.meta.resource_version) % 2)]})
        self.watched = 0  # the version up to which the watch has reported
        self.in_flight: list[Entry] = []  # answers to writes that have not reached the store
        self.mirror: State = {}  # what a handler knows that only listens to events
        self.dead: dict[str, int] = {}  # uids that handlers have been told are gone
        self.hear(self.store.replace([], "0", initial=True))

    @property
    def version(self) -> int:
        return len(self.history) - 1

    @property
    def state(self) -> State:
        return self.history[-1]

    def hear(self, events: list[CacheEvent | None] | list[CacheEvent] | CacheEvent | None) -> None:
        """Be the handler: every event must fit what the handler knows."""
        for event in events if isinstance(events, list) else [events]:
            if event is None:
                continue
            known = self.mirror.get(event.key)
            match event.type:
                case "added":
                    assert known is None
                case "updated":
                    assert known is not None
                    assert event.old is known
                    assert event.new is not None
                    assert int(event.new.meta.resource_version) > int(known.meta.resource_version)
                case "deleted":
                    assert known is not None
                    assert event.old is not None
                    self.dead[event.old.meta.uid] = self.version
            if event.new is None:
                del self.mirror[event.key]
            else:
                assert event.new.meta.uid not in self.dead, "a deleted object rose again"
                self.mirror[event.key] = event.new

    def change(self, kind: str, name: str, uid: str) -> Entry:
        key = ObjectKey("ns", name)
        version = self.version + 1
        entry = Entry(key, Meta(name=name, namespace="ns", uid=uid, resource_version=str(version)), b"{}")
        state = dict(self.state)
        if kind == "DELETED":
            del state[key]
        else:
            state[key] = entry
        self.history.append(state)
        self.changes.append((kind, entry))
        return entry

    @rule(name=NAMES, ours=st.booleans())
    def write(self, name: str, ours: bool) -> None:
        """Somebody creates or updates an object; if it is us, the answer is on its way."""
        known = self.state.get(ObjectKey("ns", name))
        if known is None:
            self.uids += 1
            entry = self.change("ADDED", name, f"uid-{self.uids}")
        else:
            entry = self.change("MODIFIED", name, known.meta.uid)
        if ours:
            self.in_flight.append(entry)

    @rule(name=NAMES)
    def delete(self, name: str) -> None:
        known = self.state.get(ObjectKey("ns", name))
        if known is not None:
            self.change("DELETED", name, known.meta.uid)

    @precondition(lambda self: self.in_flight)
    @rule(data=st.data())
    def answer_arrives(self, data: st.DataObject) -> None:
        entry = self.in_flight.pop(data.draw(st.integers(0, len(self.in_flight) - 1)))
        self.hear(self.store.accept(entry))
        stored = self.store.get(entry.key)
        version = int(entry.meta.resource_version)
        if stored is None:
            assert self.watched >= version, "a read after the write does not see it"
        else:
            assert int(stored.meta.resource_version) >= version, "a read after the write sees an older state"

    @precondition(lambda self: self.watched < self.version)
    @rule()
    def watch_reports(self) -> None:
        self.watched += 1
        kind, entry = self.changes[self.watched - 1]
        self.hear(self.store.remove(entry) if kind == "DELETED" else self.store.put(entry))
        self.store.advance(str(self.watched))

    @precondition(lambda self: self.watched < self.version)
    @rule()
    def watch_repeats(self) -> None:
        """A watch that was opened again from too early a version repeats itself."""
        for kind, entry in self.changes[max(0, self.watched - 3) : self.watched]:
            self.hear(self.store.remove(entry) if kind == "DELETED" else self.store.put(entry))

    @rule(data=st.data())
    def list_arrives(self, data: st.DataObject) -> None:
        """The collection is read again, perhaps from a server that lags; the watch goes on from the newer of both."""
        version = data.draw(st.integers(max(0, self.version - 6), self.version))
        self.hear(self.store.replace(list(self.history[version].values()), str(version)))
        self.watched = max(self.watched, version)

    @invariant()
    def the_handler_knows_what_the_store_holds(self) -> None:
        assert self.mirror == {entry.key: entry for entry in self.store}

    @invariant()
    def nothing_is_newer_than_the_server(self) -> None:
        for entry in self.store:
            assert int(entry.meta.resource_version) <= self.version

    @invariant()
    def the_index_agrees_with_the_entries(self) -> None:
        for parity in ("0", "1"):
            expected = {entry.key for entry in self.store if int(entry.meta.resource_version) % 2 == int(parity)}
            assert set(self.store.index("parity").keys(parity)) == expected

    @invariant()
    def what_the_watch_has_reported_is_in_the_store(self) -> None:
        """Each object is at least as new as it was at the version the watch has reached."""
        for key, entry in self.history[self.watched].items():
            stored = self.store.get(key)
            assert stored is not None
            assert int(stored.meta.resource_version) >= int(entry.meta.resource_version)

    def teardown(self) -> None:
        for entry in self.in_flight:
            self.hear(self.store.accept(entry))
        while self.watched < self.version:
            self.watch_reports()
        assert {entry.key: entry for entry in self.store} == self.state


StoreMachine.TestCase.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
TestStoreAgainstAModel = StoreMachine.TestCase
