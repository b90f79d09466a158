"""The local container while it runs: whether it is healthy, and what its end means.

One that ends with 0 is started again (``rules.container.restarts``); whatever else ends it, or makes it
unhealthy, is a failure, once it is certain that the engine did not take it along (``outage``).
"""

from __future__ import annotations

import asyncio
import contextlib
import time

from devcluster.edge.background import running
from devcluster.edge.docker.engine import Engine
from devcluster.errors import FailedError
from devcluster.rules.container.health import HealthPlan
from devcluster.run.changes import Changes
from devcluster.run.local.health import Health, Probe
from devcluster.run.local.lives import Lives, RestartPause
from devcluster.run.local.outage import ContainerEnd, Outage
from devcluster.run.turn import Turn


class ContainerWatch:
    """One workload's.  ``container``: its id, None while there is none, by our own doing; ``ended``: why it
    can't serve any more; ``resting``: that it has ended with 0 and is started again.  *name*: the
    container's; *probe* asks through the gateway."""

    def __init__(
        self, engine: Engine, key: str, name: str, outage: Outage, probe: Probe, changes: Changes
    ) -> None:
        self.container: str | None = None
        self.ended = ""
        self.code: int | None = None  # of the last end that was noted
        self.resting: RestartPause | None = None
        self.lives = Lives()
        self._engine = engine
        self._key = key
        self._name = name
        self._outage = outage
        self._probe = probe
        self._changes = changes
        self._well: Health | None = None  # of the container that was healthy once

    @property
    def serving(self) -> str | None:
        """The container, unless the engine took it along or it has ended for now."""
        return None if self._outage.reason or self.resting is not None else self.container

    async def run(self) -> None:
        """Watch whichever it is, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch_container(), name=f"watch {self._key}")
            tasks.create_task(self._watch_health(), name=f"health {self._key}")

    def follow(self, container: str | None) -> None:
        """It is *container* from now on, which has just been started; None: none, since we stop it."""
        self.container, self.ended, self.code, self.resting = container, "", None, None
        if container is not None:
            self.lives.begin()
        self._changes.notify()

    async def rest(self) -> None:
        """The pause before it is started again."""
        if self.resting is not None:
            await asyncio.sleep(max(self.resting.at - time.time(), 0.0))

    async def wait_healthy(self, plan: HealthPlan, turn: Turn) -> None:
        """Return when it is healthy by *plan*.  FailedError where it keeps ending, ends with a failure, or is
        not healthy in time."""
        while not await self._is_healthy(plan, turn):
            assert self.resting is not None
            turn.say(self._key, f"{self.resting.text}: starting it again")
            container, last = self.container, self.resting.text
            assert container is not None
            try:
                async with turn.deadline.bound():
                    await self.rest()
            except TimeoutError as error:
                span = turn.deadline.span
                raise FailedError(f"the local container is not healthy after {span:.0f} s: {last}") from error
            await self._engine.start(container)
            self.follow(container)

    async def _is_healthy(self, plan: HealthPlan, turn: Turn) -> bool:
        """False where it has ended with 0 and is to be started again."""
        assert self.container is not None
        container, life = self.container, self.lives.number
        health = Health(self._engine, plan, container, self._probe)
        async with contextlib.AsyncExitStack() as stack:
            ended = asyncio.ensure_future(self._outage.until_end_of(container))
            stack.callback(ended.cancel)
            healthy = asyncio.ensure_future(health.wait(turn))
            stack.callback(healthy.cancel)
            await asyncio.wait({healthy, ended}, return_when=asyncio.FIRST_COMPLETED)
            if healthy.done():
                healthy.result()
                self._well = health
                self._changes.notify()
                return True
            end = ended.result()
        if end is not None and end.code is None:
            end = await self._explained(container, "", late=False)
        self._note_end(life, end)
        if self.resting is not None:
            return False
        raise await self._failed(container, end)

    async def _watch_container(self) -> None:
        while True:
            await self._changes.until(lambda: self.serving is not None)
            container, life = self.container, self.lives.number
            assert container is not None
            end = await self._outage.until_end_of(container)
            if end is None:
                await self._outage.until_over()
                continue
            if end.code is None:
                end = await self._explained(container, end.words, late=False)
            self._note_end(life, end)
            await self._changes.until(lambda life=life: self.lives.number != life)  # type: ignore[misc]

    async def _watch_health(self) -> None:
        """By the pod's probe, from when the container was first healthy until it is replaced."""
        while True:
            await self._changes.until(lambda: self._well is not None and not self._outage.reason)
            health, self._well = self._well, None
            assert health is not None
            async with running(self._ask_on(health), name=f"probe {self._key}") as asking:
                await self._changes.until(
                    lambda health=health, asking=asking: (  # type: ignore[misc]
                        asking.done() or self.serving != health.container
                    )
                )

    async def _ask_on(self, health: Health) -> None:
        life = self.lives.number
        words = await health.until_unwell()
        self._note_end(life, await self._explained(health.container, words, late=health.late))

    async def _explained(self, container: str, words: str, *, late: bool) -> ContainerEnd:
        """Of one that is not healthy: with its check's own words, and a guess where a process is stopped or
        does not answer."""
        told = await self._engine.tell_health(container)
        parts = [it for it in (words, told.text) if it] or ["its healthcheck fails"]
        stopped = late or told.late or await self._engine.is_stopped(container)
        guess = "; stopped in a debugger? `healthcheck: off` in devcluster.yaml" if stopped else ""
        return ContainerEnd(f"{': '.join(parts)}{guess}")

    def _note_end(self, life: int, end: ContainerEnd | None) -> None:
        """Once for each life; a late word of a former one says nothing."""
        late = life != self.lives.number or self.container is None
        if end is None or late or self.ended or self.resting is not None:
            return
        self.code = end.code
        self.resting = self.lives.end(self._name, end.code)
        if self.resting is None:
            often = ", three times in a row within 10 s of its start" if end.code == 0 else ""
            self.ended = f"the local container {self._name} {end.words}{often}"
        self._changes.notify()

    async def _last_lines(self, container: str) -> str:
        parts = [part async for part in self._engine.follow_logs(container, follow=False, tail=8)]
        return b"".join(parts).decode("utf-8", "replace")

    async def _failed(self, container: str, end: ContainerEnd | None) -> FailedError:
        if end is None:
            why = f" ({self._outage.reason})" if self._outage.reason else ""
            return FailedError(f"the local container {self._name} went away{why}")
        lines = (await self._last_lines(container)).rstrip()
        return FailedError(
            self.ended
            if end.code is not None
            else f"the local container {self._name} is not healthy: {end.words}",
            hint=f"its last lines:\n{lines}" if lines else "it printed nothing",
        )
