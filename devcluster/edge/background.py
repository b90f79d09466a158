"""A task that lives as long as a ``with`` block.

``asyncio.TaskGroup`` inside a context manager wraps every error of the block into an ExceptionGroup,
so the caller's ``except LaneError`` no longer matches.  Here the block's own error passes unchanged.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from typing import Any


@contextlib.asynccontextmanager
async def running(work: Coroutine[Any, Any, None], *, name: str) -> AsyncIterator[asyncio.Task[None]]:
    """Run *work* beside the block; at its end *work* is cancelled and waited for."""
    task = asyncio.get_running_loop().create_task(work, name=name)
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
