"""Shows the demo while it runs: a live screen on a terminal, one line per step elsewhere.

The live screen redraws itself a few times a second from an owned task that ends with the context.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from rich.console import Console, RenderableType
from rich.live import Live

__all__ = ["showing"]

REFRESH_SECONDS: Final = 0.25


@asynccontextmanager
async def showing(console: Console, draw: Callable[[], RenderableType]) -> AsyncIterator[None]:
    """Redraw `draw()` while the context lasts; on something that is no terminal show nothing."""
    if not console.is_terminal:
        yield
        return
    with Live(console=console, auto_refresh=False, transient=True, screen=False) as live:

        async def redraw() -> None:
            while True:
                live.update(draw(), refresh=True)
                await asyncio.sleep(REFRESH_SECONDS)

        async with asyncio.TaskGroup() as group:
            painter = group.create_task(redraw(), name="demo-view")
            try:
                yield
            finally:
                painter.cancel()
