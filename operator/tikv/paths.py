"""Where things are inside of a TiKV pod, and what its parts are called."""

from __future__ import annotations

from typing import Final

__all__ = [
    "CONFIG",
    "CONFIG_FILE",
    "CONFIG_VOLUME",
    "CONTAINER",
    "DATA",
    "DATA_MOUNT",
    "PRESTOP",
    "PRESTOP_CHECKER",
    "TLS",
    "TLS_CA",
    "TLS_CERT",
    "TLS_KEY",
    "TLS_VOLUME",
]

CONTAINER: Final = "tikv"

CONFIG_VOLUME: Final = "ti-config"
CONFIG: Final = "/etc/tikv"
CONFIG_FILE: Final = "config.toml"

DATA_MOUNT: Final = "data"
"""The type of a volume's mount that holds TiKV's data."""
DATA: Final = "/var/lib/tikv"

PRESTOP_CHECKER: Final = "ti-prestop-checker"
"""The init container that brings the pre-stop checker, and the volume it puts it in."""
PRESTOP: Final = "/prestop"

TLS_VOLUME: Final = "ti-tls"
TLS: Final = "/var/lib/tikv-tls"
TLS_CA: Final = f"{TLS}/ca.crt"
TLS_CERT: Final = f"{TLS}/tls.crt"
TLS_KEY: Final = f"{TLS}/tls.key"
