"""TiKV's configuration file: the user's TOML with what only the operator knows written over it.

The text is TiDB Operator's byte for byte (see `common.toml`). A table that only the operator fills keeps the order in which
its fields are listed here; a table that the user has, too, is sorted. Pure functions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tikv_operator.api import Cluster, Feature, RemoteWorkers, TiKV
from tikv_operator.common import names
from tikv_operator.common.errors import ConfigInvalid
from tikv_operator.common.features import enabled_features
from tikv_operator.common.toml import Declared, dump_toml, parse_toml
from tikv_operator.tikv import paths

__all__ = ["data_directory", "render_config"]

Field = tuple[str, str]
Value = str | list[str]

_SERVER_ADDR: Final[Field] = ("server", "addr")
_SERVER_ADVERTISE_ADDR: Final[Field] = ("server", "advertise-addr")
_SERVER_STATUS_ADDR: Final[Field] = ("server", "status-addr")
_SERVER_ADVERTISE_STATUS_ADDR: Final[Field] = ("server", "advertise-status-addr")
_DATA_DIR: Final[Field] = ("storage", "data-dir")
_PD_ENDPOINTS: Final[Field] = ("pd", "endpoints")
_CA_PATH: Final[Field] = ("security", "ca-path")
_CERT_PATH: Final[Field] = ("security", "cert-path")
_KEY_PATH: Final[Field] = ("security", "key-path")
_COMPACTOR: Final[Field] = ("dfs", "remote-compactor-addr")
_COPROCESSOR: Final[Field] = ("kvengine", "remote-coprocessor-addr")
_WORKER: Final[Field] = ("kvengine", "remote-worker-addr")

_MANAGED: Final = (
    _SERVER_ADDR,
    _SERVER_ADVERTISE_ADDR,
    _SERVER_STATUS_ADDR,
    _SERVER_ADVERTISE_STATUS_ADDR,
    _DATA_DIR,
    _PD_ENDPOINTS,
    _CA_PATH,
    _CERT_PATH,
    _KEY_PATH,
)
"""What a user must not set, in the order in which a complaint lists them."""

_OVERRIDABLE: Final = (_COMPACTOR, _COPROCESSOR, _WORKER)
"""What a user may set as long as `remoteWorkers` doesn't."""


def render_config(tikv: TiKV, cluster: Cluster) -> str:
    """Return the text of TiKV's configuration file.

    Args:
        cluster: must have a PD URL in its status.

    Raises:
        ConfigInvalid: the user's configuration isn't TOML, has a value of a wrong type, or sets a managed field.
    """
    try:
        tree = parse_toml(tikv.spec.config or "")
    except ValueError as error:
        msg = f"tikv config cannot be decoded: {error}"
        raise ConfigInvalid(msg) from error
    known = _read_known(tree)
    taken = [".".join(field) for field in _MANAGED if known.get(field)]
    if taken:
        fields = " ".join(taken)
        msg = f"cannot generate tikv config: [{fields}]: field is managed by operator, cannot be set in config file"
        raise ConfigInvalid(msg)
    _write(tree, {**known, **_overlay(tikv, cluster)})
    return dump_toml(tree)


def data_directory(tikv: TiKV) -> str:
    """Return where TiKV keeps its data: the path of the last mount of type `data`."""
    mounts = [mount for volume in tikv.spec.volumes for mount in volume.mounts if mount.type == paths.DATA_MOUNT]
    return (mounts[-1].mount_path if mounts else None) or paths.DATA


def _overlay(tikv: TiKV, cluster: Cluster) -> dict[Field, Value]:
    host = names.tikv_host(tikv, cluster)
    client, status = names.tikv_client_port(tikv), names.tikv_status_port(tikv)
    values: dict[Field, Value] = {
        _SERVER_ADDR: names.listen_address(client),
        _SERVER_ADVERTISE_ADDR: names.host_port(host, client),
        _SERVER_STATUS_ADDR: names.listen_address(status),
        _SERVER_ADVERTISE_STATUS_ADDR: names.host_port(host, status),
        _DATA_DIR: data_directory(tikv),
        _PD_ENDPOINTS: [(cluster.status.pd if cluster.status else None) or ""],
    }
    if names.tls_enabled(cluster):
        values |= {_CA_PATH: paths.TLS_CA, _CERT_PATH: paths.TLS_CERT, _KEY_PATH: paths.TLS_KEY}
    if tikv.spec.remote_workers is not None:
        values |= _remote_workers(tikv, tikv.spec.remote_workers, cluster)
    return values


def _remote_workers(tikv: TiKV, workers: RemoteWorkers, cluster: Cluster) -> dict[Field, Value]:
    worker = workers.worker.name or ""
    coprocessor = (workers.coprocessor.name if workers.coprocessor is not None else None) or worker
    compactor = (workers.compactor.name if workers.compactor is not None else None) or worker
    independent = Feature.INDEPENDENT_KV_ENGINE_WORKER in enabled_features(tikv, cluster)
    engine = worker if independent else coprocessor
    return {
        _COMPACTOR: f"{names.remote_worker_url(compactor, cluster)}/compact",
        _COPROCESSOR: f"{names.remote_worker_url(coprocessor, cluster)}/coprocessor",
        _WORKER: f"{names.remote_worker_url(engine, cluster)}/coprocessor",
    }


def _read_known(tree: Mapping[str, Any]) -> dict[Field, Value]:
    """Return the user's values of the fields that the operator knows, checked for their types."""
    known: dict[Field, Value] = {}
    for field in (*_MANAGED, *_OVERRIDABLE):
        table_name, key = field
        table = _lookup(tree, table_name)
        if table is None:
            continue
        if not isinstance(table, dict):
            raise _wrong_type(table_name, "a table", table)
        value = _lookup(table, key)
        if value is None:
            continue
        if field == _PD_ENDPOINTS:
            if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
                raise _wrong_type(".".join(field), "a list of strings", value)
        elif not isinstance(value, str):
            raise _wrong_type(".".join(field), "a string", value)
        known[field] = value
    return known


def _lookup(table: Mapping[str, Any], name: str) -> Any:
    """Find a key as it is, or written in other letters' case: TiKV would not take it, so better to complain here."""
    if name in table:
        return table[name]
    return next((value for key, value in table.items() if key.casefold() == name), None)


def _wrong_type(name: str, wanted: str, value: Any) -> ConfigInvalid:
    return ConfigInvalid(f"tikv config cannot be decoded: {name} must be {wanted}, not {value!r}")


def _write(tree: dict[str, Any], values: Mapping[Field, Value]) -> None:
    for (table, key), value in values.items():
        if value:
            tree.setdefault(table, Declared())[key] = value
