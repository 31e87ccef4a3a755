"""Liveness and readiness: named checks, and the answer that a probe or a person gets.

A check returns None when all is well and otherwise the reason, which the answer shows: whoever may ask a pod for its
readiness may also know why it isn't ready.

The answers follow the Kubernetes components' endpoints: `ok`, `?verbose`, `?exclude=<check>`, `/readyz/<check>`.

Concurrency: plain synchronous state. Checks run inside the event loop and must not block.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import final

from controller_runtime.reconcile import Logger

__all__ = ["Check", "HealthAnswer", "HealthChecks", "ping"]

Check = Callable[[], str | None]


def ping() -> str | None:
    """The check of a process that answers at all."""
    return None


@dataclass(frozen=True, slots=True)
class HealthAnswer:
    """An HTTP status and a text."""

    status: int
    body: str


@final
class HealthChecks:
    """The checks behind one endpoint.

    Args:
        name: of the endpoint, e.g. `readyz`.
        log: gets one line when a check starts to fail and one when it passes again.
    """

    def __init__(self, name: str, log: Logger) -> None:
        self.name = name
        self._log = log
        self._checks: dict[str, Check] = {}
        self._failing: dict[str, str] = {}

    def add(self, name: str, check: Check) -> None:
        """Add a check, at any time.

        Raises:
            ValueError: there is one of that name.
        """
        if name in self._checks or "/" in name or not name:
            msg = f"{self.name} has a check {name!r} already, or the name cannot be part of a URL"
            raise ValueError(msg)
        self._checks[name] = check

    def answer(self, *, exclude: Iterable[str] = (), verbose: bool = False) -> HealthAnswer:
        """Run all checks that are not excluded. 200 if they pass, else 500 with a line for each check."""
        excluded = set(exclude)
        checks = self._checks or {"ping": ping}
        lines: list[str] = []
        healthy = True
        for name in sorted(checks):
            if name in excluded:
                lines.append(f"[+]{name} excluded: ok")
                continue
            reason = self._ask(name, checks[name])
            healthy = healthy and reason is None
            lines.append(f"[+]{name} ok" if reason is None else f"[-]{name} failed: {reason}")
        unknown = sorted(excluded - set(checks))
        if unknown:
            quoted = ", ".join(f'"{name}"' for name in unknown)
            lines.append(f"warn: some health checks cannot be excluded: no matches for {quoted}")
        lines.append(f"{self.name} check {'passed' if healthy else 'failed'}")
        if healthy and not verbose:
            return HealthAnswer(200, "ok")
        return HealthAnswer(200 if healthy else 500, "\n".join(lines) + "\n")

    def answer_one(self, name: str) -> HealthAnswer:
        """Run one check: 200, 500 with the reason, or 404 if there is none of that name."""
        check = self._checks.get(name)
        if check is None:
            if name != "ping" or self._checks:
                return HealthAnswer(404, f"no such check: {name}\n")
            check = ping
        reason = self._ask(name, check)
        return HealthAnswer(200, "ok") if reason is None else HealthAnswer(500, f"internal server error: {reason}\n")

    def _ask(self, name: str, check: Check) -> str | None:
        try:
            reason = check()
        except Exception as error:  # noqa: BLE001 - a check that breaks is a check that fails; the reason is shown and logged
            reason = f"{type(error).__name__}: {error}"
        if reason != self._failing.get(name):
            if reason is None:
                self._log.info("Health check passes again", endpoint=self.name, check=name)
                del self._failing[name]
            else:
                self._log.warning("Health check fails", endpoint=self.name, check=name, reason=reason)
                self._failing[name] = reason
        return reason
