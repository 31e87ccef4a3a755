"""Clusters for tests and demos: an API server in this process, or the real one, and time that can be made to fly.

`EmbeddedCluster` starts in milliseconds, needs no binaries, and is reached in process (also on a virtual-time loop) or over
HTTPS, where kubectl works against it; its `faults` make trouble on demand. What it does it does as a real API server. What it
does not do is answered with 501 and a name, or listed in docs/coverage-of-the-embedded-api-server.md.

`BinaryCluster` runs etcd and kube-apiserver. Both satisfy `Cluster`, so that one test runs on either.
"""

from __future__ import annotations

from controller_runtime.envtest.binarycluster import BinaryCluster
from controller_runtime.envtest.binaryprocess import ComponentFailed, find_binary
from controller_runtime.envtest.cluster import EmbeddedCluster
from controller_runtime.envtest.contract import Cluster
from controller_runtime.envtest.faults import Fault, Faults
from controller_runtime.envtest.proxy import Backend
from controller_runtime.envtest.server import ApiServer
from controller_runtime.envtest.status import StatusError
from controller_runtime.envtest.virtual import Deadlock, VirtualTimeLoop, run_virtual

__all__ = [
    "ApiServer",
    "Backend",
    "BinaryCluster",
    "Cluster",
    "ComponentFailed",
    "Deadlock",
    "EmbeddedCluster",
    "Fault",
    "Faults",
    "StatusError",
    "VirtualTimeLoop",
    "find_binary",
    "run_virtual",
]
