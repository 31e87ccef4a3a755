"""The contestants beside Go and ours: kube-rs and Kopf, each made on demand in the user's cache folder.

Where a toolchain is missing, or the making fails, the reason is printed and the contestant does not take part.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

__all__ = ["kopf_program", "rust_program", "takes_part"]

HERE: Final = Path(__file__).parent
KOPF: Final = ("kopf==1.45.2", "uvloop==0.23.0")
_USUALLY: Final = frozenset({"cold", "latency", "churn"})
_KOPF: Final = frozenset({"start", "cold", "cold-30k", "pods", "churn", "latency"})


class _Missing(Exception):
    """Why a contestant cannot be made."""


def takes_part(contestant: str, scenario: str, *, asked_for: bool) -> bool:
    """Tell who takes part in what. Kopf has neither workers, whose number the status writes set, nor owners' reconciles.

    Args:
        asked_for: the scenario was named; else the others take part in the three that tell most.
    """
    if contestant not in ("kube-rs", "kopf"):
        return True
    return (contestant != "kopf" or scenario in _KOPF) if asked_for else scenario in _USUALLY


def rust_program(cache: Path) -> list[str] | None:
    """Build the contestant on kube-rs; None, with the reason printed, if that cannot be done."""

    def build() -> list[str]:
        if shutil.which("cargo") is None:
            raise _Missing("there is no cargo")
        target = cache.with_name("bench-rust")
        command = ["nice", "cargo", "build", "--quiet", "--release"]
        _run(command, cwd=HERE / "rust", env=os.environ | {"CARGO_TARGET_DIR": str(target)})
        return [str(target / "release" / "bench-kube-rs")]

    return _made("kube-rs", build)


def kopf_program(cache: Path) -> list[str] | None:
    """Make Kopf's virtual environment; None, with the reason printed, if that cannot be done."""

    def install() -> list[str]:
        folder = cache.with_name("bench-kopf")
        python = folder / "bin" / "python"
        if not python.exists():
            _run([sys.executable, "-m", "venv", str(folder)])
        _run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *KOPF])
        return [str(python), str(HERE / "kopf_contestant.py")]

    return _made("kopf", install)


def _made(name: str, make: Callable[[], list[str]]) -> list[str] | None:
    try:
        return make()
    except _Missing as missing:
        print(f"without {name}: {missing}", file=sys.stderr)
        return None


def _run(command: list[str], cwd: Path | None = None, env: dict[str, str] | None = None) -> None:
    """Run a command.

    Raises:
        _Missing: it failed; the message ends with the last it said.
    """
    done = subprocess.run(command, cwd=cwd, env=env, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise _Missing(f"{' '.join(command[:4])} ended with {done.returncode}: {last}")
