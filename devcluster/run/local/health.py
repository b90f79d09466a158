"""When the local container counts as healthy: the pod's own probe, Docker's, a port, or that it runs.

The pod's probes run inside the local pod's network, by the gateway, since the image may have no program
that could ask; a probe that is a command is Docker's own healthcheck (``rules.container.health``).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

from devcluster.edge.docker.engine import Engine
from devcluster.edge.lines import RefusedError
from devcluster.errors import FailedError
from devcluster.rules.container.health import HealthPlan
from devcluster.run.turn import Turn

Json = dict[str, Any]
Probe = Callable[[Json], Awaitable[Json]]
_LOOK = 0.2  # seconds between two attempts


class Health:
    """One container's.  *probe* asks through the gateway."""

    def __init__(self, engine: Engine, plan: HealthPlan, container: str, probe: Probe) -> None:
        self.container = container
        self._engine = engine
        self._plan = plan
        self._probe = probe
        self.late = False  # the last probe got no answer in time
        self._last = ""

    async def wait(self, turn: Turn) -> None:
        """Return when it is healthy; FailedError where *turn* is over before."""
        try:
            async with turn.deadline.bound():
                await self._until_well(turn)
        except TimeoutError as error:
            if self._plan.docker is not None:
                self._last = (await self._engine.tell_health(self.container)).text
            last = f": {self._last}" if self._last else ""
            raise FailedError(
                f"the local container is not healthy after {turn.deadline.span:.0f} s{last}",
                hint="`healthcheck: off` in devcluster.yaml turns the check off",
            ) from error

    async def until_unwell(self) -> str:
        """Go on asking; return why it is not healthy any more.  A gateway that can't be asked says nothing
        about it.  It never returns where there is nothing to ask: Docker's own healthcheck is reported with
        the container's end."""
        failures, clock = 0, asyncio.get_running_loop().time
        asked = clock()
        while self._plan.lasting is not None and failures < self._plan.failures:
            await asyncio.sleep(asked + self._plan.period - clock())
            asked = clock()
            with contextlib.suppress(ConnectionError, RefusedError, TimeoutError):
                failures = 0 if await self._well(self._plan.lasting) else failures + 1
        if failures:
            return f"became unhealthy: {self._last} ({failures} times in a row)"
        never: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        return await never

    async def _until_well(self, turn: Turn) -> None:
        if self._plan.docker is not None:
            await self._docker()
        elif self._plan.probe is not None:
            await self._first([self._plan.probe])
        elif self._plan.ports:
            await self._any_port(turn)

    async def _docker(self) -> None:
        async for event in self._engine.watch_container(self.container):
            if event.what == "health" and event.health == "healthy":
                return

    async def _any_port(self, turn: Turn) -> None:
        """The first of the ports that answers; if none does in time, that counts as an answer, too."""
        probes: list[Json] = [{"tcpSocket": {"port": port}} for port in self._plan.ports]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(self._plan.patience, turn.deadline.left() / 2)):
                await self._first(probes)

    async def _first(self, probes: list[Json]) -> None:
        """Ask each in turn until one succeeds: the application does not tell when it is up."""
        while True:
            for probe in probes:
                if await self._well(probe):
                    return
            await asyncio.sleep(_LOOK)

    async def _well(self, probe: Json) -> bool:
        began = asyncio.get_running_loop().time()
        answer = await self._probe(probe)
        self.late = asyncio.get_running_loop().time() - began >= float(probe.get("timeoutSeconds") or 1)
        self._last = str(answer.get("text", ""))
        return bool(answer["healthy"])
