"""What serves on the laptop, as a container: its network, its volumes, its container.

They are made in this order: the network (``container_network``), the volumes, then the container, which is
watched from then on (``container_watch``).  Each can be replaced without the ones before it; what comes after
it has to be made anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from devcluster.edge.agent.ssh import AgentLink
from devcluster.edge.docker.engine import EngineRefusedError, GoneError, spec_digest
from devcluster.edge.lane.door import Door
from devcluster.edge.lines import Json, RefusedError
from devcluster.errors import EngineError, FailedError
from devcluster.rules.agent.facts import Listener, PodFacts
from devcluster.rules.container.docker_names import container_name
from devcluster.rules.container.environment import (
    LocalEnvironment,
    RewriteMade,
    local_environment,
    render_hint,
)
from devcluster.rules.container.health import HealthPlan, narrow
from devcluster.rules.container.local_container import ContainerSpec, local_container, render_command_hint
from devcluster.rules.container.pod_times import stop_time
from devcluster.rules.container.restarts import NOT_STARTED
from devcluster.rules.ports.ports import PortKey
from devcluster.run.attach.sides import AgentSource, GatewayKeys, LocalSight, Starter
from devcluster.run.changes import Changes
from devcluster.run.local.container_network import ContainerNetwork, network_parts
from devcluster.run.local.container_watch import ContainerWatch
from devcluster.run.site import Site
from devcluster.run.turn import Turn
from devcluster.run.volume.live_volumes import LiveVolumes
from devcluster.run.volume.workload_volumes import WorkloadVolumes
from devcluster.run.wanted.wanted import Wanted

_LEAST = 1.0  # seconds for a container to end in any case


class ContainerSide:
    """A ``LocalSide``, and its ``Starter``."""

    def __init__(self, site: Site, wanted: Wanted, entry: GatewayKeys, changes: Changes) -> None:
        self._site = site
        self._wanted = wanted
        self._changes = changes
        self._network = ContainerNetwork(site, wanted.workload.key, entry, changes)
        self._outage = self._network.outage
        self.live = LiveVolumes(site, wanted.workload.key, changes)
        self._volumes = WorkloadVolumes(site, wanted, self.live)
        self._filled = asyncio.Lock()
        self._facts: PodFacts | None = None  # which the container was made by
        self._digest = ""
        self._rewrites: tuple[RewriteMade, ...] = ()
        self._watch = ContainerWatch(
            site.engine, wanted.workload.key, self._name, self._outage, self._network.probe, changes
        )

    @property
    def sight(self) -> LocalSight:
        netns = self._network.netns
        resting = self._watch.resting
        return LocalSight(
            name=self._name,
            container=self._watch.serving,
            outage=self._outage.reason,
            ended=self._watch.ended,
            resting=resting.text if resting is not None else "",
            wakes=resting.at if resting is not None else 0.0,
            lives=self._watch.lives.text,
            ports=netns.ports if netns is not None else (),
            lanes=self._network.lanes,
            versions=self._volumes.versions,
        )

    @property
    def starter(self) -> Starter:
        return self

    @property
    def volumes(self) -> tuple[Json, ...]:
        return tuple(self._volumes.status())

    @property
    def rewrites(self) -> tuple[RewriteMade, ...]:
        return (*self._rewrites, *self._volumes.rewrites())

    @property
    def door(self) -> Door | None:
        return self._network.door

    @property
    def _key(self) -> str:
        return self._wanted.workload.key

    @property
    def _name(self) -> str:
        return container_name(self._site.place.id, self._key)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._network.run(), name=f"network {self._key}")
            tasks.create_task(self._watch.run(), name=f"container {self._key}")
            tasks.create_task(self.live.run(), name=f"live volumes {self._key}")

    async def check(self, wanted: Wanted, agent: AgentLink) -> None:
        await self._volumes.check_edit(wanted, agent)

    def differs(self, wanted: Wanted, facts: PodFacts) -> bool:
        spec = _spec(wanted, facts, _environment(wanted, facts), self._volumes)
        return (
            network_parts(wanted) != network_parts(self._wanted)
            or self._identity(spec) != self._digest
            or self._volumes.differs(wanted)
        )

    def environment(self, facts: PodFacts) -> LocalEnvironment:
        return _environment(self._wanted, facts)

    async def open(self, facts: PodFacts, turn: Turn) -> None:
        await self._network.open(self._wanted, facts)

    async def fill(self, agent: AgentLink, turn: Turn) -> None:
        async with self._filled:
            await self._volumes.fill(agent, turn)

    async def refresh(self, agent: AgentLink, versions: Collection[str]) -> None:
        async with self._filled:
            await self._volumes.refresh(agent, versions)

    async def start(self, facts: PodFacts, turn: Turn) -> None:
        await self._start(facts)
        try:
            await self._watch.wait_healthy(self._health_plan(), turn)
        except FailedError as error:
            names = render_hint(self._rewrites, self._volumes.rewrites())
            error.hint = "\n".join(filter(None, (error.hint, self._command_hint(facts), names)))
            raise

    async def rest(self) -> None:
        await self._watch.rest()

    async def restart(self, turn: Turn) -> None:
        if self._watch.resting is None:
            self._watch.lives.forget()
        container = self._watch.container
        assert container is not None
        self._watch.follow(None)
        await self._site.engine.restart(container)
        self._watch.follow(container)
        await self._watch.wait_healthy(self._health_plan(), turn)

    async def replace(self, wanted: Wanted, facts: PodFacts, turn: Turn) -> None:
        former, self._wanted = self._wanted, wanted
        container = self._watch.container
        self._watch.follow(None)
        if container is not None:
            await self._site.engine.stop(container)
            await self._site.engine.remove(container)
        await self._volumes.drop_memory()  # as with a pod, an edit begins anew
        self._volumes = WorkloadVolumes(self._site, wanted, self.live)
        if network_parts(wanted) != network_parts(former):
            await self._network.open(wanted, facts)

    async def stop(self, turn: Turn) -> None:
        """The container stays; the gateway goes, since it has no lanes any more.  A short *turn* shortens the
        container's grace period."""
        left = turn.deadline.left()
        grace = max(left, _LEAST) if left < stop_time(self._wanted.pod_spec) else None
        container = self._watch.container
        self._watch.follow(None)
        async with self._filled:  # whoever stops us may remove the volumes next
            try:
                if container is not None:
                    await self._site.engine.stop(container, grace)
                await self._volumes.drop_memory()
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

    async def _start(self, facts: PodFacts) -> None:
        assert self._network.netns is not None
        self._facts = facts
        environment = _environment(self._wanted, facts)
        self._rewrites = environment.rewrites
        spec = _spec(self._wanted, facts, environment, self._volumes)
        self._digest = self._identity(spec)
        netns = self._network.netns.container_id
        self._watch.lives.forget()
        self._watch.follow(
            await self._site.engine.run_workload(self._site.place.id, self._key, netns, spec, self._digest)
        )

    async def _recover(self, turn: Turn, agent: AgentSource) -> None:
        """Start the same containers again where that is possible, otherwise new ones, until they
        are healthy."""
        assert self._facts is not None
        if self._volumes.in_memory:  # the engine has lost it
            await self.fill(await agent(turn), turn)
        try:
            await self._start_again()
        except (GoneError, EngineRefusedError):
            await self._network.open_again()
            await self._start(self._facts)
        await self._watch.wait_healthy(self._health_plan(), turn)
        self._outage.end()  # from now on it is watched and asked again

    async def _start_again(self) -> None:
        await self._network.start_again()
        if self._watch.container is None:
            raise GoneError("no container was left")
        await self._site.engine.start(self._watch.container)
        self._watch.follow(self._watch.container)

    def _command_hint(self, facts: PodFacts) -> str:
        if self._watch.code not in NOT_STARTED:
            return ""
        return render_command_hint(self._wanted.container, facts, self._wanted.workload)

    def _health_plan(self) -> HealthPlan:
        mapped, facts = self._wanted.port_map, self._facts
        heard = {it.port for it in facts.listeners} if facts is not None else set()
        return narrow(self._wanted.health, {mapped.get(PortKey(port), port) for port in heard})

    def _identity(self, spec: ContainerSpec) -> str:
        return spec_digest(spec, self._site.secret)


def _environment(wanted: Wanted, facts: PodFacts) -> LocalEnvironment:
    return local_environment(
        facts.environment,
        wanted.workload,
        services=wanted.services,
        namespace=wanted.ref.namespace,
        images=wanted.image_environment,
    )


def _spec(
    wanted: Wanted, facts: PodFacts, environment: LocalEnvironment, volumes: WorkloadVolumes
) -> ContainerSpec:
    return local_container(
        container=wanted.container,
        pod_spec=wanted.pod_spec,
        facts=facts,
        workload=wanted.workload,
        image=wanted.image,
        environment=environment,
        volumes=volumes.binds,
        memory=volumes.bare,
    )
