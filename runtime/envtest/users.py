"""Who asks: users, and the tokens by which the server knows them again.

Tokens of service accounts are JSON web tokens, as on a real server, but signed with a secret of this server's own (HS256),
which nobody else can check. Tokens of other users say nothing; the server remembers whose they are.

Concurrency: plain synchronous code for one event loop.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import orjson

from controller_runtime.api.resource import ObjectKey
from controller_runtime.clock import Clock
from controller_runtime.envtest.storage import Json, Storage

__all__ = [
    "ADMINISTRATOR",
    "ANONYMOUS",
    "AUDIENCE",
    "AUTHENTICATED",
    "MASTERS",
    "Accounts",
    "User",
    "service_account_groups",
    "service_account_of",
]

AUDIENCE: Final = "https://kubernetes.default.svc"
MASTERS: Final = "system:masters"
AUTHENTICATED: Final = "system:authenticated"
_SERVICE_ACCOUNT: Final = "system:serviceaccount:"
_HEADER: Final = {"alg": "HS256", "typ": "JWT"}


@dataclass(frozen=True, slots=True)
class User:
    """Somebody, with the groups that decide what they may do."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def info(self) -> Json:
        """The `UserInfo` of reviews."""
        info: Json = {"username": self.name}
        if self.uid:
            info["uid"] = self.uid
        if self.groups:
            info["groups"] = list(self.groups)
        if self.extra:
            info["extra"] = {key: list(values) for key, values in self.extra.items()}
        return info


ADMINISTRATOR: Final = User("admin", (MASTERS, AUTHENTICATED))
ANONYMOUS: Final = User("system:anonymous", ("system:unauthenticated",))


class Accounts:
    """Hands out tokens, and knows whose they are.

    Args:
        rng: of the signing key and of the tokens' ids, so that equal seeds give equal tokens: they guard a test's cluster.
    """

    def __init__(self, storage: Storage, clock: Clock, rng: random.Random) -> None:
        self._storage = storage
        self._clock = clock
        self._rng = rng
        self._secret = rng.randbytes(32)
        self._users: dict[str, User] = {}

    def register(self, token: str, name: str, groups: Sequence[str]) -> None:
        """Let `token` stand for this user, who is in these groups and in `system:authenticated`."""
        self._users[token] = User(name, tuple(dict.fromkeys((*groups, AUTHENTICATED))))

    def user_of(self, token: str, audience: str = AUDIENCE) -> User | None:
        """The user of a token; None for one that is unknown, expired, for another audience, or of a deleted account."""
        known = self._users.get(token)
        return known or self._service_account(token, audience)

    def issue(self, account: Json, audiences: Sequence[str], seconds: int) -> str:
        """Return a token for a service account (a stored object)."""
        metadata, now = account["metadata"], int(self._clock.now())
        namespace, name = metadata["namespace"], metadata["name"]
        claims = {
            "aud": list(audiences),
            "exp": now + seconds,
            "iat": now,
            "iss": AUDIENCE,
            "jti": f"{self._rng.getrandbits(128):032x}",
            "kubernetes.io": {"namespace": namespace, "serviceaccount": {"name": name, "uid": metadata["uid"]}},
            "nbf": now,
            "sub": f"{_SERVICE_ACCOUNT}{namespace}:{name}",
        }
        signed = f"{_encoded(orjson.dumps(_HEADER))}.{_encoded(orjson.dumps(claims))}"
        return f"{signed}.{self._signature(signed)}"

    def _service_account(self, token: str, audience: str) -> User | None:
        signed, _, signature = token.rpartition(".")
        if not signed or not hmac.compare_digest(
            self._signature(signed).encode(), signature.encode("utf-8", "surrogateescape")
        ):
            return None
        claims = orjson.loads(_decoded(signed.partition(".")[2]))
        if claims["exp"] <= self._clock.now() or audience not in claims["aud"]:
            return None
        about = claims["kubernetes.io"]
        namespace, name, uid = about["namespace"], about["serviceaccount"]["name"], about["serviceaccount"]["uid"]
        stored = self._storage.get(("", "serviceaccounts"), ObjectKey(namespace, name))
        if stored is None or stored.uid != uid:
            return None
        groups = (*service_account_groups(namespace), AUTHENTICATED)
        extra = {"authentication.kubernetes.io/credential-id": (f"JTI={claims['jti']}",)}
        return User(claims["sub"], groups, uid, extra)

    def _signature(self, signed: str) -> str:
        return _encoded(hmac.digest(self._secret, signed.encode(), hashlib.sha256))


def service_account_groups(namespace: str) -> tuple[str, ...]:
    """The groups of every service account of a namespace."""
    return ("system:serviceaccounts", f"system:serviceaccounts:{namespace}")


def service_account_of(user: str) -> tuple[str, str] | None:
    """The namespace and name in a service account's user name; None for anybody else."""
    namespace, separator, name = user.removeprefix(_SERVICE_ACCOUNT).partition(":")
    return (namespace, name) if user.startswith(_SERVICE_ACCOUNT) and separator else None


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    """Decode what this server has signed, and so has encoded."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
