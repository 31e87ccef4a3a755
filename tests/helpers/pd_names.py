"""Names of a cluster's DNS for processes on this machine: a file of `name address` lines, and the operator that goes by it.

A kubelet for tests gives each PD pod a loopback address of its own and writes it down here. The operator's process reads the
file whenever it connects:

    python -m helpers.pd_names FILE run --pd-access=direct ...
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, final

import aiohttp.connector
from aiohttp.abc import AbstractResolver, ResolveResult

__all__ = ["Names", "main"]

_UNKNOWN: Final = "127.0.0.1"
"""Nobody listens there on PD's ports."""


@final
class Names:
    """The file, for whoever writes it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, str] = {}

    def set(self, name: str, address: str) -> None:
        """Let a name lead to an address from now on."""
        if self._known.get(name) != address:
            self._known[name] = address
            lines = "".join(f"{known} {where}\n" for known, where in self._known.items())
            new = self._path.with_suffix(".new")
            new.write_text(lines)
            new.replace(self._path)


def read(path: Path) -> dict[str, str]:
    try:
        lines = path.read_text().splitlines()
    except FileNotFoundError:
        return {}
    return dict(line.split(" ") for line in lines)


def resolver_for(path: Path) -> Callable[..., AbstractResolver]:
    class FileResolver(AbstractResolver):
        """Knows the file's names alone; others lead nowhere."""

        def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
            """As aiohttp's own."""

        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
        ) -> list[ResolveResult]:
            address = read(path).get(host, _UNKNOWN)
            return [
                ResolveResult(
                    hostname=host,
                    host=address,
                    port=port,
                    family=socket.AF_INET,
                    proto=0,
                    flags=socket.AI_NUMERICHOST,
                )
            ]

        async def close(self) -> None:
            """Nothing is open."""

    return FileResolver


def main() -> None:
    """Run the operator's command line with names from the file that is the first argument."""
    from tikv_operator.__main__ import main as operator

    path = Path(sys.argv.pop(1))
    aiohttp.connector.DefaultResolver = resolver_for(path)  # type: ignore[attr-defined, assignment]
    operator()


if __name__ == "__main__":
    main()
