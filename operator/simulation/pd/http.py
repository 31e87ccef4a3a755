"""PD's HTTP API as a pure function of the core: method, path, query and body in, status and JSON out.

Served are the calls that an operator of TiKV makes; anything else is answered 404, as by PD. Like PD's, answers are
indented JSON with a line end, errors are JSON strings (for a body that makes no sense, objects), stores come in no order, and
a PD without leader says so in plain text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

import msgspec

from tikv_operator.simulation.pd import shapes
from tikv_operator.simulation.pd.core import SimulatedPD
from tikv_operator.simulation.pd.items import check_items
from tikv_operator.simulation.pd.members import MemberRefused
from tikv_operator.simulation.pd.stores import PDRefused, StoreGone, StoreNotFound

__all__ = ["Answer", "handle"]

Params = Sequence[tuple[str, str]]
Answer = tuple[int, bytes]

_NOT_BOOTSTRAPPED: Final = "[PD:cluster:ErrNotBootstrapped]TiKV cluster not bootstrapped, please start TiKV first"
_SCHEDULERS: Final = ("balance-hot-region-scheduler", "balance-leader-scheduler", "balance-region-scheduler")
_EVICT_LEADER: Final = "evict-leader-scheduler"
_NO_SCHEDULER: Final = "[PD:scheduler:ErrSchedulerNotFound]scheduler not found"
_NO_PAGE: Final = b"404 page not found\n"
_LABEL_KEY: Final = r"^[$]?[A-Za-z0-9]([-A-Za-z0-9_./]*[A-Za-z0-9])?$"
_LABEL_VALUE: Final = r"^[-A-Za-z0-9_./]*$"


@dataclass(frozen=True, slots=True)
class _Call:
    """One request, with the parts of its path that the route names."""

    pd: SimulatedPD
    now: float
    params: Params
    body: bytes
    parts: tuple[str, ...]

    @property
    def store_id(self) -> int:
        return int(self.parts[0])

    @property
    def evicting(self) -> AbstractSet[int]:
        return self.pd.evicting_now(self.now)


class _BadInput(Exception):
    """The request's query makes no sense."""


class _BadBody(Exception):
    """The request's body makes no sense."""


class _Evict(msgspec.Struct):
    name: str = ""
    store_id: int | None = None


def handle(pd: SimulatedPD, method: str, path: str, params: Params, body: bytes, *, now: float) -> Answer:
    """Answer one request.

    Args:
        path: the absolute path, quoted, without the query.
        params: the query, unquoted.
        now: seconds since the epoch.
    """
    pd.tick(now)
    if not pd.serving(now):
        return 503, b"no leader\n"
    allowed = False
    for route in _ROUTES:
        found = route.pattern.fullmatch(path)
        if found is None:
            continue
        allowed = True
        if route.method == method:
            call = _Call(pd, now, params, body, tuple(map(unquote, found.groups())))
            return _answer(route, call)
    return (405, b"") if allowed else (404, _NO_PAGE)


def _answer(route: _Route, call: _Call) -> Answer:
    if route.unborn and not call.pd.bootstrapped:
        return route.unborn, _json(_NOT_BOOTSTRAPPED)
    try:
        status, value = route.run(call)
    except StoreNotFound as error:
        status, value = 404, str(error)
    except StoreGone as error:
        status, value = 410, str(error)
    except MemberRefused as error:
        status, value = 500, str(error)
    except (PDRefused, _BadInput) as error:
        status, value = 400, str(error)
    except _BadBody as error:
        status, value = 400, {"code": "input", "msg": str(error), "data": {}}
    return status, value if isinstance(value, bytes) else _json(value)


def _json(value: Any) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"


def _decode(call: _Call, kind: Any) -> Any:
    try:
        return msgspec.json.decode(call.body, type=kind)
    except msgspec.MsgspecError as error:
        raise _BadBody(str(error)) from error


def _check(text: str, pattern: str) -> None:
    if re.match(pattern, text) is None:
        msg = f'{text} does not match format "{pattern}"'
        raise _BadBody(msg)


# -- the calls


