"""What a probe and a person read from `/healthz` and `/readyz`."""

from __future__ import annotations

import pytest

from controller_runtime.health import HealthChecks
from helpers.recording_log import RecordingLog


def make_checks(**reasons: str | None) -> tuple[HealthChecks, RecordingLog]:
    log = RecordingLog()
    checks = HealthChecks("readyz", log)
    for name, reason in reasons.items():
        checks.add(name, lambda reason=reason: reason)  # type: ignore[misc]
    return checks, log


def test_all_is_well() -> None:
    checks, _ = make_checks(cache=None, lease=None)
    assert checks.answer() == checks.answer(exclude=["lease"])
    assert (checks.answer().status, checks.answer().body) == (200, "ok")


def test_verbose_names_every_check() -> None:
    checks, _ = make_checks(lease=None, cache=None)
    assert checks.answer(verbose=True).body == "[+]cache ok\n[+]lease ok\nreadyz check passed\n"


def test_a_failure_is_shown_with_its_reason() -> None:
    checks, _ = make_checks(lease=None, cache="pods/v1: forbidden")
    answer = checks.answer()
    assert answer.status == 500
    assert answer.body == "[-]cache failed: pods/v1: forbidden\n[+]lease ok\nreadyz check failed\n"


def test_a_check_can_be_excluded() -> None:
    checks, _ = make_checks(lease=None, cache="broken")
    assert checks.answer(exclude=["cache"]).status == 200
    assert "[+]cache excluded: ok\n" in checks.answer(exclude=["cache"], verbose=True).body


def test_excluding_the_unknown_is_a_warning() -> None:
    checks, _ = make_checks(cache=None)
    answer = checks.answer(exclude=["x", "y"], verbose=True)
    assert answer.status == 200
    assert 'warn: some health checks cannot be excluded: no matches for "x", "y"\n' in answer.body


def test_without_checks_there_is_a_ping() -> None:
    checks, _ = make_checks()
    assert checks.answer(verbose=True).body == "[+]ping ok\nreadyz check passed\n"
    assert checks.answer_one("ping").status == 200


def test_one_check_by_its_name() -> None:
    checks, _ = make_checks(lease=None, cache="broken")
    assert (checks.answer_one("lease").status, checks.answer_one("lease").body) == (200, "ok")
    assert (checks.answer_one("cache").status, checks.answer_one("cache").body) == (
        500,
        "internal server error: broken\n",
    )
    assert checks.answer_one("other").status == 404
    assert checks.answer_one("ping").status == 404


def test_a_check_that_raises_has_failed() -> None:
    checks, _ = make_checks()
    checks.add("bad", lambda: str(1 / 0))
    assert "[-]bad failed: ZeroDivisionError: division by zero" in checks.answer().body


def test_a_failure_is_logged_when_it_begins_and_when_it_ends() -> None:
    log = RecordingLog()
    checks = HealthChecks("readyz", log)
    state: dict[str, str | None] = {"reason": None}
    checks.add("cache", lambda: state["reason"])
    for reason in (None, "broken", "broken", "worse", None, None):
        state["reason"] = reason
        checks.answer()
    assert log.events() == ["Health check fails", "Health check fails", "Health check passes again"]
    assert log.lines[1][2] == {"endpoint": "readyz", "check": "cache", "reason": "worse"}


@pytest.mark.parametrize("name", ["cache", "a/b", ""])
def test_a_name_must_be_new_and_fit_into_a_url(name: str) -> None:
    checks, _ = make_checks(cache=None)
    with pytest.raises(ValueError, match="readyz has a check"):
        checks.add(name, lambda: None)
