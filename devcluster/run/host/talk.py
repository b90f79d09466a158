"""The conversation with one local pod's gateway: what it has of lanes, and the probes it runs for us.

It is opened anew with each door.  A probe waits for the conversation, so that a gateway that is being
replaced is never taken for an application that is not well.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from devcluster.edge.background import running, unless_cancelled
from devcluster.edge.lane.door import Door, open_control
from devcluster.edge.lines import Json, Lines, RefusedError
from devcluster.errors import DevclusterError
from devcluster.run.host.changes import Changes
from devcluster.run.host.gateway import answer_gateway

_AGAIN = 0.2  # seconds, before the gateway is spoken to anew
_ASK = 1.0  # seconds between two questions after its lanes


class GatewayTalk:
    """*door* is the gateway's, None while it is away; *changes* is notified of it by whoever changes it.
    ``state``: the last answer; *on_news* hears of each."""

    def __init__(
        self, key: str, changes: Changes, door: Callable[[], Door | None], on_news: Callable[[], None]
    ) -> None:
        self.state: Json = {}
        self._key = key
        self._changes = changes
        self._door = door
        self._on_news = on_news
        self._lines: Lines | None = None

    @property
    def stands(self) -> bool:
        """Whether the gateway talks to us at this moment."""
        return self._lines is not None

    async def run(self) -> None:
        """Keep it, until cancelled."""
        while True:
            await self._changes.until(lambda: self._door() is not None)
            door = self._door()
            assert door is not None
            with contextlib.suppress(DevclusterError, OSError, RefusedError):
                await self._talk(door)
            unless_cancelled()
            await asyncio.sleep(_AGAIN)

    async def probe(self, probe: Json) -> Json:
        """``healthy`` and ``text`` of a v1.Probe, run once.  Raises RefusedError, ConnectionError and
        TimeoutError."""
        await self._changes.until(lambda: self._lines is not None)
        assert self._lines is not None
        return await self._lines.call("probe", probe=probe)

    async def _talk(self, door: Door) -> None:
        async with open_control(door, on_event=self._hear, on_request=answer_gateway) as lines:
            self._lines = lines
            self._changes.notify()
            try:
                async with running(self._ask_state(lines), name=f"lanes of {self._key}"):
                    await lines.ended()
            finally:
                self._lines = None

    async def _ask_state(self, lines: Lines) -> None:
        while True:
            self.state = await lines.call("state", timeout=10)
            self._on_news()
            await asyncio.sleep(_ASK)

    def _hear(self, event: Json) -> None:
        self._on_news()
