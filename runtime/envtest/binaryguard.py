"""Ends the processes of a control plane whose owner died without ending them itself.

A program of its own, run by path and without site-packages: `python binaryguard.py FOLDER`. It leads the process group of
the control plane and waits for the end of its standard input, the other side of which the owner holds: the operating
system closes that even when the owner was killed. Then it asks the group to end, removes the folder, and kills what is left,
itself included. An owner that ends in an orderly way kills the whole group and removes the folder without this program's help.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from typing import Final

__all__: list[str] = []

_GRACE: Final = 1.0  # seconds in which etcd stops writing into the folder


def main(folder: str) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.stdin.buffer.read()
    os.killpg(0, signal.SIGTERM)
    time.sleep(_GRACE)
    shutil.rmtree(folder, ignore_errors=True)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1])
