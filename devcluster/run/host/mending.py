"""What happens to the traffic while the Docker engine is away, and when it is back.

Rules: connections wait in the agents for one lease, as they do for a laptop that is silent; then the
original serves, and the hold stays with this laptop.  An engine that answers again gets its containers
started and, once they are healthy, the traffic back: nobody has to say `up`.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable

from devcluster.edge.background import running
from devcluster.edge.lines import RefusedError
from devcluster.errors import DevclusterError, EngineError, FailedError
from devcluster.run.host.changes import Changes
from devcluster.run.host.links import Links
from devcluster.run.host.localpod import LocalPod

_AGAIN = 1.0  # seconds until those agents are asked that could not be asked before
_TELL = 30.0  # seconds for an agent's answer: its drain_ms, or the application's start


class Mending:
    """One attachment's.  *wanted*: whether the local pod is to be kept now; *failed* hears why it can't be
    brought back; *changes* is notified when an outage begins."""

    def __init__(
        self,
        local: LocalPod,
        links: Links,
        lease: float,
        changes: Changes,
        *,
        wanted: Callable[[], bool],
        failed: Callable[[str], None],
    ) -> None:
        self._local = local
        self._links = links
        self._lease = lease
        self._changes = changes
        self._wanted = wanted
        self._failed = failed
        self._by_original = False  # the lease was over before the engine came back
        self._task: asyncio.Task[None] | None = None

    @property
    def reason(self) -> str:
        """What is away and where the traffic is meanwhile; '' if nothing is."""
        if not self._local.outage.reason:
            return ""
        traffic = "the original serves meanwhile" if self._by_original else "connections wait in the pods"
        return f"{self._local.outage.reason}; {traffic}"

    async def run(self) -> None:
        """Mend outage after outage until cancelled."""
        while True:
            await self._changes.until(lambda: bool(self.reason) and self._wanted())
            print(f"{self._local.key}: {self.reason}", file=sys.stderr, flush=True)
            async with running(self._mend(), name=f"mending {self._local.key}") as self._task:
                await asyncio.wait({self._task})

    def end(self) -> None:
        """Nothing is to be mended any more."""
        if self._task is not None:
            self._task.cancel()

    async def until_over(self, timeout: float) -> None:
        """EngineError where the engine is not back in time."""
        try:
            async with asyncio.timeout(timeout):
                await self._changes.until(lambda: not self.reason)
        except TimeoutError as error:
            raise EngineError(self.reason) from error

    async def _mend(self) -> None:
        self._by_original = False
        try:
            async with running(self._meanwhile(), name=f"agents without {self._local.key}"):
                await self._recovered()
        except (DevclusterError, RefusedError, ConnectionError, TimeoutError) as error:
            if self._wanted():
                self._failed(f"not again after an outage of the Docker engine: {error}")
            return
        print(f"{self._local.key}: the Docker engine is back", file=sys.stderr, flush=True)
        self._links.engaged = True
        self._changes.notify()
        with contextlib.suppress(ConnectionError, RefusedError, TimeoutError):  # the link says it again
            async with asyncio.timeout(_TELL):
                await self._links.engage()

    async def _recovered(self) -> None:
        """Return when the local pod is healthy again, however often the engine goes away meanwhile."""
        while True:
            await self._local.outage.until_engine()
            try:
                await self._local.recover()
            except (EngineError, FailedError, RefusedError, ConnectionError, TimeoutError):
                if not await self._local.network.is_gone():
                    raise
            else:
                return

    async def _meanwhile(self) -> None:
        await asyncio.gather(self._tell("pause"), asyncio.sleep(self._lease))
        self._by_original = True
        self._links.disengage()
        while True:
            await self._tell("release")
            await asyncio.sleep(_AGAIN)

    async def _tell(self, request: str) -> None:
        """Whoever serves by the original already has nothing to release."""
        await self._links.tell(request, timeout=_TELL, tolerant=True, unless="child")
