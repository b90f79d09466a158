"""What serves on the laptop, as a container: its network, its volumes, its container.

They are made in this order: the network (``container_network``), the volumes, then the container.  Each can
be replaced without the ones before it; what comes after it has to be made anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Collection

from devcluster.edge.agent.ssh import AgentLink
from devcluster.edge.background import running
from devcluster.edge.docker.engine import EngineRefusedError, GoneError, spec_digest
from devcluster.edge.lane.door import Door
from devcluster.edge.lines import RefusedError
from devcluster.errors import EngineError, FailedError
from devcluster.rules.container.container_spec import ContainerSpec
from devcluster.rules.container.docker_names import container_name
from devcluster.rules.container.environment import (
    LocalEnvironment,
    RewriteMade,
    local_environment,
    render_hint,
)
from devcluster.rules.container.facts import Listener, PodFacts
from devcluster.rules.container.health import HealthPlan, narrow
from devcluster.rules.container.local_container import local_container
from devcluster.rules.container.patience import stop_time
from devcluster.rules.container.ports import PortKey
from devcluster.run.attach.sides import AgentSource, GatewayKeys, LocalSight
from devcluster.run.changes import Changes
from devcluster.run.local.container_network import ContainerNetwork, network_parts
from devcluster.run.local.health import Health
from devcluster.run.local.lives import Lives, RestartPause
from devcluster.run.local.outage import ContainerEnd
from devcluster.run.site import Site
from devcluster.run.turn import Turn
from devcluster.run.volume.filling import Filling
from devcluster.run.volume.live_volumes import LiveVolumes
from devcluster.run.wanted.wanted import Wanted

_LEAST = 1.0  # seconds for a container to end in any case


class ContainerSide:
    """A ``LocalSide``."""

    def __init__(self, site: Site, wanted: Wanted, entry: GatewayKeys, changes: Changes) -> None:
        self._site = site
        self._wanted = wanted
        self._changes = changes
        self._network = ContainerNetwork(site, wanted.workload.key, entry, changes)
        self._outage = self._network.outage
        self.live = LiveVolumes(site, wanted.workload.key, changes)
        self._filling = Filling(site, wanted, self.live)
        self._filled = asyncio.Lock()
        self._facts: PodFacts | None = None  # which the container was made by
        self._digest = ""
        self._container: str | None = None
        self._rewrites: tuple[RewriteMade, ...] = ()
        self._ended = ""
        self._lives = Lives()
        self._resting: RestartPause | None = None
        self._well: Health | None = None  # of the container that was healthy once

    @property
    def sight(self) -> LocalSight:
        netns = self._network.netns
        return LocalSight(
            name=self._name,
            container=self._serving,
            outage=self._outage.reason,
            ended=self._ended,
            resting=self._resting.text if self._resting is not None else "",
            wakes=self._resting.at if self._resting is not None else 0.0,
            lives=self._lives.text,
            ports=netns.ports if netns is not None else (),
            lanes=self._network.lanes,
            volumes=tuple(self._filling.status()),
            rewrites=(*self._rewrites, *self._filling.rewrites()),
            versions=self._filling.versions,
        )

    @property
    def door(self) -> Door | None:
        return self._network.door

    @property
    def _key(self) -> str:
        return self._wanted.workload.key

    @property
    def _name(self) -> str:
        return container_name(self._site.place.id, self._key)

    @property
    def _serving(self) -> str | None:
        """The container, unless the engine took it along or it has ended for now."""
        return None if self._outage.reason or self._resting is not None else self._container

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._network.run(), name=f"network {self._key}")
            tasks.create_task(self._watch_container(), name=f"watch {self._key}")
            tasks.create_task(self._watch_health(), name=f"health {self._key}")
            tasks.create_task(self.live.run(), name=f"live volumes {self._key}")

    async def check(self, wanted: Wanted, agent: AgentLink) -> None:
        """The next fill uses what was seen here, unless *wanted* asks for other volumes than those that are
        there."""
        if wanted is self._wanted:
            await self._filling.check(agent)
        elif self._filling.differs(wanted):
            await Filling(self._site, wanted, self.live).check(agent)

    def differs(self, wanted: Wanted, facts: PodFacts) -> bool:
        spec = _spec(wanted, facts, _environment(wanted, facts), self._filling)
        return (
            network_parts(wanted) != network_parts(self._wanted)
            or self._identity(spec) != self._digest
            or self._filling.differs(wanted)
        )

    def environment(self, facts: PodFacts) -> LocalEnvironment:
        return _environment(self._wanted, facts)

    async def open(self, facts: PodFacts, turn: Turn) -> None:
        await self._network.open(self._wanted, facts)

    async def fill(self, agent: AgentLink, turn: Turn) -> None:
        async with self._filled:
            await self._filling.fill(agent, turn)

    async def refresh(self, agent: AgentLink, versions: Collection[str]) -> None:
        async with self._filled:
            await self._filling.refresh(agent, versions)

    async def start(self, facts: PodFacts, turn: Turn) -> None:
        await self._start(facts)
        try:
            await self._wait_healthy(turn)
        except FailedError as error:
            error.hint = "\n".join(
                filter(None, (error.hint, render_hint(self._rewrites, self._filling.rewrites())))
            )
            raise

    async def rest(self) -> None:
        if self._resting is not None:
            await asyncio.sleep(max(self._resting.at - time.time(), 0.0))

    async def restart(self, turn: Turn) -> None:
        if self._resting is None:
            self._lives.forget()
        container = self._container
        assert container is not None
        self._set(None)
        await self._site.engine.restart(container)
        self._set(container)
        await self._wait_healthy(turn)

    async def replace(self, wanted: Wanted, facts: PodFacts, turn: Turn) -> None:
        former, self._wanted = self._wanted, wanted
        container = self._container
        self._set(None)
        if container is not None:
            await self._site.engine.stop(container)
            await self._site.engine.remove(container)
        await self._filling.drop_memory()  # as with a pod, an edit begins anew
        self._filling = Filling(self._site, wanted, self.live)
        if network_parts(wanted) != network_parts(former):
            await self._network.open(wanted, facts)

    async def stop(self, turn: Turn) -> None:
        """The container stays; the gateway goes, since it has no lanes any more.  A short *turn* shortens the
        container's grace period."""
        left = turn.deadline.left()
        grace = max(left, _LEAST) if left < stop_time(self._wanted.pod_spec) else None
        container = self._container
        self._set(None)
        async with self._filled:  # whoever stops us may remove the volumes next
            try:
                if container is not None:
                    await self._site.engine.stop(container, grace)
                await self._filling.drop_memory()
                await self._network.close()
            except EngineError:
                if not self._outage.reason:  # in an outage nothing runs
                    raise

    async def recover(self, turn: Turn, agent: AgentSource) -> None:
        """However often the engine goes away meanwhile."""
        while True:
            await self._outage.until_engine()
            try:
                await self._recover(turn, agent)
            except (EngineError, FailedError, RefusedError, ConnectionError, TimeoutError):
                if not await self._network.is_gone():
                    raise
            else:
                return

    def lead(self, pod: str, neighbours: tuple[Listener, ...]) -> None:
        self._network.lead(pod, neighbours)

    def _set(self, container: str | None) -> None:
        self._container, self._ended, self._resting = container, "", None
        if container is not None:
            self._lives.begin()
        self._changes.notify()

    async def _start(self, facts: PodFacts) -> None:
        assert self._network.netns is not None
        self._facts = facts
        environment = _environment(self._wanted, facts)
        self._rewrites = environment.rewrites
        spec = _spec(self._wanted, facts, environment, self._filling)
        self._digest = self._identity(spec)
        netns = self._network.netns.container_id
        self._lives.forget()
        self._set(
            await self._site.engine.run_workload(self._site.place.id, self._key, netns, spec, self._digest)
        )

    async def _recover(self, turn: Turn, agent: AgentSource) -> None:
        """Start the same containers again where that is possible, otherwise new ones, until they
        are healthy."""
        assert self._facts is not None
        if self._filling.in_memory:  # the engine has lost it
            await self.fill(await agent(turn), turn)
        try:
            await self._start_again()
        except (GoneError, EngineRefusedError):
            await self._network.open_again()
            await self._start(self._facts)
        await self._wait_healthy(turn)
        self._outage.end()  # from now on it is watched and asked again

    async def _start_again(self) -> None:
        await self._network.start_again()
        if self._container is None:
            raise GoneError("no container was left")
        await self._site.engine.start(self._container)
        self._set(self._container)

    async def _wait_healthy(self, turn: Turn) -> None:
        """FailedError where it keeps ending, ends with a failure, or is not healthy in time."""
        while not await self._is_healthy(turn):
            assert self._resting is not None
            turn.say(self._key, f"{self._resting.text}: starting it again")
            container, last = self._container, self._resting.text
            assert container is not None
            try:
                async with turn.deadline.bound():
                    await self.rest()
            except TimeoutError as error:
                span = turn.deadline.span
                raise FailedError(f"the local container is not healthy after {span:.0f} s: {last}") from error
            await self._site.engine.start(container)
            self._set(container)

    async def _is_healthy(self, turn: Turn) -> bool:
        """False where it has ended with 0 and is to be started again."""
        assert self._container is not None
        container, life = self._container, self._lives.number
        health = Health(self._site.engine, self._health_plan(), container, self._network.probe)
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
        if self._resting is not None:
            return False
        raise await self._failed(container, end)

    def _health_plan(self) -> HealthPlan:
        mapped, facts = self._wanted.port_map, self._facts
        heard = {it.port for it in facts.listeners} if facts is not None else set()
        return narrow(self._wanted.health, {mapped.get(PortKey(port), port) for port in heard})

    async def _failed(self, container: str, end: ContainerEnd | None) -> FailedError:
        if end is None:
            why = f" ({self._outage.reason})" if self._outage.reason else ""
            return FailedError(f"the local container {self._name} went away{why}")
        lines = (await self._last_lines(container)).rstrip()
        return FailedError(
            self._ended
            if end.code is not None
            else f"the local container {self._name} is not healthy: {end.words}",
            hint=f"its last lines:\n{lines}" if lines else "it said nothing",
        )

    def _identity(self, spec: ContainerSpec) -> str:
        return spec_digest(spec, self._site.secret)

    async def _watch_container(self) -> None:
        while True:
            await self._changes.until(lambda: self._serving is not None)
            container, life = self._container, self._lives.number
            assert container is not None
            end = await self._outage.until_end_of(container)
            if end is None:
                await self._outage.until_over()
                continue
            if end.code is None:
                end = await self._explained(container, end.words, late=False)
            self._note_end(life, end)
            await self._changes.until(lambda life=life: self._lives.number != life)  # type: ignore[misc]

    async def _watch_health(self) -> None:
        """By the pod's probe, from when the container was first healthy until it is replaced."""
        while True:
            await self._changes.until(lambda: self._well is not None and not self._outage.reason)
            health, self._well = self._well, None
            assert health is not None
            async with running(self._ask_on(health), name=f"probe {self._key}") as asking:
                await self._changes.until(
                    lambda health=health, asking=asking: (  # type: ignore[misc]
                        asking.done() or self._serving != health.container
                    )
                )

    async def _ask_on(self, health: Health) -> None:
        life = self._lives.number
        words = await health.until_unwell()
        self._note_end(life, await self._explained(health.container, words, late=health.late))

    async def _explained(self, container: str, words: str, *, late: bool) -> ContainerEnd:
        """Of one that is not healthy: with its check's own words, and a guess where a process is stopped or
        does not answer."""
        told = await self._site.engine.tell_health(container)
        parts = [it for it in (words, told.text) if it] or ["its healthcheck fails"]
        stopped = late or told.late or await self._site.engine.is_stopped(container)
        guess = "; stopped in a debugger? `healthcheck: off` in devcluster.yaml" if stopped else ""
        return ContainerEnd(f"{': '.join(parts)}{guess}")

    def _note_end(self, life: int, end: ContainerEnd | None) -> None:
        """Once for each life; a late word of a former one says nothing."""
        late = life != self._lives.number or self._container is None
        if end is None or late or self._ended or self._resting is not None:
            return
        self._resting = self._lives.end(self._name) if end.code == 0 else None
        if self._resting is None:
            often = ", three times in a row within 10 s of its start" if end.code == 0 else ""
            self._ended = f"the local container {self._name} {end.words}{often}"
        self._changes.notify()

    async def _last_lines(self, container: str) -> str:
        parts = [part async for part in self._site.engine.follow_logs(container, follow=False, tail=8)]
        return b"".join(parts).decode("utf-8", "replace")


def _environment(wanted: Wanted, facts: PodFacts) -> LocalEnvironment:
    return local_environment(
        facts.environment,
        wanted.workload,
        services=wanted.services,
        namespace=wanted.ref.namespace,
        images=wanted.image_environment,
    )


def _spec(wanted: Wanted, facts: PodFacts, environment: LocalEnvironment, filling: Filling) -> ContainerSpec:
    return local_container(
        container=wanted.container,
        pod_spec=wanted.pod_spec,
        facts=facts,
        workload=wanted.workload,
        image=wanted.image,
        environment=environment,
        volumes=filling.binds,
        memory=filling.bare,
    )
