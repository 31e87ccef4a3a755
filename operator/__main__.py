"""`python -m tikv_operator`: the same as the console script `tikv-operator`."""

from __future__ import annotations

from tikv_operator.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
