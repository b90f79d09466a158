"""Wait for a state instead of sleeping for it.

``asyncio.Condition`` needs a lock around each change, so a plain call can't announce one.  The whole host
process runs in one thread, so a change is announced by waking the waiters, who look again.

Each attachment has one of these for all of its parts, and the session one for all attachments.  A part says
that something changed, never what; whoever wants to know looks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Changes:
    """Announce a change with ``notify``; wait with ``until``.  *whole*: what this is a part of; it is
    notified too."""

    def __init__(self, whole: Changes | None = None) -> None:
        self._whole = whole
        self._waiting: set[asyncio.Future[None]] = set()

    def notify(self) -> None:
        for future in self._waiting:
            if not future.done():
                future.set_result(None)
        if self._whole is not None:
            self._whole.notify()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return once *condition* holds.  It is asked now and after each change."""
        while not condition():
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.add(future)
            try:
                await future
            finally:
                self._waiting.discard(future)
