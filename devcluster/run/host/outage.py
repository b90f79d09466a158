"""The Docker engine was away: what it ran has ended, and not by itself.

An engine that is restarted or updated ends every container, each with an exit code like one that failed.
The naive way, to take that for the application's own end, hands everything back for good.  So whoever ends
is looked at beside its network namespace, by a new connection: an engine on its way out still serves the
old ones.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from devcluster.errors import EngineError
from devcluster.run.site import Site

_LOOK = 0.3  # seconds between two questions: an engine that is away can't be watched


class Outage:
    """One local pod's.  ``reason``: why nothing of it runs, '' while it does.  *netns*: its network
    namespace's container, None while we make another one; *talks*: whether its gateway does; *on_begin* hears
    that it is away."""

    def __init__(
        self,
        site: Site,
        netns: Callable[[], str | None],
        talks: Callable[[], bool],
        on_begin: Callable[[], None],
    ) -> None:
        self.reason = ""
        self._site = site
        self._netns = netns
        self._talks = talks
        self._on_begin = on_begin

    async def begins(self) -> bool:
        """Whether the network namespace has ended, or its engine.  A gateway that talks shows that an engine
        that does not answer has only left its containers to themselves; it is asked again."""
        while (netns := self._netns()) and (absence := await self._site.engine.tell_absence(netns)):
            if self.reason:
                return True
            if self._netns() == netns and not self._talks():  # else it was we who replaced it
                self.reason = absence
                self._on_begin()
                return True
            await asyncio.sleep(_LOOK)
        return False

    async def until_end_of(self, container: str) -> str:
        """Why *container* can't serve any more, once that is so; '' where everything went with it."""
        while True:
            told = await self._told(container)
            if await self.begins():
                return ""
            if told:
                return told
            await asyncio.sleep(_LOOK)

    async def _told(self, container: str) -> str:
        """What the engine says of its end; '' where the engine stopped telling."""
        try:
            async for event in self._site.engine.watch_container(container):
                if event.what == "die":
                    return f"ended with exit code {event.exit_code}"
                if event.health == "unhealthy":
                    return "turned unhealthy"
        except EngineError:
            return ""
        return ""

    async def until_engine(self) -> None:
        """Until the engine answers again."""
        while True:
            if await self._site.engine.answers():
                return
            await asyncio.sleep(_LOOK)

    def end(self) -> None:
        """What it took is back."""
        self.reason = ""
