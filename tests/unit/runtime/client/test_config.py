"""Finding the API server: the order of the sources, and one clear line for whatever is wrong."""

from __future__ import annotations

import base64
import logging
import ssl
from pathlib import Path
from typing import Any

import pytest
import yaml

from controller_runtime.client.config import ClientConfig, load_config
from controller_runtime.client.errors import ConfigError

SECRET = "hunter2-token"


def kubeconfig(**changes: Any) -> dict[str, Any]:
    config: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "main",
        "contexts": [
            {"name": "main", "context": {"cluster": "c", "user": "u", "namespace": "team"}},
            {"name": "other", "context": {"cluster": "c2", "user": "u"}},
        ],
        "clusters": [
            {"name": "c", "cluster": {"server": "http://127.0.0.1:8001/"}},
            {"name": "c2", "cluster": {"server": "http://10.0.0.2:8001"}},
        ],
        "users": [{"name": "u", "user": {"token": SECRET}}],
    }
    config.update(changes)
    return config


def write(path: Path, config: Any) -> str:
    path.write_text(config if isinstance(config, str) else yaml.safe_dump(config))
    return str(path)


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))


def service_account(path: Path, **files: str) -> Path:
    path.mkdir()
    for name, text in files.items():
        (path / name.replace("_", ".")).write_text(text)
    return path


async def headers(config: ClientConfig) -> list[tuple[str, str]]:
    return list(await config.credentials.headers())


# Sources


async def test_a_kubeconfig_gives_the_server_the_namespace_and_the_token(tmp_path: Path) -> None:
    config = await load_config(write(tmp_path / "config", kubeconfig()))
    assert (config.host, config.namespace, config.ssl) == ("http://127.0.0.1:8001", "team", None)
    assert await headers(config) == [("Authorization", f"Bearer {SECRET}")]
    assert config.source == f"kubeconfig {tmp_path / 'config'}, context 'main'"


async def test_another_context_can_be_named(tmp_path: Path) -> None:
    config = await load_config(write(tmp_path / "config", kubeconfig()), "other")
    assert (config.host, config.namespace) == ("http://10.0.0.2:8001", "default")


async def test_the_environment_lists_files_of_which_the_first_word_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = write(tmp_path / "one", kubeconfig(clusters=[], users=[], contexts=kubeconfig()["contexts"][:1]))
    second = kubeconfig(**{"current-context": "other"})
    monkeypatch.setenv("KUBECONFIG", f"{first}:{tmp_path / 'missing'}:{write(tmp_path / 'two', second)}")
    config = await load_config()
    assert (config.host, config.namespace) == ("http://127.0.0.1:8001", "team")


async def test_the_argument_beats_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "missing"))
    assert (await load_config(write(tmp_path / "config", kubeconfig()))).namespace == "team"


async def test_the_home_directorys_kubeconfig_comes_last(tmp_path: Path) -> None:
    (tmp_path / "home/.kube").mkdir()
    write(tmp_path / "home/.kube/config", kubeconfig())
    assert (await load_config()).namespace == "team"


async def test_a_pod_uses_its_service_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, certificate: tuple[str, str]
) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    mounted = service_account(tmp_path / "sa", token=SECRET, ca_crt=certificate[0], namespace="system\n")
    config = await load_config(service_account=mounted)
    assert (config.host, config.namespace) == ("https://[fd00::1]:443", "system")
    assert await headers(config) == [("Authorization", f"Bearer {SECRET}")]
    (mounted / "token").write_text("renewed")
    assert await headers(config) == [("Authorization", "Bearer renewed")]


async def test_a_kubeconfig_in_the_environment_beats_the_service_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBECONFIG", write(tmp_path / "config", kubeconfig()))
    assert (await load_config(service_account=tmp_path)).namespace == "team"


async def test_without_any_source_the_error_lists_them() -> None:
    with pytest.raises(
        ConfigError, match=r"none is given, KUBECONFIG is not set, this is not a pod, and /.* not exist"
    ):
        await load_config()


