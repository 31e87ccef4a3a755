"""What a TiKV process reads from its configuration file. Pure."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from controller_runtime.api import ObjectKey

__all__ = ["ConfigUnusable", "TiKVConfig", "parse_tikv_config", "service_of_url", "version_of_image"]


class ConfigUnusable(Exception):
    """The process cannot start with this configuration; the message says why."""


@dataclass(frozen=True, slots=True)
class TiKVConfig:
    """The parts that decide how a store presents itself."""

    address: str
    status_address: str
    pd_endpoints: tuple[str, ...]
    data_dir: str
    labels: tuple[tuple[str, str], ...]


def parse_tikv_config(text: str) -> TiKVConfig:
    """
    Raises:
        ConfigUnusable: the text is not TOML, or lacks an address.
    """
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        msg = f"invalid configuration file: {error}"
        raise ConfigUnusable(msg) from error
    server, pd, storage = _table(tree, "server"), _table(tree, "pd"), _table(tree, "storage")
    address = server.get("advertise-addr") or server.get("addr")
    endpoints = pd.get("endpoints")
    if not isinstance(address, str) or not address:
        msg = "invalid configuration file: server.advertise-addr is missing"
        raise ConfigUnusable(msg)
    if not isinstance(endpoints, list) or not endpoints:
        msg = "please specify pd.endpoints"
        raise ConfigUnusable(msg)
    return TiKVConfig(
        address=address,
        status_address=str(server.get("advertise-status-addr") or server.get("status-addr") or ""),
        pd_endpoints=tuple(map(str, endpoints)),
        data_dir=str(storage.get("data-dir") or "/var/lib/tikv"),
        labels=tuple((key, str(value)) for key, value in _table(server, "labels").items()),
    )


def _table(tree: dict[str, Any], name: str) -> dict[str, Any]:
    found = tree.get(name)
    return found if isinstance(found, dict) else {}


def service_of_url(url: str, namespace: str) -> ObjectKey | None:
    """The service that a URL names, as the cluster's DNS would: `<service>[.<namespace>[.svc[...]]]`.

    Args:
        namespace: of the pod that asks.
    """
    host = urlsplit(url if "://" in url else f"//{url}").hostname
    if not host:
        return None
    service, *rest = host.split(".")
    return ObjectKey(rest[0] if rest else namespace, service)


def version_of_image(image: str) -> str:
    """The tag of an image, which says which version runs; empty for an image without one."""
    name = image.partition("@")[0]
    _, colon, tag = name.rpartition(":")
    return tag if colon and "/" not in tag else ""