def _stores(call: _Call) -> tuple[int, Any]:
    states = {value for key, value in call.params if key == "state"} or {"0", "1"}
    wanted = [store for store in call.pd.stores() if str(store.state.state) in states]
    wanted.sort(key=lambda store: (store.id % 3, store.id))  # nobody may depend on an order
    return 200, shapes.stores(call.pd, wanted, call.now)


def _store(call: _Call) -> tuple[int, Any]:
    return 200, shapes.store(call.pd, call.pd.store(call.store_id), call.now)


def _remove_store(call: _Call) -> tuple[int, Any]:
    call.pd.remove_store(call.store_id, call.now)
    return 200, "The store is set as Offline."


def _set_state(call: _Call) -> tuple[int, Any]:
    state = next((value for key, value in call.params if key == "state"), "")
    match state.lower():
        case "up":
            call.pd.restore_store(call.store_id, call.now)
        case "offline":
            call.pd.remove_store(call.store_id, call.now)
        case _:
            msg = f"invalid state {state}"
            raise _BadInput(msg)
    return 200, "The store's state is updated."


def _set_labels(call: _Call) -> tuple[int, Any]:
    labels = _decode(call, dict[str, str])
    for key, value in labels.items():
        _check(key, _LABEL_KEY)
        _check(value, _LABEL_VALUE)
    try:
        call.pd.set_labels(call.store_id, labels, call.now)
    except StoreNotFound:
        return 500, _invalid_store(call)
    return 200, "The store's label is updated."


def _delete_label(call: _Call) -> tuple[int, Any]:
    key = _decode(call, str)
    _check(key, _LABEL_KEY)
    try:
        call.pd.delete_label(call.store_id, key, call.now)
    except StoreNotFound:
        return 500, _invalid_store(call)
    except PDRefused as error:
        return 500, str(error)
    return 200, f"The label {key} is deleted for store {call.store_id}."


def _invalid_store(call: _Call) -> str:
    return f"[PD:cluster:ErrInvalidStoreID]invalid store id {call.store_id}, not found"


def _schedulers(call: _Call) -> tuple[int, Any]:
    usual = _SCHEDULERS if call.pd.prepared(call.now) else ()
    return 200, [*usual, _EVICT_LEADER] if call.evicting else list(usual)


def _add_scheduler(call: _Call) -> tuple[int, Any]:
    wanted = _decode(call, _Evict)
    if not wanted.name:
        return 400, "missing scheduler name"
    if wanted.name != _EVICT_LEADER:
        return 400, "unknown scheduler"
    if wanted.store_id is None:
        return 400, "missing store id"
    first = not call.evicting
    try:
        call.pd.evict_leaders(wanted.store_id, call.now)
    except PDRefused as error:
        return 500, str(error)
    return 200, "The scheduler is created." if first else "The scheduler has been applied to the store."


def _remove_scheduler(call: _Call) -> tuple[int, Any]:
    name = call.parts[0]
    if name == _EVICT_LEADER and call.evicting:
        for store in list(call.evicting):
            call.pd.stop_evicting(store, call.now)
        return 200, "The scheduler is removed."
    number = name.removeprefix(f"{_EVICT_LEADER}-")
    if number == name:
        return 404, _NO_SCHEDULER
    if not call.pd.bootstrapped:
        return 406, None
    known = number.isdecimal() and call.pd.stop_evicting(int(number), call.now)
    return 200 if known else 404, None


def _evict_list(call: _Call) -> tuple[int, Any]:
    return (200, shapes.evict_leader_config(call.evicting)) if call.evicting else (404, _NO_PAGE)


def _transfer_leader(call: _Call) -> tuple[int, Any]:
    call.pd.members.transfer(call.parts[0], call.now)
    return 200, "The transfer command is submitted."


def _resign_leader(call: _Call) -> tuple[int, Any]:
    call.pd.members.resign(call.now)
    return 200, "The resign command is submitted."


def _ready(call: _Call) -> tuple[int, Any]:
    """Say whether the leader has loaded its regions."""
    leader = call.pd.members.leader
    loaded = leader is not None and call.pd.members.has_loaded(leader.name, call.now)
    return (200, None) if loaded else (500, "regions not loaded yet")


