"""Who may read a page: the reviews that are asked for, what is remembered, and what happens when nobody answers."""

from __future__ import annotations

import asyncio
import json

import pytest

from controller_runtime.access import AccessReviews, Verdict
from controller_runtime.client import LiveClient, Response, TransportError
from controller_runtime.client.retry import NO_RETRIES
from helpers.recording_log import RecordingLog
from helpers.reviewing_api import ACCESS, TOKENS, ReviewingApi

ALICE = {"username": "alice", "uid": "u1", "groups": ["staff", "system:authenticated"], "extra": {"scopes": ["all"]}}
BOB = {"username": "bob"}


class Bench:
    def __init__(self, **options: int) -> None:
        self.api = ReviewingApi()
        self.api.users = {"alice-token": ALICE, "bob-token": BOB}
        self.api.readers = {"alice": {"/metrics"}}
        self.log = RecordingLog()
        client = LiveClient(self.api, field_manager="test", retries=NO_RETRIES)
        self.access = AccessReviews(client, self.log, uniform=lambda: 0.0, **options)

    async def judge(self, bearer: str = "alice-token", method: str = "GET", path: str = "/metrics") -> Verdict:
        return await self.access.judge(f"Bearer {bearer}", method, path)


def failure(code: int, reason: str) -> Response:
    return Response(code, {}, json.dumps({"kind": "Status", "code": code, "reason": reason}).encode())


class TestVerdicts:
    async def test_a_known_token_whose_user_may_read_the_path_gets_in(self) -> None:
        bench = Bench()
        assert await bench.judge() is Verdict.ALLOWED
        (_, token), (_, access) = bench.api.asked
        assert token == {"token": "alice-token"}
        assert access == {
            "user": "alice",
            "uid": "u1",
            "groups": ["staff", "system:authenticated"],
            "extra": {"scopes": ["all"]},
            "nonResourceAttributes": {"path": "/metrics", "verb": "get"},
        }

    @pytest.mark.parametrize(
        ("token", "method", "path"),
        [("bob-token", "GET", "/metrics"), ("alice-token", "GET", "/debug/x"), ("alice-token", "HEAD", "/metrics")],
    )
    async def test_what_no_rule_allows_is_forbidden(self, token: str, method: str, path: str) -> None:
        bench = Bench()
        assert await bench.judge(token, method, path) is Verdict.FORBIDDEN
        assert bench.log.only("Request denied")["path"] == path

    async def test_a_token_that_nobody_knows_is_unauthenticated_and_nobody_asks_what_it_may(self) -> None:
        bench = Bench()
        assert await bench.judge("made-up") is Verdict.UNAUTHENTICATED
        assert bench.api.count(ACCESS) == 0
        assert bench.log.only("Token not accepted")["reason"] == "[invalid bearer token]"

    @pytest.mark.parametrize("header", ["", "Bearer", "Bearer  ", "Basic YTpi", "alice-token"])
    async def test_without_a_bearer_token_nobody_is_asked(self, header: str) -> None:
        bench = Bench()
        assert await bench.access.judge(header, "GET", "/metrics") is Verdict.UNAUTHENTICATED
        assert bench.api.asked == []

    @pytest.mark.parametrize("header", ["bearer alice-token", "  BEARER   alice-token "])
    async def test_the_scheme_may_be_written_in_any_way(self, header: str) -> None:
        assert await Bench().access.judge(header, "GET", "/metrics") is Verdict.ALLOWED