# Users


async def test_a_token_file_is_found_beside_its_kubeconfig_and_read_again(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("one")
    users = [{"name": "u", "user": {"tokenFile": "token"}}]
    config = await load_config(write(tmp_path / "config", kubeconfig(users=users)))
    assert await headers(config) == [("Authorization", "Bearer one")]
    (tmp_path / "token").write_text("twoo")
    assert await headers(config) == [("Authorization", "Bearer twoo")]


async def test_a_password_becomes_basic_authentication(tmp_path: Path) -> None:
    users = [{"name": "u", "user": {"username": "me", "password": SECRET}}]
    config = await load_config(write(tmp_path / "config", kubeconfig(users=users)))
    encoded = base64.b64encode(f"me:{SECRET}".encode()).decode()
    assert await headers(config) == [("Authorization", f"Basic {encoded}")]


async def test_impersonation_becomes_headers(tmp_path: Path) -> None:
    user = {
        "token": SECRET,
        "as": "jane",
        "as-uid": "7",
        "as-groups": ["dev", "ops"],
        "as-user-extra": {"reason": ["test"]},
    }
    config = await load_config(write(tmp_path / "config", kubeconfig(users=[{"name": "u", "user": user}])))
    assert (await headers(config))[1:] == [
        ("Impersonate-User", "jane"),
        ("Impersonate-Uid", "7"),
        ("Impersonate-Group", "dev"),
        ("Impersonate-Group", "ops"),
        ("Impersonate-Extra-reason", "test"),
    ]


async def test_a_context_without_a_user_authenticates_with_nothing(tmp_path: Path) -> None:
    contexts = [{"name": "main", "context": {"cluster": "c"}}]
    config = await load_config(write(tmp_path / "config", kubeconfig(contexts=contexts)))
    assert await headers(config) == []


# TLS and proxies


def cluster(**values: Any) -> list[dict[str, Any]]:
    return [{"name": "c", "cluster": {"server": "https://127.0.0.1:6443", **values}}]


async def test_certificates_come_from_data_or_from_files_beside_the_kubeconfig(
    tmp_path: Path, certificate: tuple[str, str]
) -> None:
    public, private = certificate
    (tmp_path / "ca.crt").write_text(public)
    users = [
        {
            "name": "u",
            "user": {
                "client-certificate-data": base64.b64encode(public.encode()).decode(),
                "client-key-data": base64.b64encode(private.encode()).decode(),
            },
        }
    ]
    clusters = cluster(**{"certificate-authority": "ca.crt", "tls-server-name": "api", "proxy-url": "http://proxy:1"})
    config = await load_config(write(tmp_path / "config", kubeconfig(clusters=clusters, users=users)))
    assert config.ssl is not None
    assert config.ssl.verify_mode is ssl.CERT_REQUIRED
    assert len(config.ssl.get_ca_certs()) == 1
    assert (config.tls_server_name, config.proxy) == ("api", "http://proxy:1")


async def test_verification_can_be_turned_off(tmp_path: Path) -> None:
    clusters = cluster(**{"insecure-skip-tls-verify": True})
    config = await load_config(write(tmp_path / "config", kubeconfig(clusters=clusters)))
    assert config.ssl is not None
    assert config.ssl.verify_mode is ssl.CERT_NONE


async def test_proxies_of_the_environment_are_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://elsewhere:3128")
    assert (await load_config(write(tmp_path / "config", kubeconfig()))).proxy == ""


# What can be wrong


def users(**user: Any) -> dict[str, Any]:
    return {"users": [{"name": "u", "user": {"token": SECRET, **user}}]}


NOT_BASE64 = "certificate-authority-data"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("", "is not a mapping"),
        ("- a\n- b", "is not a mapping"),
        (f"token: {SECRET}\n  : [", r"is not valid YAML \(line 2\)"),
        ({}, "no context is given, and no current-context is set"),
        (kubeconfig(**{"current-context": "nope"}), "no context 'nope'; there is main, other"),
        (kubeconfig(contexts=[]), "no context 'main'; there is none at all"),
        (kubeconfig(contexts="x"), "contexts is not a list"),
        (kubeconfig(users="x"), "users is not a list"),
        (kubeconfig(users=[{"user": {"token": SECRET}}]), r"users\[0\] has no name"),
        (kubeconfig(users=[{"name": "u", "user": [SECRET]}]), r"user of users\[0\] is not a mapping"),
        (kubeconfig(users=[{"name": "u", "user": {"token": SECRET}}] * 2), "two entries 'u' in users"),
        (kubeconfig(users=[]), "context 'main': no user 'u'"),
        (kubeconfig(clusters=[]), "context 'main': no cluster 'c'"),
        (kubeconfig(contexts=[{"name": "main", "context": {"user": "u"}}]), "context 'main' names no cluster"),
        (kubeconfig(clusters=[{"name": "c", "cluster": {}}]), "context 'main': its cluster has no server URL"),
        (kubeconfig(clusters=[{"name": "c", "cluster": {"server": "host:1"}}]), "its cluster has no server URL"),
        (
            kubeconfig(clusters=cluster(**{"certificate-authority": "missing.crt"})),
            "certificate-authority /.*/missing.crt: No such file",
        ),
        (kubeconfig(clusters=cluster(**{NOT_BASE64: "***"})), f"{NOT_BASE64} of its cluster is not base64"),
        (kubeconfig(clusters=cluster(**{NOT_BASE64: "aGVsbG8="})), "certificate authority is not a PEM certificate"),
        (kubeconfig(**users(**{"client-key-data": SECRET})), "client-key-data of its user is not base64"),
        (kubeconfig(**users(**{"client-certificate": "missing"})), "client-certificate /.*/missing: No such file"),
        (
            kubeconfig(
                clusters=cluster(),
                **users(**{"client-certificate-data": "aGVsbG8=", "client-key-data": "aGVsbG8="}),
            ),
            "not a matching PEM pair",
        ),
        (kubeconfig(users=[{"name": "u", "user": {"tokenFile": "missing"}}]), "tokenFile /.*/missing: No such file"),
        (kubeconfig(**users(exec={"apiVersion": "v1"})), "exec: malformed request. missing key 'command'"),
        (kubeconfig(**users(**{"auth-provider": {"name": "oidc"}})), "oidc: missing configuration"),
        (
            kubeconfig(**users(**{"auth-provider": {"name": "oidc", "config": {"id-token": SECRET}}})),
            "oidc: JWT tokens should contain 3",
        ),
    ],
)
async def test_every_mistake_is_one_line_that_names_the_file_and_no_secret(
    tmp_path: Path, config: Any, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    path = write(tmp_path / "config", config)
    with pytest.raises(ConfigError, match=message) as caught:
        await load_config(path)
    text = str(caught.value)
    assert path in text
    assert "\n" not in text
    assert SECRET not in text
    assert SECRET not in caplog.text
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


async def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"kubeconfig .*/nowhere does not exist"):
        await load_config(str(tmp_path / "nowhere"))


async def test_a_directory_is_no_kubeconfig(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        await load_config(str(tmp_path))


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"token": SECRET}, "Service certification file does not exist"),
        ({"token": SECRET, "ca_crt": ""}, "Cert file exists but empty"),
        ({"token": SECRET, "ca_crt": "nonsense"}, "certificate authority is not a PEM certificate"),
        ({"token": "", "ca_crt": "x"}, "Token file exists but empty"),
    ],
)
async def test_a_broken_service_account_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], message: str
) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    mounted = service_account(tmp_path / "sa", **files)
    with pytest.raises(ConfigError, match=f"service account {mounted}: .*{message}"):
        await load_config(service_account=mounted)


def test_a_config_prints_no_secret() -> None:
    text = repr(ClientConfig(host="https://h", proxy=f"http://u:{SECRET}@proxy"))
    assert SECRET not in text
