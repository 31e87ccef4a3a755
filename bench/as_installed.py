"""Import this first: what development tools have brought into the environment is hidden, as if only the runtime were installed.

structlog loads Rich where it finds it, for the tracebacks of developers: 3 MB and 0.1 s that the runtime's users do not have.
"""

from __future__ import annotations

import sys

__all__: list[str] = []

sys.modules["rich"] = None  # type: ignore[assignment]  # which Python takes as: there is none
