"""TiKV's configuration file: the user's TOML with what only the operator knows written over it.

The text is TiDB Operator's byte for byte (see `common.toml`). A table that only the operator fills keeps the order in which
its fields are listed here; a table that the user has, too, is sorted. Pure functions.
"""

from __future__ import annotations

from typing import Final

from tikv_operator.api import Cluster, Feature, RemoteWorkers, TiKV
from tikv_operator.common import names
from tikv_operator.common.features import enabled_features
from tikv_operator.instance import config
from tikv_operator.instance.config import Field, ManagedConfig, Value
from tikv_operator.tikv.component import TIKV

__all__ = ["data_directory", "render_config"]

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

_CONFIG: Final = ManagedConfig(
    component=TIKV.name,
    managed=(
        _SERVER_ADDR,
        _SERVER_ADVERTISE_ADDR,
        _SERVER_STATUS_ADDR,
        _SERVER_ADVERTISE_STATUS_ADDR,
        _DATA_DIR,
        _PD_ENDPOINTS,
        _CA_PATH,
        _CERT_PATH,
        _KEY_PATH,
    ),
    overridable=(_COMPACTOR, _COPROCESSOR, _WORKER),  # by a user, as long as `remoteWorkers` doesn't set them
    lists=frozenset({_PD_ENDPOINTS}),
)


def render_config(tikv: TiKV, cluster: Cluster) -> str:
    """Return the text of TiKV's configuration file.

    Args:
        cluster: must have a PD URL in its status.

    Raises:
        ConfigInvalid: the user's configuration isn't TOML, has a value of a wrong type, or sets a managed field.
    """
    return _CONFIG.render(tikv.spec.config or "", _overlay(tikv, cluster))


def data_directory(tikv: TiKV) -> str:
    """Return where TiKV keeps its data: the path of the last mount of type `data`."""
    return config.data_directory(TIKV, tikv)


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
        values |= {_CA_PATH: TIKV.tls_ca, _CERT_PATH: TIKV.tls_cert, _KEY_PATH: TIKV.tls_key}
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
