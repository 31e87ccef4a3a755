"""Finding a control plane's programs, and running them so that none outlives the one who started it.

A `ProcessGroup` has a folder for logs and data, and everything that `start` starts. Leaving it kills all of it and removes
the folder; so does, within seconds, the end of this process, however it comes (`binaryguard`). Killing loses nothing: the
data dies with the folder.

Concurrency: plain code, independent of any event loop. Leaving blocks for the milliseconds that the kernel needs to kill
and to unlink, so that a cancellation cannot come in between.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self, final

from controller_runtime.envtest import binaryguard

__all__ = ["Component", "ComponentFailed", "PortTaken", "ProcessGroup", "cache_folder", "find_binary", "free_ports"]

_LAST_LINES: Final = 20
_TAIL: Final = 16_384  # bytes that the last lines are looked for in
_PORT_TAKEN: Final = "address already in use"
_REAPED: Final = 10.0  # seconds in which a killed process must be gone


class ComponentFailed(RuntimeError):
    """A component ended, or did not get ready in time; the message has the last lines that it wrote."""


class PortTaken(ComponentFailed):
    """It failed because somebody took its port since that was found to be free."""


def cache_folder() -> Path:
    """Return the folder into which hack/envtest/build.sh builds."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "controller-runtime", "envtest")


def find_binary(name: str, assets: Path | None = None) -> Path:
    """Return the path of a control plane's program, e.g. `kube-apiserver`.

    Args:
        assets: the only folder to look in. By default it is looked for in the folder that KUBEBUILDER_ASSETS names, and then
            in the cache folder.

    Raises:
        FileNotFoundError: it is nowhere; the message says where it was looked for and how to get it.
    """
    named = os.environ.get("KUBEBUILDER_ASSETS")
    folders = [assets] if assets is not None else [*([Path(named)] if named else []), cache_folder()]
    for folder in folders:
        if os.access(folder / name, os.X_OK):
            return folder / name
    msg = (
        f"{name} is not in {' or '.join(map(str, folders))}: name the folder that has it in KUBEBUILDER_ASSETS "
        "(`setup-envtest use -p path` prints one), or build it with hack/envtest/build.sh"
    )
    raise FileNotFoundError(msg)


def free_ports(count: int) -> list[int]:
    """Return ports of 127.0.0.1 that were free a moment ago; they differ."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


@final
class Component:
    """One running program."""

    def __init__(self, name: str, log: Path, process: subprocess.Popen[bytes]) -> None:
        self.name = name
        self.log = log
        self._process = process

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """The exit code, negative if a signal ended it; None while it runs."""
        return self._process.poll()

    def last_lines(self, count: int = _LAST_LINES) -> str:
        """Return the end of what it wrote."""
        with self.log.open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(max(0, size - _TAIL))
            return "\n".join(log.read().decode(errors="replace").splitlines()[-count:])

    def failure(self, what: str) -> ComponentFailed:
        """Return the error that says `what` went wrong, with the last lines."""
        lines = self.last_lines()
        kind = PortTaken if _PORT_TAKEN in lines else ComponentFailed
        return kind(f"{self.name} {what}; its last lines:\n{lines or '(none)'}")


@final
class ProcessGroup:
    """See the module docstring."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._guard: subprocess.Popen[bytes] | None = None
        self._processes: list[subprocess.Popen[bytes]] = []

    @property
    def folder(self) -> Path:
        """A folder that nobody else can read, removed at the end.

        Raises:
            RuntimeError: the group is not entered.
        """
        if self._folder is None:
            msg = "the process group is not entered"
            raise RuntimeError(msg)
        return self._folder

    def start(self, command: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> Component:
        """Start a program; what it writes goes to a log in the folder.

        Args:
            environment: added to this process's own.

        Raises:
            OSError: it cannot be executed.
            RuntimeError: the group is not entered.
        """
        log = self.folder / f"{command.name}.log"
        if self._guard is None:
            msg = "the process group is not entered"
            raise RuntimeError(msg)
        with log.open("ab") as output:
            process = subprocess.Popen(  # noqa: S603 - running it is what this is for
                [command, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, **(environment or {})},
                process_group=self._guard.pid,
            )
        self._processes.append(process)
        return Component(command.name, log, process)

    def __enter__(self) -> Self:
        self._folder = Path(tempfile.mkdtemp(prefix="envtest-"))
        try:
            self._guard = subprocess.Popen(  # noqa: S603 - this Python
                [sys.executable, "-I", "-S", binaryguard.__file__, str(self._folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                process_group=0,
            )
        except BaseException:
            self._remove_folder()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        guard, self._guard = self._guard, None
        processes, self._processes = self._processes, []
        if guard is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(guard.pid, signal.SIGKILL)
            for process in [*processes, guard]:
                process.wait(_REAPED)
            if guard.stdin is not None:
                guard.stdin.close()
        self._remove_folder()

    def _remove_folder(self) -> None:
        folder, self._folder = self._folder, None
        if folder is not None:
            shutil.rmtree(folder)
