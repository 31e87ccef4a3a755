"""Where things are inside of a TiKV pod, and what its parts are called."""

from __future__ import annotations

from typing import Final

__all__ = [
    "CONFIG",
    "CONTAINER",
    "DATA",
    "PRESTOP",
    "PRESTOP_CHECKER",
    "TLS",
]

CONTAINER: Final = "tikv"

CONFIG: Final = "/etc/tikv"
DATA: Final = "/var/lib/tikv"
TLS: Final = "/var/lib/tikv-tls"

PRESTOP_CHECKER: Final = "ti-prestop-checker"
"""The init container that brings the pre-stop checker, and the volume it puts it in."""
PRESTOP: Final = "/prestop"
