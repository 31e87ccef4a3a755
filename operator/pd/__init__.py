"""The PD controller: one PD server with its pod, its membership and its volumes."""

from tikv_operator.pd.controller import controller

__all__ = ["controller"]