def _set_config(call: _Call) -> tuple[int, Any]:
    items = _decode(call, dict[str, Any])
    check_items(items)
    if not call.pd.bootstrapped and any(name.startswith("replication.") for name in items):
        return 400, _NOT_BOOTSTRAPPED
    call.pd.set_config(items)
    return 200, "The config is updated."


def _set_member(call: _Call) -> tuple[int, Any]:
    name = call.parts[0]
    if call.pd.members.get(name) is None:
        return 404, f"not found, pd: {name}"
    for key, value in _decode(call, dict[str, Any]).items():
        if key == "leader-priority":
            if not isinstance(value, int | float):
                return 400, "bad format leader priority"
            call.pd.members.prioritize(name, int(value))
    return 200, "success"


def _delete_member(call: _Call) -> tuple[int, Any]:
    name = call.parts[0]
    if not call.pd.member_left(name, call.now):
        return 404, f"not found, pd: {name}"
    return 200, f"removed, pd: {name}"


def _delete_member_by_id(call: _Call) -> tuple[int, Any]:
    number = int(call.parts[0])
    name = next((member.name for member in call.pd.members.all() if member.id == number), "")
    if not name:
        return 500, "[PD:etcd:ErrEtcdMemberRemove]etcdserver: member not found"
    call.pd.member_left(name, call.now)
    return 200, f"removed, pd: {number}"


@dataclass(frozen=True, slots=True)
class _Route:
    method: str
    pattern: re.Pattern[str]
    run: Callable[[_Call], tuple[int, Any]]
    unborn: int
    """The status of the answer while no store has registered; 0 if none is needed."""


def _route(method: str, path: str, run: Callable[[_Call], tuple[int, Any]], *, unborn: int = 500) -> _Route:
    pattern = path.replace("{id}", r"(\d+)").replace("{name}", r"([^/]+)")
    return _Route(method, re.compile(f"/pd/api/{pattern}"), run, unborn)


_ROUTES: Final = (
    _route("GET", "v1/cluster", lambda call: (200, shapes.cluster(call.pd)), unborn=0),
    _route("GET", "v1/members", lambda call: (200, shapes.members(call.pd)), unborn=0),
    _route("POST", "v1/members/name/{name}", _set_member, unborn=0),
    _route("DELETE", "v1/members/name/{name}", _delete_member, unborn=0),
    _route("DELETE", "v1/members/id/{id}", _delete_member_by_id, unborn=0),
    _route("GET", "v1/leader", lambda call: (200, shapes.leader(call.pd)), unborn=0),
    _route("POST", "v1/leader/resign", _resign_leader, unborn=0),
    _route("POST", "v1/leader/transfer/{name}", _transfer_leader, unborn=0),
    _route("GET", "v1/health", lambda call: (200, shapes.health(call.pd)), unborn=0),
    _route("GET", "v2/ready", _ready, unborn=0),
    _route("POST", "v1/config", _set_config, unborn=0),
    _route("GET", "v1/config/rules", lambda call: (200, shapes.placement_rules(call.pd))),
    _route("GET", "v1/config", lambda call: (200, shapes.config(call.pd)), unborn=0),
    _route("GET", "v1/stores", _stores),
    _route("GET", "v1/store/{id}", _store),
    _route("DELETE", "v1/store/{id}", _remove_store),
    _route("POST", "v1/store/{id}/state", _set_state),
    _route("POST", "v1/store/{id}/label", _set_labels),
    _route("DELETE", "v1/store/{id}/label", _delete_label),
    _route("GET", "v1/regions/check/down-peer", lambda call: (200, shapes.down_peers(call.pd, call.now))),
    _route("GET", "v1/schedulers", _schedulers),
    _route("POST", "v1/schedulers", _add_scheduler),
    _route("DELETE", f"v1/schedulers/({_EVICT_LEADER}-[^/]*)", _remove_scheduler, unborn=0),
    _route("DELETE", "v1/schedulers/{name}", _remove_scheduler),
    _route("GET", f"v1/scheduler-config/{_EVICT_LEADER}/list", _evict_list, unborn=406),
)
