"""A cluster for tests and demos: an API server in this process, and time that can be made to fly.

`EmbeddedCluster` starts in milliseconds, needs no binaries, and is reached in process (also on a virtual-time loop) or
over HTTPS, where kubectl works against it. What it does it does as a real API server; what it does not do it says:

- users are known by tokens alone, not by certificates; roles decide, but are not aggregated from labelled ones;
- no admission or conversion webhooks, no aggregated APIs, no ValidatingAdmissionPolicies;
- no controllers but those that clean up (owner references, namespaces, CRDs): no Deployments, no scheduler, no kubelet,
  no default service accounts, no expiry of events;
- no logs, exec, attach, port forwarding or ephemeral containers (501); protobuf only in bodies that kubectl sends;
- built-in kinds other than pods, services, claims, secrets and config maps are barely validated beyond their types;
- CEL without optional values (`?.`), `quantity()`, `url()`, `ip()` and `isSorted()`, and without cost limits;
- fields that come twice are seen in JSON, not in YAML (the last wins); managers of more than ten plain writes are not
  merged into one.
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
