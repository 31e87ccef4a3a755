"""The serving certificate as clients see it: handshakes in memory, over files that change."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from prometheus_client import CollectorRegistry

from controller_runtime.certificates import CertificateFiles, CertificateUnusable, ServingCertificate, self_signed_pair
from controller_runtime.concurrency import background_tasks
from helpers.certificates import Authority, Certificate
from helpers.recording_log import RecordingLog

AUTHORITY = Authority()


def name_presented(server: ssl.SSLContext, *, authority: bytes = AUTHORITY.certificate, host: str = "localhost") -> str:
    """Shake hands without a socket and return the common name of the certificate that the client got."""
    client = ssl.create_default_context(cadata=authority.decode())
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(to_client, to_server, server_hostname=host)
    theirs = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(3):
        for side in (ours, theirs):
            with suppress(ssl.SSLWantReadError):
                side.do_handshake()
    certificate = ours.getpeercert()
    assert certificate is not None
    return dict(field for part in certificate["subject"] for field in part)["commonName"]  # type: ignore[misc]


class Bench:
    def __init__(self, directory: Path) -> None:
        self.files = CertificateFiles(directory / "tls.crt", directory / "tls.key")
        self.registry = CollectorRegistry()
        self.log = RecordingLog()
        self.serving = ServingCertificate(self.files, registry=self.registry, log=self.log)

    def write(self, name: str) -> Certificate:
        pair = AUTHORITY.sign(name, hosts=("localhost",))
        self.files.certificate.write_bytes(pair.certificate)
        self.files.key.write_bytes(pair.key)
        return pair

    def counted(self, what: str) -> float | None:
        return self.registry.get_sample_value(f"certwatcher_read_certificate{what}_total")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_it_presents_what_is_in_the_files(bench: Bench) -> None:
    bench.write("first")
    assert name_presented(bench.serving.load()) == "first"
    assert (bench.counted(""), bench.counted("_errors")) == (1, 0)


def test_new_connections_get_the_new_pair(bench: Bench) -> None:
    bench.write("first")
    context = bench.serving.load()
    bench.write("second")
    assert name_presented(context) == "first"
    bench.serving.reload()
    assert name_presented(context) == "second"
    assert bench.log.events() == ["Certificate renewed"]


def test_files_that_did_not_change_are_not_taken_again(bench: Bench) -> None:
    bench.write("first")
    bench.serving.load()
    for _ in range(3):
        bench.serving.reload()
    assert bench.log.events() == []
    assert bench.counted("") == 4


def test_a_half_written_pair_does_not_replace_one_that_works(bench: Bench) -> None:
    bench.write("first")
    context = bench.serving.load()
    second = AUTHORITY.sign("second", hosts=("localhost",))
    bench.files.certificate.write_bytes(second.certificate)
    for _ in range(3):
        bench.serving.reload()
    assert name_presented(context) == "first"
    assert bench.counted("_errors") == 3
    assert "tls.crt" in bench.log.only("Certificate not renewed, the old one stays in use")["error"]
    bench.files.key.write_bytes(second.key)
    bench.serving.reload()
    assert name_presented(context) == "second"


def test_a_file_that_is_missing_for_a_moment_costs_nothing(bench: Bench) -> None:
    bench.write("first")
    context = bench.serving.load()
    bench.files.key.unlink()
    bench.serving.reload()
    assert name_presented(context) == "first"
    bench.write("second")
    bench.serving.reload()
    assert name_presented(context) == "second"


async def test_changes_are_noticed_within_ten_seconds(bench: Bench) -> None:
    bench.write("first")
    context = bench.serving.load()
    async with background_tasks() as start:
        start(bench.serving.watch(), "watch")
        await asyncio.sleep(25)
        bench.write("second")
        await asyncio.sleep(10)
    assert name_presented(context) == "second"


@pytest.mark.parametrize("content", [b"", b"no certificate"])
def test_no_pair_at_all_is_an_error_that_names_the_files(bench: Bench, content: bytes) -> None:
    with pytest.raises(CertificateUnusable, match=r"tls\.crt with key .*tls\.key: No such file"):
        bench.serving.load()
    bench.files.certificate.write_bytes(content)
    bench.files.key.write_bytes(content)
    with pytest.raises(CertificateUnusable, match=r"tls\.crt"):
        bench.serving.load()


def test_an_encrypted_key_asks_nobody_for_its_password(bench: Bench) -> None:
    pair = bench.write("first")
    key = serialization.load_pem_private_key(pair.key, None)
    secret = serialization.BestAvailableEncryption(b"secret")
    pem, format_ = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    bench.files.key.write_bytes(key.private_bytes(pem, format_, secret))
    with pytest.raises(CertificateUnusable):
        bench.serving.load()


def test_a_pair_of_its_own_is_for_localhost_and_stays() -> None:
    serving = ServingCertificate("self-signed", registry=CollectorRegistry(), log=RecordingLog())
    context = serving.load()
    serving.reload()
    with pytest.raises(ssl.SSLCertVerificationError):
        name_presented(context)


def test_two_pairs_of_their_own_differ() -> None:
    assert self_signed_pair() != self_signed_pair()
