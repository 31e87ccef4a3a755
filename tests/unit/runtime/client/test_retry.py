"""Which request is sent again, and when."""

from __future__ import annotations

import pytest

from controller_runtime.client.errors import RequestTimeout, TransportError
from controller_runtime.client.retry import NO_RETRIES, RetryPolicy
from controller_runtime.client.transport import Response


def answer(code: int, retry_after: str | None = None) -> Response:
    return Response(code, {} if retry_after is None else {"retry-after": retry_after}, b"")


BROKEN = TransportError("reset")


@pytest.mark.parametrize(
    ("method", "failure", "delay"),
    [
        ("GET", answer(429), 0.2),
        ("POST", answer(429), 0.2),
        ("PATCH", answer(429, "7"), 7.0),
        ("DELETE", answer(503, "3"), 3.0),
        ("PATCH", answer(500, "0"), 0.0),
        ("GET", answer(503), None),
        ("GET", answer(500), None),
        ("GET", answer(504), None),
        ("GET", answer(404, "3"), None),
        ("PATCH", answer(409, "1"), None),
        ("GET", answer(429, "31"), None),
        ("GET", answer(429, "Wed, 21 Oct 2026 07:28:00 GMT"), 0.2),
        ("GET", BROKEN, 0.2),
        ("POST", BROKEN, None),
        ("PATCH", BROKEN, None),
        ("DELETE", BROKEN, None),
        ("GET", RequestTimeout("late"), None),
    ],
)
def test_what_is_repeated_and_after_how_long(
    method: str, failure: Response | TransportError, delay: float | None
) -> None:
    assert RetryPolicy().delay(method, 1, failure, 0.0) == delay


def test_backoff_doubles_up_to_a_ceiling_and_ends() -> None:
    policy = RetryPolicy(attempts=8)
    delays = [policy.delay("GET", attempt, BROKEN, 0.0) for attempt in range(1, 9)]
    assert delays == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, None]


def test_jitter_never_comes_back_before_the_time_the_server_named() -> None:
    assert RetryPolicy().delay("GET", 1, answer(429, "4"), 0.5) == 4.5
    assert RetryPolicy().delay("GET", 1, BROKEN, 0.5) == pytest.approx(0.3)


def test_there_is_a_policy_that_never_repeats() -> None:
    assert NO_RETRIES.delay("GET", 1, answer(429, "1"), 0.0) is None
