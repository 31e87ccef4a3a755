"""PD's HTTP API as a pure function of the core: method, path, query and body in, status and JSON out.

Served are the calls that an operator of TiKV makes; anything else is answered 404, as by PD. Like PD's, answers are
indented JSON with a line end, errors are JSON strings, and a PD without leader says so in plain text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

import msgspec

from tikv_operator.simulation.pd import shapes
from tikv_operator.simulation.pd.core import SimulatedPD
from tikv_operator.simulation.pd.stores import PDRefused, StoreGone, StoreNotFound

__all__ = ["Answer", "handle"]

Params = Sequence[tuple[str, str]]
Answer = tuple[int, bytes]

_NOT_BOOTSTRAPPED: Final = "[PD:cluster:ErrNotBootstrapped]TiKV cluster not bootstrapped, please start TiKV first"
_SCHEDULERS: Final = ("balance-hot-region-scheduler", "balance-leader-scheduler", "balance-region-scheduler")
_EVICT_LEADER: Final = "evict-leader-scheduler"
_NO_SCHEDULER: Final = "[PD:scheduler:ErrSchedulerNotFound]scheduler not found"


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


class _BadInput(Exception):
    """The request's body or query makes no sense."""


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
    return (405, b"") if allowed else (404, b"404 page not found\n")


def _answer(route: _Route, call: _Call) -> Answer:
    if route.needs_store and not call.pd.bootstrapped:
        return 500, _json(_NOT_BOOTSTRAPPED)
    try:
        status, value = route.run(call)
    except StoreNotFound as error:
        status, value = 404, str(error)
    except StoreGone as error:
        status, value = 410, str(error)
    except (PDRefused, _BadInput) as error:
        status, value = 400, str(error)
    return status, _json(value)


def _json(value: Any) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"


def _decode(call: _Call, kind: Any) -> Any:
    try:
        return msgspec.json.decode(call.body, type=kind)
    except msgspec.MsgspecError as error:
        raise _BadInput(str(error)) from error


# -- the calls


def _stores(call: _Call) -> tuple[int, Any]:
    states = {value for key, value in call.params if key == "state"} or {"0", "1"}
    wanted = [store for store in call.pd.stores() if str(store.state.state) in states]
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
    try:
        call.pd.set_labels(call.store_id, labels, call.now)
    except StoreNotFound as error:
        return 500, str(error)
    return 200, "The store's label is updated."


def _delete_label(call: _Call) -> tuple[int, Any]:
    key = _decode(call, str)
    try:
        call.pd.delete_label(call.store_id, key, call.now)
    except PDRefused as error:
        return 500, str(error)
    return 200, f"The label {key} is deleted for store {call.store_id}."


def _schedulers(call: _Call) -> tuple[int, Any]:
    return 200, [*_SCHEDULERS, _EVICT_LEADER] if call.pd.evicting else list(_SCHEDULERS)


def _add_scheduler(call: _Call) -> tuple[int, Any]:
    wanted = _decode(call, _Evict)
    if not wanted.name:
        return 400, "missing scheduler name"
    if wanted.name != _EVICT_LEADER:
        return 400, "unknown scheduler"
    if wanted.store_id is None:
        return 400, "missing store id"
    try:
        call.pd.evict_leaders(wanted.store_id, call.now)
    except PDRefused as error:
        return 500, str(error)
    return 200, "The scheduler is created."


def _remove_scheduler(call: _Call) -> tuple[int, Any]:
    name = call.parts[0]
    if name == _EVICT_LEADER and call.pd.evicting:
        for store in list(call.pd.evicting):
            call.pd.stop_evicting(store, call.now)
        return 200, "The scheduler is removed."
    digits = name.removeprefix(f"{_EVICT_LEADER}-")
    if not digits.isdecimal() or not call.pd.stop_evicting(int(digits), call.now):
        return 404, _NO_SCHEDULER
    return 200, "The scheduler is removed."


def _evict_list(call: _Call) -> tuple[int, Any]:
    return (200, shapes.evict_leader_list(call.pd)) if call.pd.evicting else (404, _NO_SCHEDULER)


def _transfer_leader(call: _Call) -> tuple[int, Any]:
    name = call.parts[0]
    if call.pd.members.get(name) is None:
        return 500, f"not found, pd: {name}"
    if not call.pd.members.transfer(name):
        return 500, f"etcdserver: unhealthy cluster, {name} does not run"
    return 200, "The transfer command is submitted."


def _delete_member(call: _Call) -> tuple[int, Any]:
    name = call.parts[0]
    if not call.pd.member_left(name, call.now):
        return 404, f"not found, pd: {name}"
    return 200, f"removed, pd: {name}"


@dataclass(frozen=True, slots=True)
class _Route:
    method: str
    pattern: re.Pattern[str]
    run: Callable[[_Call], tuple[int, Any]]
    needs_store: bool


def _route(method: str, path: str, run: Callable[[_Call], tuple[int, Any]], *, needs_store: bool = True) -> _Route:
    pattern = path.replace("{id}", r"(\d+)").replace("{name}", r"([^/]+)")
    return _Route(method, re.compile(f"/pd/api/{pattern}"), run, needs_store)


_ROUTES: Final = (
    _route("GET", "v1/cluster", lambda call: (200, shapes.cluster(call.pd)), needs_store=False),
    _route("GET", "v1/members", lambda call: (200, shapes.members(call.pd)), needs_store=False),
    _route("DELETE", "v1/members/name/{name}", _delete_member, needs_store=False),
    _route("POST", "v1/leader/transfer/{name}", _transfer_leader, needs_store=False),
    _route("GET", "v1/health", lambda call: (200, shapes.health(call.pd)), needs_store=False),
    _route("GET", "v2/ready", lambda call: (200, None), needs_store=False),
    _route("GET", "v1/config", lambda call: (200, shapes.config(call.pd)), needs_store=False),
    _route("GET", "v1/stores", _stores),
    _route("GET", "v1/store/{id}", _store),
    _route("DELETE", "v1/store/{id}", _remove_store),
    _route("POST", "v1/store/{id}/state", _set_state),
    _route("POST", "v1/store/{id}/label", _set_labels),
    _route("DELETE", "v1/store/{id}/label", _delete_label),
    _route("GET", "v1/regions/check/down-peer", lambda call: (200, shapes.down_peers(call.pd, call.now))),
    _route("GET", "v1/schedulers", _schedulers),
    _route("POST", "v1/schedulers", _add_scheduler),
    _route("DELETE", "v1/schedulers/{name}", _remove_scheduler),
    _route("GET", f"v1/scheduler-config/{_EVICT_LEADER}/list", _evict_list),
)
