"""Results of tasks, one by one and folded into the outcome of a run."""

from __future__ import annotations

import pytest

from controller_runtime.task import Result, Status, combine, complete, fail, retry, wait
from controller_runtime.task.results import format_delay

Named = tuple[str, Result]


@pytest.mark.parametrize(
    ("results", "status", "after", "message"),
    [
        pytest.param([], Status.COMPLETE, None, "", id="nothing-is-complete"),
        pytest.param(
            [("", complete("success")), ("", complete("success"))],
            Status.COMPLETE,
            None,
            "success\nsuccess\n",
            id="all-complete",
        ),
        pytest.param(
            [("", complete("success")), ("", retry(0.001, "retry")), ("", wait("wait")), ("", fail("fail"))],
            Status.FAIL,
            0.001,
            "success\nretry(requeue after 1ms)\nwait\nfail\n",
            id="a-failure-beats-all",
        ),
        pytest.param(
            [("", complete()), ("", retry(1, "r")), ("", wait("w"))], Status.RETRY, 1, None, id="retry-beats-wait"
        ),
        pytest.param(
            [("", retry(310, "a")), ("", retry(5, "b"))], Status.RETRY, 5, None, id="the-shortest-delay-counts"
        ),
        pytest.param(
            [("", complete()), ("", wait("w")), ("", complete())], Status.WAIT, None, None, id="wait-beats-complete"
        ),
        pytest.param(
            [("aaa", complete("success")), ("", wait("wait"))],
            Status.WAIT,
            None,
            "aaa: success\nwait\n",
            id="names-are-prefixed",
        ),
    ],
)
def test_the_outcome_of_a_run(results: list[Named], status: Status, after: float | None, message: str | None) -> None:
    outcome = combine(results)
    assert (outcome.status, outcome.after) == (status, after)
    if message is not None:
        assert outcome.message == message


def test_the_outcome_carries_the_error_of_the_failure() -> None:
    error = RuntimeError("boom")
    assert combine([("a", complete()), ("b", fail("boom", error))]).error is error


def test_a_negative_delay_is_refused() -> None:
    with pytest.raises(ValueError, match="-1"):
        retry(-1, "never")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(5, "5s"), (90, "1m30s"), (310, "5m10s"), (3600, "1h0m0s"), (1.5, "1.5s"), (0.2, "200ms"), (0.001, "1ms")],
)
def test_delays_are_written_as_go_writes_them(seconds: float, text: str) -> None:
    assert format_delay(seconds) == text
