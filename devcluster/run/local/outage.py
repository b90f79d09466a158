"""The Docker engine was away: what it ran has ended, but not by itself.

An engine that is restarted or updated ends every container, each with an exit code like that of a failure.
The naive way, to take that for the application's own end, hands everything back for good.  So when a
container ends, its network namespace is looked at as well, by a new connection: an engine that is ending
still serves the old ones.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Protocol

from devcluster.edge.docker.engine import Engine
from devcluster.errors import EngineError
from devcluster.run.changes import Changes

_LOOK = 0.3  # seconds between two questions: an engine that is away can't be watched


@dataclass(frozen=True, slots=True)
class ContainerEnd:
    """Why a container can't serve any more, in ``words``.  ``code``: with which it ended; None: it was not
    its end."""

    words: str
    code: int | None = None


class Standing(Protocol):
    """The network that an outage takes along."""

    @property
    def standing(self) -> str | None:
        """The namespace's container; None while we replace it."""

    @property
    def talks(self) -> bool:
        """Whether its gateway answers at this moment."""


class Outage:
    """One local side's.  ``reason``: why nothing of it runs, '' while it does; *changes* is
    notified of both."""

    def __init__(self, engine: Engine, network: Standing, changes: Changes) -> None:
        self.reason = ""
        self._engine = engine
        self._network = network
        self._changes = changes

    async def begins(self) -> bool:
        """Whether the network namespace, or its engine, has ended.  If the engine does not answer but the
        gateway does, the engine has only left its containers alone; it is asked again."""
        while (netns := self._network.standing) and (absence := await self._engine.tell_absence(netns)):
            if self.reason:
                return True
            if self._network.standing == netns and not self._network.talks:  # else it was we who replaced it
                self._set(absence)
                return True
            await asyncio.sleep(_LOOK)
        return False

    async def until_end_of(self, container: str) -> ContainerEnd | None:
        """Why *container* can't serve any more, once that is so; None where everything went with it."""
        while True:
            told = await self._told(container)
            if await self.begins():
                return None
            if told:
                return told
            await asyncio.sleep(_LOOK)

    async def _told(self, container: str) -> ContainerEnd | None:
        """What the engine says of its end; None where the engine stopped telling."""
        try:
            async for event in self._engine.watch_container(container):
                if event.what == "die":
                    return ContainerEnd(event.words, event.exit_code)
                if event.health == "unhealthy":
                    return ContainerEnd("became unhealthy")
        except EngineError:
            return None
        return None

    async def until_engine(self) -> None:
        """Until the engine answers again."""
        while True:
            if await self._engine.answers():
                return
            await asyncio.sleep(_LOOK)

    async def until_over(self) -> None:
        """Wait until what it took is back."""
        await self._changes.until(lambda: not self.reason)

    def end(self) -> None:
        """What it took is back."""
        self._set("")

    def _set(self, reason: str) -> None:
        self.reason = reason
        self._changes.notify()
