"""Credential plugins: real processes, run when a token is about to expire and when the server rejects it."""

from __future__ import annotations

import json
import os
import stat
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from controller_runtime.client import ConfigError, load_config
from controller_runtime.client.credentials import RenewedCredentials

API = "client.authentication.k8s.io/v1"

PLUGIN = """#!{python}
import json, pathlib, sys
counter = pathlib.Path(__file__).with_suffix(".count")
number = int(counter.read_text()) + 1 if counter.exists() else 1
counter.write_text(str(number))
{body}
"""

TOKEN = """
status = {"token": f"token-{number}"}
if EXPIRES:
    status["expirationTimestamp"] = EXPIRES
print(json.dumps({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}))
"""


def plugin(path: Path, body: str) -> Path:
    path.write_text(PLUGIN.format(python=sys.executable, body=body))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def kubeconfig(directory: Path, command: Path | str, **exec_options: Any) -> str:
    user = {"exec": {"apiVersion": API, "command": str(command), "interactiveMode": "Never", **exec_options}}
    config = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": user}],
    }
    path = directory / "config"
    path.write_text(yaml.safe_dump(config))
    return str(path)


class SetClock:
    """A wall clock that is set by hand."""

    def __init__(self) -> None:
        self.time = time.time()

    def now(self) -> float:
        return self.time


async def token(credentials: Any) -> str:
    return dict(await credentials.headers())["Authorization"]


async def test_a_plugin_is_run_again_before_its_token_expires_and_after_a_401(tmp_path: Path) -> None:
    clock = SetClock()
    expires = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(clock.now() + 900))
    command = plugin(tmp_path / "plugin", TOKEN.replace("EXPIRES", repr(expires)))
    config = await load_config(kubeconfig(tmp_path, command), clock=clock)
    credentials = config.credentials
    assert isinstance(credentials, RenewedCredentials)
    assert [await token(credentials) for _ in range(3)] == ["Bearer token-1"] * 3
    clock.time += 700
    assert await token(credentials) == "Bearer token-2"


async def test_a_rejected_token_is_replaced_even_if_it_has_not_expired(tmp_path: Path) -> None:
    command = plugin(tmp_path / "plugin", TOKEN.replace("EXPIRES", "None"))
    config = await load_config(kubeconfig(tmp_path, command))
    rejected = await config.credentials.headers()
    assert await config.credentials.rejected(rejected)
    assert await token(config.credentials) == "Bearer token-2"


async def test_a_plugin_gets_its_arguments_and_environment(tmp_path: Path) -> None:
    body = """
import os
token = f"{sys.argv[1]}-{os.environ['WHO']}"
print(json.dumps({"apiVersion": "%s", "kind": "ExecCredential", "status": {"token": token}}))
"""
    command = plugin(tmp_path / "plugin", body % API)
    path = kubeconfig(tmp_path, command, args=["hello"], env=[{"name": "WHO", "value": "you"}])
    assert await token((await load_config(path)).credentials) == "Bearer hello-you"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("sys.exit('log in first')", r"exec: process returned 1\. log in first"),
        ("print('not json')", "the credentials cannot be loaded"),
        ("print('{}')", "the credentials cannot be loaded"),
        (
            f"print(json.dumps({json.dumps({'apiVersion': 'x/v1', 'kind': 'x', 'status': {}})}))",
            "plugin api version x/v1",
        ),
    ],
)
async def test_a_plugin_that_fails_is_one_clear_line(tmp_path: Path, body: str, message: str) -> None:
    path = kubeconfig(tmp_path, plugin(tmp_path / "plugin", body))
    with pytest.raises(ConfigError, match=message) as caught:
        await load_config(path)
    assert str(caught.value).startswith(f"kubeconfig {path}, context 'c': ")
    assert "\n" not in str(caught.value)


async def test_a_plugin_that_does_not_exist_is_named(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path, "no-such-plugin-anywhere")
    message = "the credential plugin 'no-such-plugin-anywhere' cannot be run: No such file or directory"
    with pytest.raises(ConfigError, match=message):
        await load_config(path)


async def test_loading_changes_neither_the_file_nor_the_process(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path, plugin(tmp_path / "plugin", TOKEN.replace("EXPIRES", "None")))
    before, environment = Path(path).read_text(), dict(os.environ)
    await load_config(path)
    assert Path(path).read_text() == before
    assert dict(os.environ) == environment

    from kubernetes_asyncio.client import Configuration

    assert Configuration.get_default_copy().api_key == {}
