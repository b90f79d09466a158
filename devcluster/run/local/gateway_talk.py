"""The conversation with one local side's gateway: its lanes, the probes that it runs, the pod that it goes
through.

It is opened anew with each door.  A probe waits for the conversation, so a gateway that is being replaced is
never taken for an unhealthy application.
"""

from __future__ import annotations

import asyncio
import contextlib

from devcluster.edge.background import running, unless_cancelled
from devcluster.edge.lane.door import Door, open_control
from devcluster.edge.lines import Json, Lines, RefusedError
from devcluster.errors import DevclusterError
from devcluster.rules.agent.facts import Listener
from devcluster.run.changes import Changes
from devcluster.run.local.gateway_settings import answer_gateway, render_listeners

_AGAIN = 0.2  # seconds, before the gateway is spoken to anew
_ASK = 1.0  # seconds between two questions after its lanes
_MEASURE = 0.1  # the same while a lane's round trip is not known yet


class GatewayTalk:
    """``door``: the gateway's, None while it is away; whoever sets it announces it."""

    def __init__(self, key: str, changes: Changes) -> None:
        self.door: Door | None = None
        self._state: Json = {}  # the last answer
        self._key = key
        self._changes = changes
        self._lines: Lines | None = None
        self._led: tuple[str, tuple[Listener, ...]] = ("", ())
        self._lane_came = asyncio.Event()

    @property
    def lanes(self) -> tuple[Json, ...]:
        """The lanes that were up a moment ago."""
        return tuple(self._state.get("lanes", ()))

    @property
    def silent(self) -> tuple[Json, ...]:
        """``port`` of the pod and ``local`` of the laptop, where nobody listens."""
        return tuple(self._state.get("silent") or ()) if self.door is not None else ()

    @property
    def stands(self) -> bool:
        """Whether the gateway talks to us at this moment."""
        return self._lines is not None

    async def run(self) -> None:
        """Keep up the conversation, until cancelled."""
        while True:
            await self._changes.until(lambda: self.door is not None)
            door = self.door
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

    def lead(self, pod: str, neighbours: tuple[Listener, ...]) -> None:
        """Outbound connections and names go through *pod*, the others are the reserve; at localhost
        *neighbours* are its other containers."""
        self._led = (pod, neighbours)
        self._changes.notify()

    async def _talk(self, door: Door) -> None:
        async with open_control(door, on_event=self._hear, on_request=answer_gateway) as lines:
            self._lines = lines
            self._changes.notify()
            try:
                async with (
                    running(self._ask_lanes(lines), name=f"lanes of {self._key}"),
                    running(self._tell_primary(lines), name=f"primary of {self._key}"),
                ):
                    await lines.ended()
            finally:
                self._lines = None

    async def _tell_primary(self, lines: Lines) -> None:
        told: tuple[str, tuple[Listener, ...]] = ("", ())
        while True:
            await self._changes.until(lambda told=told: self._led != told)  # type: ignore[misc]
            told = self._led
            await lines.call("primary", pod=told[0])
            await lines.call("neighbours", neighbours=render_listeners(told[1]))

    async def _ask_lanes(self, lines: Lines) -> None:
        """Ask now and then, and often while a lane is new, since `status` shows its round trip."""
        while True:
            self._lane_came.clear()
            self._state = await lines.call("state", timeout=10)
            self._changes.notify()
            fresh = any(not lane["rtt_ms"] for lane in self.lanes)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_MEASURE if fresh else _ASK):
                    await self._lane_came.wait()

    def _hear(self, event: Json) -> None:
        self._lane_came.set()
