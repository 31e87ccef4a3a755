"""The store against a model: a server with a history, a watch that lags, answers that arrive late, and lists of any age."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from controller_runtime.api.resource import ObjectKey
from controller_runtime.cache.endings import PATIENCE
from controller_runtime.cache.events import CacheEvent
from controller_runtime.cache.meta import Entry, Meta
from controller_runtime.cache.store import Store

NAMES = st.sampled_from(["a", "b", "c"])
State = dict[ObjectKey, Entry]


def key_of(name: str) -> ObjectKey:
    return ObjectKey("ns", name)


class StoreMachine(RuleBasedStateMachine):
    """`history[i]` is the server's state at version `i`, `changes[i - 1]` what version `i` changed, `times[i]` when it came."""

    whole = False
    """The watch selects nothing: what it reports as deleted is gone."""

    def __init__(self) -> None:
        super().__init__()
        self.history: list[State] = [{}]
        self.changes: list[tuple[str, Entry] | None] = []
        self.times = [0.0]
        self.time = 0.0
        self.uids = 0
        self.store = Store({"parity": lambda entry: [str(int(entry.meta.resource_version) % 2)]})
        self.watched = 0  # the version up to which the watch has reported
        self.written: list[Entry] = []  # answers to our writes that have not reached the store
        self.deleted: list[tuple[ObjectKey, str]] = []  # answers to our deletes that have not reached the store
        self.mirror: State = {}  # what a handler knows that only listens to events
        self.newest: dict[ObjectKey, int] = {}  # the newest version that a handler was told of each name
        self.dead: set[str] = set()  # uids that handlers have been told are gone
        self.ended: set[str] = set()  # uids of which our deletes were answered
        self.graves: State = {}  # what was deleted last, in its last state
        self.risen: set[str] = set()  # uids that a backup brought back, though our deletes of them were answered
        self.restored = 0  # the version at which the server was restored last
        self.hear(self.store.replace([], "0", initial=True))

    @property
    def version(self) -> int:
        return len(self.history) - 1

    @property
    def state(self) -> State:
        return self.history[-1]

    def hear(self, events: list[CacheEvent] | CacheEvent | None, *, rewound: bool = False) -> None:
        """Be the handler: every event must fit what the handler knows."""
        if rewound:
            self.newest.clear()
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
                case "deleted":
                    assert known is not None
                    assert event.old is not None
                    assert event.old.meta.uid == known.meta.uid or not self.whole
                    self.dead.add(event.old.meta.uid)
            if event.new is None:
                del self.mirror[event.key]
            else:
                uid, version = event.new.meta.uid, int(event.new.meta.resource_version)
                assert uid not in self.dead, "a deleted object rose again"
                assert uid in self.risen or version > self.newest.get(event.key, 0), "a name goes back in time"
                self.newest[event.key] = version
                self.mirror[event.key] = event.new

    def change(self, kind: str, key: ObjectKey, uid: str) -> Entry:
        version = self.version + 1
        entry = Entry(key, Meta(name=key.name, namespace="ns", uid=uid, resource_version=str(version)), b"{}")
        state = dict(self.state)
        if kind == "DELETED":
            self.graves[key] = state.pop(key)
        else:
            state[key] = entry
        self.happened(state, (kind, entry))
        return entry

    def happened(self, state: State, change: tuple[str, Entry] | None) -> None:
        self.history.append(state)
        self.changes.append(change)
        self.times.append(self.time)

    def report(self, change: tuple[str, Entry] | None) -> None:
        """Be the watch."""
        if change is not None:
            kind, entry = change
            deleted = kind == "DELETED"
            self.hear(self.store.remove(entry, final=self.whole) if deleted else self.store.put(entry))

    # What happens on the server

    @rule(seconds=st.sampled_from([1.0, PATIENCE / 2, PATIENCE]))
    def time_passes(self, seconds: float) -> None:
        self.time += seconds

    @rule(name=NAMES, ours=st.booleans())
    def write(self, name: str, ours: bool) -> None:
        """Somebody creates or updates an object; if it is us, the answer is on its way."""
        known = self.state.get(key_of(name))
        if known is None:
            self.uids += 1
            entry = self.change("ADDED", key_of(name), f"uid-{self.uids}")
        else:
            entry = self.change("MODIFIED", known.key, known.meta.uid)
        if ours:
            self.written.append(entry)

    @rule(name=NAMES, ours=st.booleans())
    def delete(self, name: str, ours: bool) -> None:
        """Somebody deletes an object; if it is us, the answer is on its way."""
        known = self.state.get(key_of(name))
        if known is not None:
            self.change("DELETED", known.key, known.meta.uid)
            if ours:
                self.deleted.append((known.key, known.meta.uid))

    @precondition(lambda self: self.watched > 0)
    @rule(data=st.data())
    def server_is_set_back(self, data: st.DataObject) -> None:
        """It was restored from a backup, and so are its versions: a list of its latest state is older than the watch."""
        version = data.draw(st.integers(max(0, self.watched - 6), self.watched - 1))
        del self.history[version + 1 :], self.changes[version:], self.times[version + 1 :]
        self.written.clear()
        self.deleted.clear()
        alive = {entry.meta.uid for entry in self.state.values()}
        self.dead -= alive
        self.ended -= alive
        self.risen.clear()
        self.graves.clear()
        self.restored = min(self.restored, version)
        self.hear(self.store.replace(list(self.state.values()), str(version), rewound=True), rewound=True)
        self.watched = version
        assert {entry.key: entry for entry in self.store} == self.state

    @rule(name=NAMES)
    def server_has_an_object_again(self, name: str) -> None:
        """It was restored from a backup, and its versions moved on: the next list is newer than anything we have seen."""
        grave = self.graves.get(key_of(name))
        if grave is None or key_of(name) in self.state:
            return
        uid = grave.meta.uid
        if uid in self.ended or uid in {uid for _, uid in self.deleted}:
            self.risen.add(uid)
        self.dead.discard(uid)
        self.ended.discard(uid)
        self.newest.pop(grave.key, None)
        self.happened({**self.state, grave.key: grave}, None)
        self.written.clear()
        self.restored = self.version
        self.list_at(self.version)

    # What reaches the store

    @precondition(lambda self: self.written)
    @rule(data=st.data())
    def answer_to_a_write_arrives(self, data: st.DataObject) -> None:
        entry = self.written.pop(data.draw(st.integers(0, len(self.written) - 1)))
        self.hear(self.store.accept(entry))
        stored = self.store.get(entry.key)
        version = int(entry.meta.resource_version)
        if stored is None:
            assert self.watched >= version or self.is_ended(entry), "a read after the write does not see it"
        else:
            assert int(stored.meta.resource_version) >= version, "a read after the write sees an older state"

    def is_ended(self, entry: Entry) -> bool:
        """Return whether our delete of this object, or of a later one of its name, was answered."""
        later = [change[1] for change in self.changes[int(entry.meta.resource_version) :] if change is not None]
        uids = {entry.meta.uid, *(other.meta.uid for other in later if other.key == entry.key)}
        return not uids.isdisjoint(self.ended | self.risen)

    @precondition(lambda self: self.deleted)
    @rule(data=st.data())
    def answer_to_a_delete_arrives(self, data: st.DataObject) -> None:
        key, uid = self.deleted.pop(data.draw(st.integers(0, len(self.deleted) - 1)))
        if uid not in self.risen:
            self.ended.add(uid)
        self.hear(self.store.end(key, uid, self.time))
        if uid in self.risen:
            self.dead.discard(uid)
        stored = self.store.get(key)
        assert stored is None or stored.meta.uid != uid, "a read after the delete finds the object"

    @precondition(lambda self: self.watched < self.version)
    @rule()
    def watch_reports(self) -> None:
        self.watched += 1
        self.report(self.changes[self.watched - 1])
        self.store.advance(str(self.watched))

    @precondition(lambda self: self.watched < self.version)
    @rule()
    def watch_repeats(self) -> None:
        """A watch that was opened again from too early a version repeats itself."""
        for change in self.changes[max(self.restored, self.watched - 3) : self.watched]:
            self.report(change)

    @precondition(lambda self: all(self.time - at < PATIENCE for at in self.times[self.watched + 1 :]))
    @rule()
    def watch_is_complete(self) -> None:
        """A bookmark comes; the watch does not lag by as much as a minute."""
        self.store.advance(str(self.watched))
        self.hear(self.store.settle(self.time))

    @rule(data=st.data())
    def list_arrives(self, data: st.DataObject) -> None:
        """The collection is read again, perhaps from a server that lags; the watch goes on from the newer of both."""
        self.list_at(data.draw(st.integers(max(self.restored, self.version - 6), self.version)))

    def list_at(self, version: int) -> None:
        self.hear(self.store.replace(list(self.history[version].values()), str(version)))
        self.watched = max(self.watched, version)

    # What must be true at any time

    @invariant()
    def the_handler_knows_what_the_store_holds(self) -> None:
        assert self.mirror == {entry.key: entry for entry in self.store}

    @invariant()
    def nothing_is_newer_than_the_server(self) -> None:
        for entry in self.store:
            assert int(entry.meta.resource_version) <= self.version

    @invariant()
    def what_our_deletes_have_ended_is_not_there(self) -> None:
        assert self.ended.isdisjoint(entry.meta.uid for entry in self.store)

    @invariant()
    def the_index_agrees_with_the_entries(self) -> None:
        for parity in ("0", "1"):
            expected = {entry.key for entry in self.store if int(entry.meta.resource_version) % 2 == int(parity)}
            assert set(self.store.index("parity").keys(parity)) == expected

    @invariant()
    def what_the_watch_has_reported_is_in_the_store(self) -> None:
        """Each object is at least as new as it was at the version the watch has reached, unless our delete has ended it."""
        for key, entry in self.history[self.watched].items():
            stored = self.store.get(key)
            if stored is None:
                assert self.is_ended(entry)
            else:
                assert int(stored.meta.resource_version) >= int(entry.meta.resource_version)

    def teardown(self) -> None:
        for entry in self.written:
            self.hear(self.store.accept(entry))
        while self.deleted:
            key, uid = self.deleted.pop()
            self.hear(self.store.end(key, uid, self.time))
            self.dead -= self.risen
        while self.watched < self.version:
            self.watch_reports()
        self.time += PATIENCE
        self.watch_is_complete()
        assert {entry.key: entry for entry in self.store} == self.state == self.mirror
        assert not self.store._endings.by_key, "an end is remembered for ever"


class WholeStoreMachine(StoreMachine):
    whole = True


StoreMachine.TestCase.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
WholeStoreMachine.TestCase.settings = StoreMachine.TestCase.settings
TestStoreAgainstAModel = StoreMachine.TestCase
TestStoreOfAllObjectsAgainstAModel = WholeStoreMachine.TestCase
