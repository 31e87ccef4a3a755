"""The embedded cluster's certificate, seen from a client that looks closely: a handshake in memory."""

from __future__ import annotations

import ssl
from contextlib import suppress

import pytest
from cryptography import x509

from controller_runtime.envtest.certificate import Certificate, make_certificate


def presented(certificate: Certificate, host: str, flags: ssl.VerifyFlags) -> x509.Certificate:
    """Shake hands, and return what the server presented."""
    client = ssl.create_default_context(cadata=certificate.authority.decode())
    client.verify_flags |= flags
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(to_client, to_server, server_hostname=host)
    theirs = certificate.context.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(2):
        for side in (ours, theirs):
            with suppress(ssl.SSLWantReadError):
                side.do_handshake()
    found = ours.getpeercert(binary_form=True)
    assert found is not None
    return x509.load_der_x509_certificate(found)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_client_that_checks_strictly_accepts_the_server(host: str) -> None:
    name = presented(make_certificate(), host, ssl.VERIFY_X509_STRICT).subject.rfc4514_string()
    assert name == "CN=embedded-kube-apiserver"


def test_the_servers_certificate_is_no_authoritys_as_rustls_demands() -> None:
    certificate = make_certificate()
    server = presented(certificate, "localhost", ssl.VerifyFlags.VERIFY_DEFAULT)
    assert not server.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert not server.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    authority = x509.load_pem_x509_certificate(certificate.authority)
    assert authority.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert server.issuer == authority.subject


def test_no_two_clusters_trust_each_other() -> None:
    one, other = make_certificate(), make_certificate()
    with pytest.raises(ssl.SSLCertVerificationError):
        presented(Certificate(one.authority, other.context), "localhost", ssl.VerifyFlags.VERIFY_DEFAULT)
