"""A certificate for one embedded cluster: kubectl sends credentials over TLS alone.

The authority that signs it is dropped at once, so that nothing else can ever be signed. The two are apart since not every client
(rustls, for one) takes an authority's certificate as a server's. The server's key lives as long as the cluster; it is on disk (in
a directory that only its owner can read) just while OpenSSL reads it.
"""

from __future__ import annotations

import ssl
import tempfile
from pathlib import Path
from typing import NamedTuple

from controller_runtime.envtest.pki import Authority

__all__ = ["Certificate", "make_certificate"]


class Certificate(NamedTuple):
    """What clients must trust (PEM), and what the server presents."""

    authority: bytes
    context: ssl.SSLContext


def make_certificate() -> Certificate:
    """Make an authority, and a key and a certificate for 127.0.0.1 and localhost."""
    authority = Authority()
    server = authority.server("embedded-kube-apiserver")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    with tempfile.TemporaryDirectory(prefix="embedded-cluster-") as directory:
        chain, private = Path(directory, "tls.crt"), Path(directory, "tls.key")
        chain.write_bytes(server.certificate)
        private.touch(mode=0o600)
        private.write_bytes(server.key)
        context.load_cert_chain(chain, private)
    return Certificate(authority.certificate, context)
