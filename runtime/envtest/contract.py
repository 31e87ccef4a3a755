"""`Cluster`: what the embedded and the real control plane have in common, so that one test runs on both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol

from controller_runtime.client.transport import Transport

__all__ = ["ADMINISTRATORS", "Cluster"]

ADMINISTRATORS: Final = ("system:masters",)
"""The groups of a user who may do everything."""


class Cluster(Protocol):
    """A running API server.

    Concurrency: for the event loop in which it was started; its kubeconfigs work from anywhere.
    """

    @property
    def transport(self) -> Transport:
        """An administrator's way in."""
        ...

    @property
    def url(self) -> str:
        """The HTTPS address."""
        ...

    def kubeconfig(
        self, user: str = "admin", *, groups: Sequence[str] = ADMINISTRATORS, namespace: str = "default"
    ) -> str:
        """Return a kubeconfig (YAML) for a user in these groups; who is in none may do nothing that no role allows."""
        ...

    async def service_account_kubeconfig(self, name: str, *, namespace: str = "default") -> str:
        """Return a kubeconfig (YAML) with a token of a service account, good for an hour.

        Raises:
            NotFound: there is no such service account.
        """
        ...

    async def install_crds(self, *crds: dict[str, Any]) -> None:
        """Create CustomResourceDefinitions, or change those that exist, and wait until they are served.

        Raises:
            ApiError: one of them is not valid.
            TimeoutError: one of them was not served in time.
        """
        ...
