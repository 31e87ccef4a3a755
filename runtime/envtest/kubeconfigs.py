"""A kubeconfig as text."""

from __future__ import annotations

import base64
from collections.abc import Mapping

import yaml

__all__ = ["kubeconfig_text", "with_certificate", "with_token"]


def with_token(token: str) -> dict[str, str]:
    """Return the credentials of a user with a bearer token."""
    return {"token": token}


def with_certificate(certificate: bytes, key: bytes) -> dict[str, str]:
    """Return the credentials of a user with a client certificate and its key, both PEM."""
    return {"client-certificate-data": _text(certificate), "client-key-data": _text(key)}


def kubeconfig_text(
    url: str, authority: bytes | None, user: str, credentials: Mapping[str, str], *, namespace: str
) -> str:
    """Return a kubeconfig (YAML) with one cluster, one user and one context.

    Args:
        authority: the certificate to trust, PEM; None for a server without TLS.
    """
    trust = {} if authority is None else {"certificate-authority-data": _text(authority)}
    name = "envtest"
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": url, **trust}}],
        "users": [{"name": user, "user": dict(credentials)}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": user, "namespace": namespace}}],
        "current-context": name,
    }
    text: str = yaml.safe_dump(config, sort_keys=False)
    return text


def _text(pem: bytes) -> str:
    return base64.b64encode(pem).decode()
