"""The PDGroup controller: bootstrap, services, scaling and rolling updates of PD servers, status."""

from tikv_operator.pdgroup.controller import controller

__all__ = ["controller"]