class TestFailures:
    async def test_a_refused_review_is_no_verdict(self) -> None:
        bench = Bench()
        bench.api.trouble = lambda: failure(403, "Forbidden")
        assert await bench.judge() is Verdict.UNDECIDED
        assert bench.api.count(TOKENS) == 1
        assert bench.log.events("error") == ["Authentication of a request failed"]
        assert "alice-token" not in repr(bench.log.lines)

    async def test_a_failing_server_is_asked_a_few_times(self) -> None:
        bench = Bench()
        bench.api.trouble = lambda: failure(500, "InternalError")
        began = asyncio.get_running_loop().time()
        assert await bench.judge() is Verdict.UNDECIDED
        assert bench.api.count(TOKENS) == 5
        assert asyncio.get_running_loop().time() - began == pytest.approx(0.5 + 0.75 + 1.125 + 1.6875)

    async def test_a_failure_that_passes_costs_a_pause(self) -> None:
        bench = Bench()
        moods = iter([TransportError("connection reset")])

        def trouble() -> None:
            for error in moods:
                raise error

        bench.api.trouble = trouble
        assert await bench.judge() is Verdict.ALLOWED
        assert bench.api.count(TOKENS) == 2

    async def test_a_server_that_hangs_is_given_ten_seconds(self) -> None:
        bench = Bench()
        access = AccessReviews(LiveClient(Hanging(), field_manager="test"), bench.log)
        assert await access.judge("Bearer x", "GET", "/metrics") is Verdict.UNDECIDED
        assert asyncio.get_running_loop().time() == pytest.approx(10)

    async def test_a_failure_is_not_remembered(self) -> None:
        bench = Bench()
        bench.api.trouble = lambda: failure(403, "Forbidden")
        await bench.judge()
        bench.api.trouble = lambda: None
        assert await bench.judge() is Verdict.ALLOWED


class Hanging(ReviewingApi):
    async def request(self, request: object) -> Response:
        await asyncio.Event().wait()
        raise AssertionError


class TestMemory:
    async def test_a_token_is_good_for_a_minute_and_a_permission_for_five(self) -> None:
        bench = Bench()
        for _ in range(10):
            await bench.judge()
        assert (bench.api.count(TOKENS), bench.api.count(ACCESS)) == (1, 1)
        await asyncio.sleep(61)
        await bench.judge()
        assert (bench.api.count(TOKENS), bench.api.count(ACCESS)) == (2, 1)
        await asyncio.sleep(240)
        await bench.judge()
        assert (bench.api.count(TOKENS), bench.api.count(ACCESS)) == (3, 2)

    async def test_a_denial_lasts_half_a_minute(self) -> None:
        bench = Bench()
        assert await bench.judge(path="/debug/x") is Verdict.FORBIDDEN
        bench.api.readers["alice"].add("/debug/x")
        await asyncio.sleep(29)
        assert await bench.judge(path="/debug/x") is Verdict.FORBIDDEN
        await asyncio.sleep(2)
        assert await bench.judge(path="/debug/x") is Verdict.ALLOWED

    async def test_a_token_that_was_not_accepted_is_remembered_too(self) -> None:
        bench = Bench()
        for _ in range(10):
            await bench.judge("made-up")
        assert bench.api.count(TOKENS) == 1

    async def test_only_so_much_is_remembered(self) -> None:
        bench = Bench(remember=10)
        for number in range(100):
            await bench.judge(f"made-up-{number}")
        assert len(bench.access._users._known) == 10
        await bench.judge("made-up-99")
        assert bench.api.count(TOKENS) == 100

    async def test_tokens_are_not_kept(self) -> None:
        bench = Bench()
        await bench.judge()
        assert b"alice-token" not in b"".join(key for key in bench.access._users._known if isinstance(key, bytes))

    async def test_a_flood_of_tokens_is_no_flood_at_the_api_server(self) -> None:
        bench, under_way, most = Bench(), 0, 0

        class Slow(ReviewingApi):
            async def request(self, request: object) -> Response:
                nonlocal under_way, most
                under_way += 1
                most = max(most, under_way)
                await asyncio.sleep(0.1)
                under_way -= 1
                return failure(403, "Forbidden")

        access = AccessReviews(LiveClient(Slow(), field_manager="test"), bench.log)
        await asyncio.gather(*(access.judge(f"Bearer {number}", "GET", "/metrics") for number in range(50)))
        assert most == 8
