"""How the components of a real control plane are started: tuned for a quick start, little memory, and tests.

What differs from a cluster as kubeadm makes it, and could be noticed: the `ServiceAccount` admission plugin is off, since nobody
creates the default service accounts that it asks for; RBAC alone decides, so that `system:node:...` is a user like any other;
priority and fairness are off; and of all controllers only those that clean up can run.

The files named here are in the control plane's folder; `binaryplane` writes them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

__all__ = ["AUDIT_POLICY", "Ports", "api_server", "controller_manager", "etcd"]

AUDIT_POLICY: Final = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
"""
"""Who asked for what, and what the answer was; no bodies, which may be secret."""

_ISSUER: Final = "https://kubernetes.default.svc"
_CONTROLLERS: Final = ("garbage-collector-controller", "namespace-controller")
_QUOTA: Final = 8 * 2**30  # bytes that etcd may hold


class Ports(NamedTuple):
    """Those of one control plane's etcd and kube-apiserver, on 127.0.0.1."""

    etcd: int
    peer: int
    api_server: int


def etcd(folder: Path, ports: Ports) -> list[str]:
    client, peer = f"http://127.0.0.1:{ports.etcd}", f"http://127.0.0.1:{ports.peer}"
    return [
        f"--data-dir={folder / 'etcd'}",
        "--unsafe-no-fsync",  # the data dies with the processes
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        f"--quota-backend-bytes={_QUOTA}",
        "--log-level=warn",
    ]


def api_server(folder: Path, ports: Ports, audit_log: Path | None) -> list[str]:
    auditing = (
        [] if audit_log is None else [f"--audit-log-path={audit_log}", f"--audit-policy-file={folder / 'audit.yaml'}"]
    )
    return [
        f"--etcd-servers=http://127.0.0.1:{ports.etcd}",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        f"--secure-port={ports.api_server}",
        f"--cert-dir={folder}",
        f"--tls-cert-file={folder / 'server.crt'}",
        f"--tls-private-key-file={folder / 'server.key'}",
        f"--client-ca-file={folder / 'ca.crt'}",
        "--authorization-mode=RBAC",
        f"--service-account-issuer={_ISSUER}",
        f"--service-account-key-file={folder / 'accounts.key'}",
        f"--service-account-signing-key-file={folder / 'accounts.key'}",
        "--service-cluster-ip-range=10.0.0.0/24",
        "--disable-admission-plugins=ServiceAccount",
        "--endpoint-reconciler-type=none",
        "--enable-priority-and-fairness=false",  # its settings are objects that every start would have to write
        "--profiling=false",
        *auditing,
    ]


def controller_manager(folder: Path, port: int) -> list[str]:
    return [
        f"--kubeconfig={folder / 'controller-manager.kubeconfig'}",
        f"--controllers={','.join(_CONTROLLERS)}",
        "--use-service-account-credentials",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        f"--tls-cert-file={folder / 'server.crt'}",
        f"--tls-private-key-file={folder / 'server.key'}",
        "--kube-api-qps=500",
        "--kube-api-burst=1000",
        "--profiling=false",
    ]
