"""The TiKVGroup controller: revisions, service, scaling and rolling updates, status."""

from tikv_operator.tikvgroup.controller import controller

__all__ = ["controller"]
