"""Finds out which API server to talk to and how to authenticate.

The order: the argument, `$KUBECONFIG` (a list of files, merged), the service account of the pod we run in, and
`~/.kube/config`. kubernetes_asyncio does the loading, behind this module alone and imported only when it is needed; its
objects do not leave here.

Guarantees: no global default is set and no kubeconfig is written; whatever is wrong is a `ConfigError` of one line that
names the file and the context and never a secret; afterwards nothing is read from the environment any more.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from controller_runtime.client._kubeconfig import Selection, select
from controller_runtime.client._lazy import lazy_generated_modules
from controller_runtime.client.credentials import (
    Credential,
    Credentials,
    RenewedCredentials,
    StaticCredentials,
    TokenFileCredentials,
)
from controller_runtime.client.errors import ConfigError
from controller_runtime.clock import Clock, SystemClock

__all__ = ["ClientConfig", "load_config"]

SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_PLUGIN_TIMEOUT: Final = 60.0
_HARMLESS: Final = (
    "exec: process returned",  # and what the plugin wrote to its standard error
    "exec: malformed request",
    "exec: plugin api version",
    "oidc:",
    "Service ",
    "Cert file",
    "Token file",
)
"""How those messages of kubernetes_asyncio begin that quote no secret; all others may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientConfig:
    """How to reach one API server.

    Attributes:
        host: the base URL, e.g. `https://10.0.0.1:443`.
        credentials: where authentication headers come from.
        ssl: the TLS settings, client certificate included; None for the system's defaults.
        tls_server_name: the name to expect in the server's certificate, if it is not the host's.
        proxy: URL of an HTTP proxy, or empty.
        namespace: the namespace of the context, or the pod's own.
        source: where all this came from, for a log line.
    """

    host: str
    credentials: Credentials = field(default_factory=StaticCredentials, repr=False)
    ssl: ssl.SSLContext | None = field(default=None, repr=False)
    tls_server_name: str = ""
    proxy: str = field(default="", repr=False)  # it may carry a password
    namespace: str = "default"
    source: str = ""


async def load_config(
    kubeconfig: str | None = None,
    context: str | None = None,
    *,
    clock: Clock | None = None,
    service_account: Path = SERVICE_ACCOUNT,
) -> ClientConfig:
    """Load the configuration; see the module docstring for the order.

    Args:
        kubeconfig: path of a kubeconfig; several are joined with the path separator.
        context: the context to use instead of the current one.
        clock: tells when a token expires; the machine's clock by default.
        service_account: where a pod's service account is mounted.

    Raises:
        ConfigError: there is no usable configuration.
    """
    clock = clock or SystemClock()
    if listed := kubeconfig or os.environ.get("KUBECONFIG"):
        return await _from_kubeconfig(listed, context, clock)
    if context is None and _in_cluster(service_account):
        return await _from_service_account(service_account)
    return await _from_kubeconfig(_default_kubeconfig(), context, clock)


def _default_kubeconfig() -> str:
    default = Path("~/.kube/config").expanduser()
    if not default.exists():
        msg = f"no kubeconfig: none is given, KUBECONFIG is not set, this is not a pod, and {default} does not exist"
        raise ConfigError(msg)
    return str(default)


def _paths(listed: str) -> list[Path]:
    return [Path(path).expanduser() for path in listed.split(os.pathsep) if path]


async def _from_kubeconfig(listed: str, context: str | None, clock: Clock) -> ClientConfig:
    selection = select(_paths(listed), context)
    with lazy_generated_modules():
        from kubernetes_asyncio.client import Configuration
        from kubernetes_asyncio.config import kube_config

        settings: Any = Configuration()
        try:
            async with asyncio.timeout(_PLUGIN_TIMEOUT):
                loader = await kube_config.load_kube_config(
                    os.pathsep.join(map(str, selection.paths)), selection.context, settings, persist_config=False
                )
        except Exception as error:  # noqa: BLE001 - its errors have no common base, and quote secrets
            raise _config_error(selection.source, error, selection.plugin) from None
    tls = _ssl_context(settings, selection.source)
    return ClientConfig(
        host=settings.host,
        credentials=_credentials(selection, settings, loader, tls, clock),
        ssl=tls,
        tls_server_name=settings.tls_server_name or "",
        proxy=settings.proxy or "",
        namespace=selection.namespace,
        source=selection.source,
    )


