"""A cluster for tests and demos: an API server in this process, and time that can be made to fly."""

from __future__ import annotations

from controller_runtime.envtest.cluster import EmbeddedCluster
from controller_runtime.envtest.proxy import Backend
from controller_runtime.envtest.server import ApiServer
from controller_runtime.envtest.status import StatusError
from controller_runtime.envtest.virtual import Deadlock, VirtualTimeLoop, run_virtual

__all__ = ["ApiServer", "Backend", "Deadlock", "EmbeddedCluster", "StatusError", "VirtualTimeLoop", "run_virtual"]
