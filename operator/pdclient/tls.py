"""TLS towards PD: from the Secrets that a Cluster names to an `ssl.SSLContext`, again whenever they change.

Concurrency: a `SecretTLS` may be used by any number of tasks of one event loop.
"""

from __future__ import annotations

import base64
import binascii
import os
import ssl
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple, final

from controller_runtime.api.k8s import Secret
from controller_runtime.api.resource import ObjectKey
from controller_runtime.client.errors import ClientError
from controller_runtime.client.interface import Client
from tikv_operator.api import Cluster
from tikv_operator.common.names import cluster_client_secret_name, tls_enabled
from tikv_operator.pdclient.errors import PDUnreachable

__all__ = ["ClientSecrets", "SecretTLS", "TLSMaterial", "TLSProvider", "client_context", "client_secrets"]

TLSProvider = Callable[[Cluster], Awaitable[ssl.SSLContext | None]]
"""Returns how to talk TLS to a cluster's PD, or None for a cluster without TLS; the same object while nothing changed."""


class TLSMaterial(NamedTuple):
    """PEM bytes. `ca` is None where the server's certificate is not to be verified."""

    ca: bytes | None
    certificate: bytes
    key: bytes


class ClientSecrets(NamedTuple):
    """The names of the Secrets with which the operator talks to a cluster. Without `verify`, `ca` isn't read."""

    ca: str
    pair: str
    verify: bool


def client_secrets(cluster: Cluster) -> ClientSecrets:
    """Return the Secrets that a Cluster names for the operator, by default one for all."""
    default = cluster_client_secret_name(cluster.metadata.name)
    security = cluster.spec.security
    client = security.tls.client if security and security.tls else None
    if client is None:
        return ClientSecrets(ca=default, pair=default, verify=True)
    return ClientSecrets(
        ca=(client.ca.name if client.ca else None) or default,
        pair=(client.cert_key_pair.name if client.cert_key_pair else None) or default,
        verify=not client.insecure_skip_tls_verify,
    )


def client_context(material: TLSMaterial) -> ssl.SSLContext:
    """Return a context that presents the certificate and trusts the CA alone.

    Raises:
        ValueError: the material is no valid PEM, or the key doesn't belong to the certificate.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        if material.ca is None:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        else:
            context.load_verify_locations(cadata=material.ca.decode("ascii"))
        _load_certificate(context, material)
    except (ssl.SSLError, UnicodeDecodeError) as error:
        msg = f"unusable TLS certificate, key or CA: {error}"
        raise ValueError(msg) from error
    return context


def _load_certificate(context: ssl.SSLContext, material: TLSMaterial) -> None:
    """Load certificate and key; OpenSSL reads them from a file only, which lives, private, for that moment."""
    descriptor, name = tempfile.mkstemp(suffix=".pem")  # readable for this user alone
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(material.certificate + b"\n" + material.key)
        context.load_cert_chain(name)
    finally:
        Path(name).unlink()


class _Known(NamedTuple):
    material: TLSMaterial
    context: ssl.SSLContext


@final
class SecretTLS:
    """A `TLSProvider` that reads the client Secrets of each Cluster.

    Args:
        client: reads Secrets, past its cache: nobody should hold all Secrets of a Kubernetes cluster in memory for these.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._known: dict[ObjectKey, _Known] = {}

    async def __call__(self, cluster: Cluster) -> ssl.SSLContext | None:
        """Return the context for `cluster`, made anew only when a Secret's content has changed.

        Raises:
            PDUnreachable: a Secret, or one of its keys, is missing or unusable.
        """
        if not tls_enabled(cluster):
            return None
        material = await self._material(cluster)
        known = self._known.get(cluster.key)
        if known is not None and known.material == material:
            return known.context
        try:
            context = client_context(material)
        except ValueError as error:
            raise PDUnreachable(str(error), sent=False) from error
        self._known[cluster.key] = _Known(material, context)
        return context

    async def _material(self, cluster: Cluster) -> TLSMaterial:
        names = client_secrets(cluster)
        pair = await self._secret(cluster, names.pair)
        ca: bytes | None = None
        if names.verify:
            ca_secret = pair if names.ca == names.pair else await self._secret(cluster, names.ca)
            ca = _entry(ca_secret, "ca.crt")
        return TLSMaterial(ca=ca, certificate=_entry(pair, "tls.crt"), key=_entry(pair, "tls.key"))

    async def _secret(self, cluster: Cluster, name: str) -> Secret:
        key = ObjectKey(cluster.metadata.namespace, name)
        try:
            secret = await self._client.live.find(Secret, key)
        except ClientError as error:
            msg = f"cannot read secret {key} for TLS to PD: {error}"
            raise PDUnreachable(msg, sent=False) from error
        if secret is None:
            msg = f"secret {key} for TLS to PD does not exist"
            raise PDUnreachable(msg, sent=False)
        return secret


def _entry(secret: Secret, key: str) -> bytes:
    """Return one decoded value of a Secret. Never quotes it: it may be a key."""
    value = (secret.data or {}).get(key)
    try:
        decoded = base64.b64decode(value or "", validate=True)
    except (binascii.Error, ValueError):
        decoded = b""
    if not decoded:
        msg = f"secret {secret.key} for TLS to PD has no usable {key}"
        raise PDUnreachable(msg, sent=False)
    return decoded
