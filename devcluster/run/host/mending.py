"""What happens to the traffic while the Docker engine is away, and when it is back.

Rules: connections wait in the agents for one lease, as they do for a laptop that is silent; then the
original serves, and the hold stays with this laptop.  An engine that answers again gets its containers
started and, once they are healthy, the traffic back: nobody has to say `up`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from devcluster.edge.background import running
from devcluster.edge.lines import RefusedError
from devcluster.errors import EngineError, FailedError
from devcluster.run.host.localpod import LocalPod

_AGAIN = 1.0  # seconds until those agents are asked that could not be asked before
Tell = Callable[[str], Awaitable[None]]


class Mending:
    """*tell*: one request to every agent that can be asked; *let_go*: forget the wish for their traffic.
    ``by_original``: whether the lease was over before the engine came back."""

    def __init__(self, local: LocalPod, lease: float, tell: Tell, let_go: Callable[[], None]) -> None:
        self.by_original = False
        self._local = local
        self._lease = lease
        self._tell = tell
        self._let_go = let_go

    @property
    def meanwhile(self) -> str:
        """Where the traffic is."""
        return "the original serves meanwhile" if self.by_original else "connections wait in the pods"

    async def run(self) -> None:
        """Return when the local pod is healthy again; FailedError or the engine's refusal if it can't be."""
        self.by_original = False
        async with running(self._meanwhile(), name=f"agents without {self._local.key}"):
            while True:
                await self._local.outage.until_engine()
                if await self._mended():
                    return

    async def _mended(self) -> bool:
        """False where the engine went away again meanwhile."""
        try:
            await self._local.recover()
        except (EngineError, FailedError, RefusedError, ConnectionError, TimeoutError):
            if not await self._local.is_gone():
                raise
            return False
        return True

    async def _meanwhile(self) -> None:
        await asyncio.gather(self._tell("pause"), asyncio.sleep(self._lease))
        self.by_original = True
        self._let_go()
        while True:
            await self._tell("release")
            await asyncio.sleep(_AGAIN)
