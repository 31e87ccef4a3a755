"""Authentication headers that stay valid."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from controller_runtime.client.credentials import (
    Credential,
    RenewedCredentials,
    StaticCredentials,
    TokenFileCredentials,
)
from controller_runtime.client.errors import ConfigError, TransportError
from controller_runtime.clock import LoopClock


class Provider:
    """Gives out tokens that live for `lifetime` seconds; each takes a second to get."""

    def __init__(self, lifetime: float | None = 900.0) -> None:
        self.clock = LoopClock()
        self.lifetime = lifetime
        self.calls = 0
        self.failure: ConfigError | None = None

    def credential(self) -> Credential:
        expires = None if self.lifetime is None else self.clock.now() + self.lifetime
        return Credential(f"Bearer t{self.calls}", expires)

    async def __call__(self) -> Credential:
        self.calls += 1
        await asyncio.sleep(1)
        if self.failure is not None:
            raise self.failure
        return self.credential()

    def credentials(self) -> RenewedCredentials:
        return RenewedCredentials(self, self.credential(), clock=self.clock)


def bearer(token: str) -> list[tuple[str, str]]:
    return [("Authorization", f"Bearer {token}")]


async def test_static_credentials_cannot_be_renewed() -> None:
    credentials = StaticCredentials(bearer("x"))
    assert list(await credentials.headers()) == bearer("x")
    assert not await credentials.rejected(await credentials.headers())


# Tokens that are renewed


async def test_a_token_is_renewed_before_it_expires() -> None:
    provider = Provider(lifetime=900)
    credentials = provider.credentials()
    await asyncio.sleep(674)
    assert list(await credentials.headers()) == bearer("t0")
    await asyncio.sleep(2)
    assert list(await credentials.headers()) == bearer("t1")


async def test_a_token_that_lives_long_is_renewed_five_minutes_early() -> None:
    provider = Provider(lifetime=86400)
    credentials = provider.credentials()
    await asyncio.sleep(86400 - 301)
    assert list(await credentials.headers()) == bearer("t0")
    await asyncio.sleep(2)
    assert list(await credentials.headers()) == bearer("t1")


async def test_a_token_that_never_lives_five_minutes_is_not_renewed_with_each_request() -> None:
    provider = Provider(lifetime=60)
    credentials = provider.credentials()
    for _ in range(44):
        await asyncio.sleep(1)
        await credentials.headers()
    assert provider.calls == 0


async def test_many_requests_wait_for_one_renewal() -> None:
    provider = Provider()
    credentials = provider.credentials()
    await asyncio.sleep(800)
    headers = await asyncio.gather(*(credentials.headers() for _ in range(100)))
    assert provider.calls == 1
    assert all(list(found) == bearer("t1") for found in headers)


async def test_a_rejected_token_is_renewed_once_for_all_who_were_rejected() -> None:
    provider = Provider(lifetime=None)
    credentials = provider.credentials()
    old = await credentials.headers()
    assert await asyncio.gather(*(credentials.rejected(old) for _ in range(50))) == [True] * 50
    assert provider.calls == 1
    assert await credentials.rejected(old)
    assert provider.calls == 1


async def test_a_token_that_is_rejected_again_and_again_is_renewed_every_ten_seconds_at_most() -> None:
    provider = Provider(lifetime=None)
    credentials = provider.credentials()
    for _ in range(100):
        await credentials.rejected(await credentials.headers())
        await asyncio.sleep(0.5)
    assert provider.calls <= 6


async def test_a_failed_renewal_disturbs_nobody_while_the_old_token_is_valid() -> None:
    provider = Provider(lifetime=900)
    credentials = provider.credentials()
    provider.failure = ConfigError("the plugin says no")
    await asyncio.sleep(800)
    assert list(await credentials.headers()) == bearer("t0")
    await asyncio.sleep(120)
    with pytest.raises(TransportError, match="credentials could not be renewed: the plugin says no"):
        await credentials.headers()
    provider.failure = None
    await asyncio.sleep(10)
    assert list(await credentials.headers()) == bearer(f"t{provider.calls}")


async def test_a_renewal_that_fails_after_a_401_leaves_the_401_to_the_caller() -> None:
    provider = Provider(lifetime=None)
    credentials = provider.credentials()
    provider.failure = ConfigError("no")
    assert not await credentials.rejected(await credentials.headers())


async def test_cancelling_the_one_who_renews_does_not_harm_the_others() -> None:
    provider = Provider()
    credentials = provider.credentials()
    await asyncio.sleep(800)
    first = asyncio.create_task(credentials.headers())
    second = asyncio.create_task(credentials.headers())
    await asyncio.sleep(0.5)
    first.cancel()
    assert list(await second) == bearer("t2")
    assert first.cancelled()


async def test_a_plugin_that_answers_with_a_certificate_gives_no_header() -> None:
    provider = Provider()
    impersonate = (("Impersonate-User", "u"),)
    credentials = RenewedCredentials(provider, Credential(""), clock=provider.clock, extra=impersonate)
    assert tuple(await credentials.headers()) == impersonate


async def test_nothing_prints_its_secret() -> None:
    secret = Credential("Bearer secret")
    static = StaticCredentials((("Authorization", "secret"),))
    renewed = RenewedCredentials(Provider(), secret, clock=LoopClock())
    assert "secret" not in f"{secret!r} {static!r} {renewed!r}"


# Token files


def write(path: Path, text: str, modified: float) -> None:
    path.write_text(text)
    os.utime(path, (modified, modified))


async def test_a_token_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "token"
    write(path, "one\n", 1)
    credentials = TokenFileCredentials(path, extra=(("Impersonate-User", "u"),))
    assert list(await credentials.headers()) == [*bearer("one"), ("Impersonate-User", "u")]
    write(path, "two", 2)
    assert list(await credentials.headers()) == [*bearer("two"), ("Impersonate-User", "u")]


async def test_a_token_file_is_read_again_after_a_minute_whatever_its_time_stamp_says(tmp_path: Path) -> None:
    path = tmp_path / "token"
    write(path, "one", 1)
    credentials = TokenFileCredentials(path)
    await credentials.headers()
    write(path, "two", 1)
    await asyncio.sleep(59)
    assert list(await credentials.headers()) == bearer("one")
    await asyncio.sleep(2)
    assert list(await credentials.headers()) == bearer("two")


async def test_a_token_file_is_read_again_after_a_401(tmp_path: Path) -> None:
    path = tmp_path / "token"
    write(path, "one", 1)
    credentials = TokenFileCredentials(path)
    old = await credentials.headers()
    assert not await credentials.rejected(old)
    write(path, "two", 1)
    assert await credentials.rejected(old)
    assert list(await credentials.headers()) == bearer("two")


async def test_a_token_file_that_vanishes_for_a_while_costs_nothing(tmp_path: Path) -> None:
    path = tmp_path / "token"
    write(path, "one", 1)
    credentials = TokenFileCredentials(path)
    path.unlink()
    assert list(await credentials.headers()) == bearer("one")
    write(path, "", 2)
    assert list(await credentials.headers()) == bearer("one")


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "No such file or directory"), (b" \n", "is empty"), (b"\xff\xfe", "it is not text")],
)
def test_a_token_file_must_be_readable_at_first(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=f"token file .*{message}"):
        TokenFileCredentials(path)
