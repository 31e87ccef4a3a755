"""Where the authentication headers of a request come from, and how they stay valid.

Guarantees: a renewal runs at most once at a time, however many requests wait for it; a token is renewed before it
expires; after a 401 it is renewed once, and only if the rejected headers are still the current ones; a renewal that fails
while the old token is valid disturbs nobody.

Concurrency: for the tasks of one event loop. Cancelling one waiter does not harm the others.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, final

from controller_runtime.client.errors import ClientError, ConfigError, TransportError
from controller_runtime.clock import Clock

__all__ = ["Credential", "Credentials", "Headers", "RenewedCredentials", "StaticCredentials", "TokenFileCredentials"]

Headers = Sequence[tuple[str, str]]

_REREAD: Final = 60.0  # seconds after which a token file is read again, whatever its time stamp says
_EARLY: Final = 300.0  # seconds before its expiry at which a token is renewed, at most
_PAUSE: Final = 10.0  # seconds between two attempts to renew a token: plugins are processes, providers have limits


class Credentials(Protocol):
    """A source of authentication headers."""

    async def headers(self) -> Headers:
        """Return the headers for one request.

        Raises:
            TransportError: there is no valid token and none could be had.
        """
        ...

    async def rejected(self, headers: Headers) -> bool:
        """Tell that the server answered 401 to `headers`; return whether there are others to try now."""
        ...


@final
class StaticCredentials:
    """Headers that never change: an inline token, a password, or none at all (client certificates)."""

    def __init__(self, headers: Headers = ()) -> None:
        self._headers = tuple(headers)

    async def headers(self) -> Headers:
        return self._headers

    async def rejected(self, headers: Headers) -> bool:
        return False

    def __repr__(self) -> str:
        return "<StaticCredentials>"


@final
class TokenFileCredentials:
    """A bearer token in a file that somebody else renews, such as a pod's projected service-account token.

    The file is read again when its modification time changes, at the latest after a minute, and after a 401. It is a few
    hundred bytes on a memory file system: reading it does not block the loop for longer than a thread would cost.

    Args:
        extra: headers to add, e.g. for impersonation.

    Raises:
        ConfigError: the file cannot be read, or is empty.
    """

    def __init__(self, path: str | os.PathLike[str], *, extra: Headers = ()) -> None:
        self._path = Path(path)
        self._extra = tuple(extra)
        self._modified = 0
        self._read_at: float | None = None
        self._headers: Headers = ()
        self._read()

    async def headers(self) -> Headers:
        now = asyncio.get_running_loop().time()
        if self._read_at is None:
            self._read_at = now
        if now - self._read_at >= _REREAD or self._changed():
            self._reread(now)
        return self._headers

    async def rejected(self, headers: Headers) -> bool:
        self._reread(asyncio.get_running_loop().time())
        return list(self._headers) != list(headers)

    def _changed(self) -> bool:
        try:
            return self._path.stat().st_mtime_ns != self._modified
        except OSError:
            return True

    def _reread(self, now: float) -> None:
        self._read_at = now
        try:
            self._read()
        except ConfigError:
            # The volume is being remounted, or the file is being written: the old token is as good as it was, and if
            # the server does not take it any more, the request fails with its 401.
            return

    def _read(self) -> None:
        try:
            self._modified = self._path.stat().st_mtime_ns
            token = self._path.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            msg = f"token file {self._path}: {reason}"
            raise ConfigError(msg) from None
        if not token:
            msg = f"token file {self._path} is empty"
            raise ConfigError(msg)
        self._headers = (("Authorization", f"Bearer {token}"), *self._extra)

    def __repr__(self) -> str:
        return f"<TokenFileCredentials {self._path}>"


@dataclass(frozen=True, slots=True)
class Credential:
    """What a renewal brings: an `Authorization` header's value, and when it expires (seconds since the epoch).

    The value is empty where the plugin answers with a client certificate.
    """

    authorization: str
    expires: float | None = None

    def __repr__(self) -> str:
        return f"Credential(expires={self.expires})"


@final
class RenewedCredentials:
    """A token that is got from somewhere (an exec plugin, an OIDC provider) and got again before it expires.

    Args:
        renew: fetches a new credential; raises a `ClientError` if it cannot.
        first: the credential to begin with.
        extra: headers to add.
    """

    def __init__(
        self, renew: Callable[[], Awaitable[Credential]], first: Credential, *, clock: Clock, extra: Headers = ()
    ) -> None:
        self._renew = renew
        self._clock = clock
        self._extra = tuple(extra)
        self._lock = asyncio.Lock()
        self._tried_at = float("-inf")
        self._failure = ""
        self._take(first)

    async def headers(self) -> Headers:
        if self._clock.now() >= self._renew_at:
            await self._renewed(self._headers)
        return self._headers

    async def rejected(self, headers: Headers) -> bool:
        if list(headers) == list(self._headers):
            try:
                await self._renewed(self._headers, force=True)
            except TransportError:
                return False  # the caller's 401 tells the story
        return list(headers) != list(self._headers)

    async def _renewed(self, stale: Headers, *, force: bool = False) -> None:
        """Renew unless another task has done so meanwhile, or has just failed to."""
        async with self._lock:
            if self._headers is not stale:  # another task was faster
                return
            now = asyncio.get_running_loop().time()
            if now - self._tried_at >= _PAUSE:
                try:
                    self._take(await self._renew())
                    self._failure = ""
                except ClientError as error:
                    self._failure = str(error)
                self._tried_at = asyncio.get_running_loop().time()
            expired = self._expires is not None and self._clock.now() >= self._expires
            if self._failure and (force or expired):
                msg = f"credentials could not be renewed: {self._failure}"
                raise TransportError(msg)

    def _take(self, credential: Credential) -> None:
        authorization = (("Authorization", credential.authorization),) if credential.authorization else ()
        self._headers: Headers = (*authorization, *self._extra)
        self._expires = credential.expires
        lifetime = float("inf") if credential.expires is None else credential.expires - self._clock.now()
        # A short-lived token is renewed late in its own life, not always anew because it never lives five minutes.
        self._renew_at = float("inf") if credential.expires is None else credential.expires - min(_EARLY, lifetime / 4)

    def __repr__(self) -> str:
        return f"<RenewedCredentials expires={self._expires}>"
