"""Wait for a state instead of sleeping for it.

``asyncio.Condition`` asks for a lock around each change, so a plain callback can't announce one.  All
of the host process runs in one thread: a change is announced by waking those who wait, who look again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Changes:
    """Announce a change with ``notify``; wait with ``until``."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Future[None]] = set()

    def notify(self) -> None:
        for future in self._waiting:
            if not future.done():
                future.set_result(None)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return once *condition* holds; it is asked now and after each change."""
        while not condition():
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.add(future)
            try:
                await future
            finally:
                self._waiting.discard(future)
