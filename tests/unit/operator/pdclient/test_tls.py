"""From a Cluster's Secrets to an SSL context, again when they change."""

from __future__ import annotations

import base64
import ssl
import tempfile
from pathlib import Path
from typing import Any

import pytest

from controller_runtime.api.k8s import Secret
from controller_runtime.api.meta import ObjectMeta
from controller_runtime.api.resource import ObjectKey
from controller_runtime.client.errors import TransportError
from helpers.certificates import Authority, Certificate
from tikv_operator.api import (
    Cluster,
    ClusterClientTLS,
    ClusterSecurity,
    ClusterSpec,
    ClusterTLS,
    SecretReference,
    TLSCluster,
)
from tikv_operator.pdclient import PDUnreachable, SecretTLS
from tikv_operator.pdclient.tls import TLSMaterial, client_context

DEFAULT = "basic-cluster-client-secret"


@pytest.fixture(scope="module")
def ca() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def pair(ca: Authority) -> Certificate:
    return ca.sign("operator")


class Secrets:
    """A client that reads Secrets alone, and these past its cache."""

    def __init__(self, **secrets: dict[str, bytes]) -> None:
        self.secrets = {name.replace("_", "-"): data for name, data in secrets.items()}
        self.error: Exception | None = None

    @property
    def live(self) -> Secrets:
        return self

    async def find(self, kind: type[Secret], key: ObjectKey) -> Secret | None:
        if self.error is not None:
            raise self.error
        if key.namespace != "ns1" or key.name not in self.secrets:
            return None
        data = {name: base64.b64encode(value).decode() for name, value in self.secrets[key.name].items()}
        return Secret(metadata=ObjectMeta(namespace=key.namespace, name=key.name), data=data)


def provider(secrets: Any) -> SecretTLS:
    return SecretTLS(secrets)


def cluster(*, enabled: bool = True, client: ClusterClientTLS | None = None) -> Cluster:
    return Cluster(
        metadata=ObjectMeta(name="basic", namespace="ns1"),
        spec=ClusterSpec(
            tls_cluster=TLSCluster(enabled=enabled),
            security=ClusterSecurity(tls=ClusterTLS(client=client)),
        ),
    )


def whole(ca: Authority, pair: Certificate) -> dict[str, bytes]:
    return {"ca.crt": ca.certificate, "tls.crt": pair.certificate, "tls.key": pair.key}


async def test_a_cluster_without_tls_needs_no_context_and_no_secret() -> None:
    secrets = Secrets()
    secrets.error = AssertionError("nobody asked")
    assert await provider(secrets)(cluster(enabled=False)) is None


async def test_the_default_secret_holds_everything(ca: Authority, pair: Certificate) -> None:
    context = await provider(Secrets(**{DEFAULT: whole(ca, pair)}))(cluster())
    assert context is not None
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname
    assert len(context.get_ca_certs()) == 1


async def test_named_secrets_are_used_instead(ca: Authority, pair: Certificate) -> None:
    names = ClusterClientTLS(ca=SecretReference(name="my-ca"), cert_key_pair=SecretReference(name="my-pair"))
    pem = whole(ca, pair)
    secrets = Secrets(my_ca={"ca.crt": pem.pop("ca.crt")}, my_pair=pem)
    assert await provider(secrets)(cluster(client=names)) is not None


async def test_without_verification_no_ca_is_needed(pair: Certificate) -> None:
    secrets = Secrets(**{DEFAULT: {"tls.crt": pair.certificate, "tls.key": pair.key}})
    context = await provider(secrets)(cluster(client=ClusterClientTLS(insecure_skip_tls_verify=True)))
    assert context is not None
    assert context.verify_mode == ssl.CERT_NONE


async def test_the_context_is_the_same_until_the_content_changes(ca: Authority, pair: Certificate) -> None:
    secrets = Secrets(**{DEFAULT: whole(ca, pair)})
    tls = provider(secrets)
    first = await tls(cluster())
    assert await tls(cluster()) is first
    secrets.secrets[DEFAULT] = whole(ca, ca.sign("operator"))
    renewed = await tls(cluster())
    assert renewed is not first
    assert await tls(cluster()) is renewed


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        pytest.param({"ca.crt": b""}, "ns1/basic-cluster-client-secret .* no usable ca.crt", id="no CA"),
        pytest.param({"tls.crt": b""}, "no usable tls.crt", id="no certificate"),
        pytest.param({"tls.key": b""}, "no usable tls.key", id="no key"),
        pytest.param({"ca.crt": b"not PEM"}, "unusable", id="a CA that is no PEM"),
        pytest.param({"ca.crt": "é".encode()}, "unusable", id="a CA that is no ASCII"),
        pytest.param({"tls.crt": b"not PEM"}, "unusable", id="a certificate that is no PEM"),
        pytest.param({"tls.key": b"not PEM"}, "unusable", id="a key that is no PEM"),
        pytest.param({"tls.key": "another"}, "unusable", id="the key of another certificate"),
    ],
)
async def test_unusable_secrets_are_named_and_not_quoted(
    ca: Authority, pair: Certificate, damage: dict[str, Any], message: str
) -> None:
    if damage.get("tls.key") == "another":
        damage = {"tls.key": ca.sign("another").key}
    secrets = Secrets(**{DEFAULT: whole(ca, pair) | damage})
    with pytest.raises(PDUnreachable, match=message) as raised:
        await provider(secrets)(cluster())
    assert not raised.value.sent
    assert "PRIVATE KEY" not in str(raised.value)


async def test_a_missing_secret_is_named() -> None:
    with pytest.raises(PDUnreachable, match="secret ns1/basic-cluster-client-secret for TLS to PD does not exist"):
        await provider(Secrets())(cluster())


async def test_a_secret_that_cannot_be_read_says_why() -> None:
    secrets = Secrets()
    secrets.error = TransportError("connection refused")
    with pytest.raises(PDUnreachable, match=r"cannot read secret .*: connection refused"):
        await provider(secrets)(cluster())


def test_the_key_does_not_stay_on_the_disk(ca: Authority, pair: Certificate, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    client_context(TLSMaterial(ca.certificate, pair.certificate, pair.key))
    with pytest.raises(ValueError, match="unusable"):
        client_context(TLSMaterial(ca.certificate, pair.certificate, b"no key"))
    assert list(tmp_path.iterdir()) == []
