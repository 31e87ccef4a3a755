"""The certificates of a real control plane are what strict TLS stacks ask for."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from controller_runtime.envtest.pki import Authority, KeyPair


def context(side: ssl.Purpose, authority: Authority, pair: KeyPair, folder: Path) -> ssl.SSLContext:
    certificate, key = folder / f"{side.name}.crt", folder / f"{side.name}.key"
    certificate.write_bytes(pair.certificate)
    key.write_bytes(pair.key)
    made = ssl.create_default_context(side, cadata=authority.certificate.decode())
    made.verify_mode = ssl.CERT_REQUIRED
    made.verify_flags |= ssl.VERIFY_X509_STRICT  # Python 3.13's default
    made.load_cert_chain(certificate, key)
    return made


def shake_hands(server: ssl.SSLContext, client: ssl.SSLContext, name: str = "127.0.0.1") -> ssl.SSLObject:
    """Carry out a handshake in memory and return the server's side of it."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [server.wrap_bio(up, down, server_side=True), client.wrap_bio(down, up, server_hostname=name)]
    for _ in range(5):
        for side in sides:
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return sides[0]


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_server_and_user_know_each_other(tmp_path: Path, name: str) -> None:
    authority = Authority()
    server = context(ssl.Purpose.CLIENT_AUTH, authority, authority.server(), tmp_path)
    client = context(ssl.Purpose.SERVER_AUTH, authority, authority.client("jane", ["dev", "ops"]), tmp_path)
    peer = shake_hands(server, client, name).getpeercert()
    assert peer is not None
    subject = [pair for part in peer["subject"] for pair in part]  # type: ignore[union-attr]
    assert subject == [("commonName", "jane"), ("organizationName", "dev"), ("organizationName", "ops")]


def test_another_cluster_s_user_is_a_stranger(tmp_path: Path) -> None:
    authority, other = Authority(), Authority()
    server = context(ssl.Purpose.CLIENT_AUTH, authority, authority.server(), tmp_path)
    stranger = context(ssl.Purpose.SERVER_AUTH, authority, other.client("admin", ["system:masters"]), tmp_path)
    with pytest.raises(ssl.SSLError, match="certificate verify failed"):
        shake_hands(server, stranger)


def test_a_user_s_certificate_does_not_make_a_server(tmp_path: Path) -> None:
    authority = Authority()
    pretender = context(ssl.Purpose.CLIENT_AUTH, authority, authority.client("127.0.0.1"), tmp_path)
    client = context(ssl.Purpose.SERVER_AUTH, authority, authority.client("jane"), tmp_path)
    with pytest.raises(ssl.SSLError, match="certificate verify failed"):
        shake_hands(pretender, client)


def test_a_name_that_a_certificate_cannot_hold_is_refused() -> None:
    with pytest.raises(ValueError, match="64"):
        Authority().client("a" * 65)


def test_the_order_of_groups_is_kept() -> None:
    pem = Authority().client("jane", ["b", "a"]).certificate
    groups = x509.load_pem_x509_certificate(pem).subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    assert [group.value for group in groups] == ["b", "a"]
