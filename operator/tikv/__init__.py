"""The TiKV controller: renders, creates, watches over, moves and removes one store of a cluster."""

from tikv_operator.tikv.controller import controller

__all__ = ["controller"]
