"""What a process group starts ends with it, however that comes, and so does its folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from controller_runtime.envtest.binaryprocess import ProcessGroup, free_ports

SLEEP = Path("/bin/sleep")
SHELL = Path("/bin/sh")

OWNER = """
import sys, time
from pathlib import Path
from controller_runtime.envtest.binaryprocess import ProcessGroup
with ProcessGroup() as group:
    component = group.start(Path("/bin/sh"), "-c", "sleep 1000 & echo $! > $0/child; wait", str(group.folder))
    while not (group.folder / "child").exists():
        time.sleep(0.01)
    print(group.folder, component.pid, (group.folder / "child").read_text().strip(), flush=True)
    time.sleep(1000)
"""
"""Starts a program that starts another, and tells where everything is."""


def runs(pid: int) -> bool:
    """Tell whether a process is alive; one that has ended and is not yet waited for is not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def eventually_gone(pids: list[int], folder: Path, seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds
    while any(map(runs, pids)) or folder.exists():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_leaving_ends_everything_at_once() -> None:
    with ProcessGroup() as group:
        folder = group.folder
        component = group.start(SHELL, "-c", 'trap "" TERM INT; while :; do sleep 1000; done')
        assert component.exit_code is None
        assert runs(component.pid)
        before = time.monotonic()
    assert time.monotonic() - before < 5
    assert not runs(component.pid)
    assert not folder.exists()


def test_an_error_in_the_block_ends_everything_too() -> None:
    def fail() -> None:
        with ProcessGroup() as group:
            seen.append((group.folder, group.start(SLEEP, "1000").pid))
            raise ZeroDivisionError

    seen: list[tuple[Path, int]] = []
    with pytest.raises(ZeroDivisionError):
        fail()
    ((folder, pid),) = seen
    assert not runs(pid)
    assert not folder.exists()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "terminated"])
def test_nothing_survives_an_owner_that_dies(how: signal.Signals) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE, text=True, env=environment) as owner:
        assert owner.stdout is not None
        folder, *pids = owner.stdout.readline().split()
        assert all(runs(int(pid)) for pid in pids)
        owner.send_signal(how)
    assert eventually_gone([int(pid) for pid in pids], Path(folder))


def test_nobody_else_can_read_the_folder() -> None:
    with ProcessGroup() as group:
        assert group.folder.stat().st_mode & 0o777 == 0o700


def test_what_a_program_wrote_last_can_be_read() -> None:
    with ProcessGroup() as group:
        component = group.start(
            SHELL, "-c", "i=0; while [ $i -lt 5000 ]; do echo line $i; i=$((i+1)); done; echo end >&2; exit 3"
        )
        while component.exit_code is None:
            time.sleep(0.01)
        assert component.exit_code == 3
        assert component.last_lines(2) == "line 4999\nend"
        assert str(component.failure("ended")) == "sh ended; its last lines:\n" + component.last_lines()


def test_a_program_gets_what_is_added_to_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEPT", "kept")
    with ProcessGroup() as group:
        component = group.start(SHELL, "-c", "echo $KEPT $ADDED", environment={"ADDED": "added"})
        while component.exit_code is None:
            time.sleep(0.01)
        assert component.last_lines() == "kept added"


def test_a_program_that_cannot_be_executed_leaves_nothing_behind(tmp_path: Path) -> None:
    broken = tmp_path / "etcd"
    broken.write_bytes(b"\x7fELF")
    broken.chmod(0o755)
    with ProcessGroup() as group:
        folder = group.folder
        with pytest.raises(OSError, match="Exec format"):
            group.start(broken)
    assert not folder.exists()


def test_a_group_that_is_not_entered_starts_nothing() -> None:
    with pytest.raises(RuntimeError, match="not entered"):
        ProcessGroup().start(SLEEP, "1")


def test_free_ports_differ() -> None:
    ports = free_ports(20)
    assert len(set(ports)) == 20
