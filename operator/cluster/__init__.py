"""The Cluster controller: PD's address and client, features, services, conditions over all groups."""

from tikv_operator.cluster.controller import controller

__all__ = ["controller"]