def _in_cluster(service_account: Path) -> bool:
    return "KUBERNETES_SERVICE_HOST" in os.environ and (service_account / "token").exists()


async def _from_service_account(mounted: Path) -> ClientConfig:
    source = f"service account {mounted}"
    with lazy_generated_modules():
        from kubernetes_asyncio.client import Configuration
        from kubernetes_asyncio.config import ConfigException
        from kubernetes_asyncio.config.incluster_config import InClusterConfigLoader

        settings: Any = Configuration()
        try:
            InClusterConfigLoader(
                token_filename=str(mounted / "token"),
                cert_filename=str(mounted / "ca.crt"),
                try_refresh_token=False,
            ).load_and_set(settings)
        except (ConfigException, OSError, UnicodeDecodeError) as error:
            raise _config_error(source, error) from None
    try:
        namespace = (mounted / "namespace").read_text().strip()
    except OSError:
        namespace = ""  # mounting it is usual, not required
    return ClientConfig(
        host=settings.host,
        credentials=TokenFileCredentials(mounted / "token"),
        ssl=_ssl_context(settings, source),
        namespace=namespace or "default",
        source=source,
    )


def _credentials(
    selection: Selection, settings: Any, loader: Any, tls: ssl.SSLContext | None, clock: Clock
) -> Credentials:
    extra = selection.impersonation
    authorization = settings.api_key.get("BearerToken", "")
    if selection.renewable:
        return RenewedCredentials(
            _renewal(selection, settings, loader, tls), _credential(settings, loader), clock=clock, extra=extra
        )
    if selection.token_file is not None:
        return TokenFileCredentials(selection.token_file, extra=extra)
    return StaticCredentials((("Authorization", authorization), *extra) if authorization else extra)


def _renewal(
    selection: Selection, settings: Any, loader: Any, tls: ssl.SSLContext | None
) -> Callable[[], Awaitable[Credential]]:
    """Return a function that asks the user's plugin or provider again, whatever it said last time."""

    async def renew() -> Credential:
        loader.__dict__.pop("exec_plugin_expiry", None)  # the loader's own cache
        try:
            async with asyncio.timeout(_PLUGIN_TIMEOUT):
                await loader.load_and_set(settings)
            if tls is not None and settings.cert_file:
                # New connections present the new certificate; open ones are as good as they were.
                tls.load_cert_chain(settings.cert_file, settings.key_file)
        except Exception as error:  # noqa: BLE001 - its errors have no common base, and quote secrets
            raise _config_error(selection.source, error, selection.plugin) from None
        return _credential(settings, loader)

    return renew


def _credential(settings: Any, loader: Any) -> Credential:
    expiry = getattr(loader, "exec_plugin_expiry", None)
    return Credential(settings.api_key.get("BearerToken", ""), None if expiry is None else expiry.timestamp())


def _ssl_context(settings: Any, source: str) -> ssl.SSLContext | None:
    if not settings.host.startswith("https://"):
        return None
    try:
        tls = ssl.create_default_context(cafile=settings.ssl_ca_cert)
    except (OSError, ValueError):  # ssl.SSLError is an OSError
        msg = f"{source}: the certificate authority is not a PEM certificate"
        raise ConfigError(msg) from None
    # Python 3.13 began to insist on extensions that the CAs of many clusters lack and that no other client asks for.
    tls.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if not settings.verify_ssl:
        tls.check_hostname = False
        tls.verify_mode = ssl.CERT_NONE
    if settings.cert_file:
        try:
            tls.load_cert_chain(settings.cert_file, settings.key_file)
        except (OSError, ValueError):
            msg = f"{source}: the client certificate and its key are not a matching PEM pair"
            raise ConfigError(msg) from None
    return tls


def _config_error(source: str, error: Exception, plugin: str = "") -> ConfigError:
    """Say in one line what failed: only errors known to quote no secret are quoted."""
    text = " ".join(str(error).split())
    if isinstance(error, TimeoutError) and plugin:
        reason = f"the credential plugin {plugin!r} did not answer within {_PLUGIN_TIMEOUT:g} s"
    elif isinstance(error, OSError) and plugin:
        reason = f"the credential plugin {plugin!r} cannot be run: {error.strerror}"
    elif text.startswith(_HARMLESS):
        reason = text[:300]
    else:
        reason = f"the credentials cannot be loaded ({type(error).__name__})"
    return ConfigError(f"{source}: {reason}")
