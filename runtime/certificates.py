"""The certificate of an HTTPS server: read from files, and read again when they change; or made for this process alone.

Guarantees: connections that are open keep the certificate they began with, new ones get the newest pair that could be read. A
pair that cannot be used (half written, key and certificate that do not belong together) never replaces one that works: the
failure is logged once, counted, and the files are tried again.

Concurrency: for one event loop. The files are a few kilobytes, on a memory file system in a pod: reading them in the loop
takes less than handing them to a thread.
"""

from __future__ import annotations

import asyncio
import ssl
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal, final

from prometheus_client import CollectorRegistry, Counter

from controller_runtime.reconcile import Logger

__all__ = ["CertificateFiles", "CertificateUnusable", "ServingCertificate", "self_signed_pair"]

_POLL_SECONDS: Final = 10.0


class CertificateUnusable(Exception):
    """The certificate or its key cannot be read, or they do not belong together; the message names the files."""


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """PEM files: a certificate (with its chain) and its key."""

    certificate: Path
    key: Path


@final
class ServingCertificate:
    """See the module docstring.

    Args:
        files: `"self-signed"` makes a pair for `localhost` that lasts as long as the process.
        registry: gets certwatcher's counters, under controller-runtime's names.
    """

    def __init__(
        self, files: CertificateFiles | Literal["self-signed"], *, registry: CollectorRegistry, log: Logger
    ) -> None:
        self._files = None if files == "self-signed" else files
        self._log = log
        self._reads = Counter(
            "certwatcher_read_certificate", "How often the files of a certificate were read.", registry=registry
        )
        self._errors = Counter(
            "certwatcher_read_certificate_errors", "How often a certificate could not be read.", registry=registry
        )
        self._contents: tuple[bytes, bytes] | None = None
        self._current: ssl.SSLContext | None = None
        self._reported = ""

    def load(self) -> ssl.SSLContext:
        """Read the pair and return the context to serve with, whose new connections always use the newest pair.

        Raises:
            CertificateUnusable: there is no pair that works.
        """
        if self._files is None:
            self._current = _context_of(*self_signed_pair())
        else:
            self._read(self._files)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        # OpenSSL asks for every connection, named or not, before it looks at certificates.
        context.sni_callback = self._choose
        return context

    def reload(self) -> None:
        """Use the pair that is in the files now, if it is another one and works."""
        if self._files is None:
            return
        try:
            changed = self._read(self._files)
        except CertificateUnusable as error:
            if str(error) != self._reported:
                self._reported = str(error)
                self._log.error("Certificate not renewed, the old one stays in use", error=self._reported)
            return
        self._reported = ""
        if changed:
            self._log.info("Certificate renewed", certificate=str(self._files.certificate))

    async def watch(self) -> None:
        """Reload again and again until cancelled."""
        while True:
            await asyncio.sleep(_POLL_SECONDS)
            self.reload()

    def _read(self, files: CertificateFiles) -> bool:
        """Read the files; return whether they hold another pair than the one in use."""
        self._reads.inc()
        try:
            contents = (files.certificate.read_bytes(), files.key.read_bytes())
            if contents == self._contents:
                return False
            self._current = _context_of(*contents)
        except OSError as error:  # ssl.SSLError is one
            self._errors.inc()
            reason = error.strerror or str(error)
            msg = f"certificate {files.certificate} with key {files.key}: {reason}"
            raise CertificateUnusable(msg) from error
        self._contents = contents
        return True

    def _choose(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        if self._current is not None:
            connection.context = self._current


def _context_of(certificate: bytes, key: bytes) -> ssl.SSLContext:
    """Make a server's context. OpenSSL wants files, so the pair is on disk for a moment, readable by its owner alone.

    Raises:
        ssl.SSLError: they are no pair.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.set_alpn_protocols(["http/1.1"])
    with tempfile.TemporaryDirectory(prefix="serving-certificate-") as directory:
        chain, private = Path(directory, "tls.crt"), Path(directory, "tls.key")
        chain.write_bytes(certificate)
        private.touch(mode=0o600)
        private.write_bytes(key)
        context.load_cert_chain(chain, private, password=_no_password)
    return context


def _no_password() -> bytes:
    """Answer for an encrypted key; without it OpenSSL would ask on the terminal."""
    return b""


def self_signed_pair() -> tuple[bytes, bytes]:
    """Return a new certificate and key (PEM) for `localhost`, valid for a century: nothing renews it."""
    # Imported here: it is large, and most programs are given their certificate.
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime(2000, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2100, 1, 1, tzinfo=UTC))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        # Python's own clients insist on the key identifiers since 3.13.
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM), secret
