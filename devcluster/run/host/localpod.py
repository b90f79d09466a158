"""The laptop's half of one workload: network namespace, gateway, volumes, container.

The order of things: the network namespace first (it owns name and ports), the gateway into it (it needs
the pod's address and names), then the container.  Each can be replaced without the ones before it; what
comes after it has to be made anew.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from ipaddress import IPv4Address, ip_address

from devcluster.edge.agent.ssh import AgentLink, Keys
from devcluster.edge.background import running
from devcluster.edge.docker.engine import GoneError, NetnsInfo, spec_digest
from devcluster.edge.docker.engine import RefusedError as EngineRefusedError
from devcluster.edge.lane.door import Door
from devcluster.edge.lines import Json
from devcluster.errors import EngineError, FailedError
from devcluster.rules.container import ContainerSpec
from devcluster.rules.environment import RewriteMade, local_environment
from devcluster.rules.facts import PodFacts
from devcluster.rules.local import local_container, network_runtime
from devcluster.rules.naming import container_name
from devcluster.run.host.changes import Changes
from devcluster.run.host.gateway import gateway_settings
from devcluster.run.host.healthy import Health
from devcluster.run.host.outage import Outage
from devcluster.run.host.talk import GatewayTalk
from devcluster.run.report import Progress
from devcluster.run.site import Site
from devcluster.run.volume.filling import Filling
from devcluster.run.workload.wanted import Wanted


class LocalPod:
    """One workload's containers.  *on_end* hears why the container ended or turned unhealthy;
    *on_door* that ``door`` changed; ``outage``: whether the engine took all of it along."""

    def __init__(
        self, site: Site, wanted: Wanted, on_end: Callable[[str], None], on_door: Callable[[], None]
    ) -> None:
        self.wanted = wanted
        self.netns: NetnsInfo | None = None
        self.door: Door | None = None
        self.container: str | None = None
        self.rewrites: tuple[RewriteMade, ...] = ()
        self.filling = Filling(site, wanted)
        self.outage = Outage(site, self._standing, lambda: self._talk.stands, self._went_away)
        self._site = site
        self._on_end = on_end
        self._on_door = on_door
        self._settings: tuple[PodFacts, Keys, int] | None = None
        self._digest = ""
        self.ending = ""  # why the container can't serve any more
        self._asleep: str | None = None  # the container that an outage ended
        self._filled = asyncio.Lock()
        self._making = asyncio.Lock()  # a gateway, with or without its network namespace
        self._opening = False
        self._well: Health | None = None  # of the container that was healthy once
        self._changes = Changes()
        self._talk = GatewayTalk(self.key, self._changes, lambda: self.door, site.changed)

    @property
    def key(self) -> str:
        return self.wanted.workload.key

    @property
    def lanes(self) -> Json:
        """As the gateway told them last."""
        return self._talk.state

    @property
    def name(self) -> str:
        return container_name(self._site.place.id, self.key)

    async def run(self) -> None:
        """Keep the gateway alive and its conversation open, and watch the container, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._talk.run(), name=f"gateway {self.key}")
            tasks.create_task(self._watch_gateway(), name=f"watch gateway {self.key}")
            tasks.create_task(self._watch_container(), name=f"watch {self.key}")
            tasks.create_task(self._watch_health(), name=f"health {self.key}")

    async def open(self, facts: PodFacts, keys: Keys, epoch: int) -> None:
        """Network namespace and gateway, made anew."""
        async with self._making:
            self._shut_door()
            self._settings = (facts, keys, epoch)
            self._opening = True
            try:
                await self._open(facts)
            finally:
                self._opening = False

    async def _open(self, facts: PodFacts) -> None:
        engine, project = self._site.engine, self._site.place.id
        network = await engine.ensure_network(project, _avoid(self.wanted.seen, facts))
        runtime = network_runtime(self.wanted.pod_spec, self.wanted.workload)
        self.netns = await engine.start_netns(
            project, self.key, facts.hostname, self.wanted.publishes, runtime
        )
        await self._start_gateway(network.subnet, network.gateway)

    async def fill(self, link: AgentLink) -> None:
        """Copy the pod's volumes, or what changed of them since the last time."""
        async with self._filled:
            await self.filling.fill(link)

    async def refresh_tokens(self, link: AgentLink) -> None:
        """Copy the service account's tokens again, where the pod has others now."""
        async with self._filled:
            await self.filling.refresh(link)

    async def start(self, facts: PodFacts) -> None:
        """The workload's container, new."""
        assert self.netns is not None
        self.ending = ""
        spec = self._spec(facts)
        self._digest = self._identity(spec)
        self.container = await self._site.engine.run_workload(
            self._site.place.id, self.key, self.netns.container_id, spec, self._digest
        )
        self._changes.notify()

    async def recover(self) -> None:
        """After an outage: the same containers again where they can be started, else new ones; healthy."""
        assert self.netns is not None
        assert self._settings is not None
        facts, keys, epoch = self._settings
        self._went_away()
        try:
            await self._start_again(self.netns.container_id)
        except (GoneError, EngineRefusedError):
            await self.open(facts, keys, epoch)
            await self.start(facts)
        self._changes.notify()
        await self.wait_healthy()
        self.outage.end()
        self._changes.notify()
        self._on_door()

    async def is_gone(self) -> bool:
        """Whether the engine, or what it ran, is away at this moment."""
        assert self.netns is not None
        return bool(await self._site.engine.tell_absence(self.netns.container_id))

    async def _start_again(self, netns: str) -> None:
        await self._site.engine.start(netns)
        self.netns = await self._site.engine.netns_info(netns)
        async with self._making:
            await self._start_another_gateway()
        self.ending = ""
        if self._asleep is None:
            raise GoneError("no container was left")
        await self._site.engine.start(self._asleep)
        self.container = self._asleep

    def _went_away(self) -> None:
        self._asleep, self.container = self.container or self._asleep, None
        self._shut_door()

    def _shut_door(self) -> None:
        self.door = None
        self._on_door()
        self._changes.notify()

    def _standing(self) -> str | None:
        """The network namespace whose end is an outage; None while it is we who replace it."""
        return None if self.netns is None or self._opening else self.netns.container_id

    async def wait_healthy(self) -> None:
        """FailedError where it ends before, or is not healthy in time."""
        assert self.container is not None
        container = self.container
        health = Health(self._site, self.wanted.health, container, self._talk.probe)
        async with contextlib.AsyncExitStack() as stack:
            ended = asyncio.get_running_loop().create_future()
            ending = self._until_end(container, ended)
            await stack.enter_async_context(running(ending, name=f"end of {self.key}"))
            healthy = asyncio.ensure_future(health.wait())
            done, _ = await asyncio.wait({healthy, ended}, return_when=asyncio.FIRST_COMPLETED)
            if healthy in done:
                healthy.result()
                self._well = health
                self._changes.notify()
                return
            healthy.cancel()
            lines = (await self._last_lines(container)).rstrip()
            raise FailedError(
                f"the local container {self.name} {ended.result()} before it was healthy",
                hint=f"the last it said:\n{lines}" if lines else "it said nothing",
            )

    async def differs(self, wanted: Wanted, facts: PodFacts) -> bool:
        """Whether *wanted* needs another container, port or volume than the one that runs."""
        former, self.wanted = self.wanted, wanted
        try:
            return (
                _network(wanted) != _network(former)
                or self._identity(self._spec(facts)) != self._digest
                or self.filling.differs(wanted)
            )
        finally:
            self.wanted = former

    async def reopen(self, wanted: Wanted, facts: PodFacts, keys: Keys, epoch: int) -> None:
        """The local pod as *wanted* says, up to the container."""
        former, self.wanted = self.wanted, wanted
        await self._remove_container()
        self.filling = Filling(self._site, wanted)
        if _network(wanted) != _network(former):
            await self.open(facts, keys, epoch)

    async def restart(self) -> None:
        """The same container, stopped and started."""
        container, self.container, self.ending = self.container, None, ""
        assert container is not None
        self._changes.notify()
        self._site.changed()
        await self._site.engine.restart(container)
        self.container = container
        self._changes.notify()
        self._site.changed()

    async def stop(self) -> None:
        """Stop the container, keep it; the gateway goes, since it has no lanes any more."""
        container, self.container = self.container, None
        async with self._filled:  # whoever stops us may remove the volumes next
            await self._stop(container)

    async def _stop(self, container: str | None) -> None:
        try:
            if container is not None:
                await self._site.engine.stop(container)
            await self._close_gateway()
        except EngineError:
            if not self.outage.reason:  # in an outage nothing runs
                raise

    async def _remove_container(self) -> None:
        container, self.container = self.container, None
        if container is not None:
            await self._site.engine.stop(container)
            await self._site.engine.remove(container)

    async def _close_gateway(self) -> None:
        async with self._making:
            self._shut_door()
            await self._site.engine.remove(container_name(self._site.place.id, self.key, "gateway"))

    async def _start_another_gateway(self) -> None:
        network = await self._site.engine.ensure_network(self._site.place.id)
        await self._start_gateway(network.subnet, network.gateway)

    async def _start_gateway(self, subnet: str, gateway: str) -> None:
        assert self._settings is not None
        assert self.netns is not None
        facts, keys, epoch = self._settings
        settings = gateway_settings(
            facts,
            keys,
            self.wanted.project.network,
            epoch=epoch,
            docker_network=subnet,
            docker_gateway=gateway,
            extra_hosts=self.wanted.workload.runtime.extra_hosts,
        )
        project = self._site.place.id
        await self._site.engine.start_gateway(project, self.key, self.netns.container_id, settings.line)
        self.door = Door(self.netns.door_port, settings.token)
        self._on_door()
        self._changes.notify()

    def _spec(self, facts: PodFacts) -> ContainerSpec:
        wanted = self.wanted
        environment = local_environment(
            facts.environment,
            wanted.workload,
            services=wanted.services,
            namespace=wanted.object.namespace,
        )
        self.rewrites = environment.rewrites
        return local_container(
            container=wanted.container,
            pod_spec=wanted.pod_spec,
            facts=facts,
            workload=wanted.workload,
            image=wanted.image.id,
            environment=environment,
            volumes=self.filling.binds,
            image_stop_signal=wanted.image.stop_signal,
            image_entrypoint=wanted.image.entrypoint,
        )

    def _identity(self, spec: ContainerSpec) -> str:
        return spec_digest(spec, self._site.secret)

    async def _watch_gateway(self) -> None:
        """A gateway that died is started anew in the same namespace: the application keeps its network."""
        name = container_name(self._site.place.id, self.key, "gateway")
        while True:
            await self._changes.until(lambda: self.door is not None)
            door = self.door
            if not await self._fate(name):
                await self._changes.until(lambda: not self.outage.reason)
            else:
                await self._renew_gateway(door)

    async def _renew_gateway(self, door: Door | None) -> None:
        try:
            async with self._making:
                if self.door is not door:  # we have closed it, or made another one
                    return
                self._shut_door()
                self._site.report(Progress(self.key, "the gateway ended; starting it anew"))
                await self._start_another_gateway()
        except EngineError:
            if not await self.outage.begins():
                raise

    async def _fate(self, container: str) -> str:
        """Why it can't serve any more; '' where everything went with it."""
        return await self.outage.until_end_of(container)

    async def _watch_container(self) -> None:
        while True:
            await self._changes.until(lambda: self.container is not None)
            container = self.container
            assert container is not None
            reason = await self._fate(container)
            if not reason:
                await self._changes.until(lambda: not self.outage.reason)
                continue
            if self.container == container:
                self._ends(reason)
            await self._changes.until(lambda container=container: self.container != container)  # type: ignore[misc]

    async def _watch_health(self) -> None:
        """By the pod's probe, from when it was healthy once until another container is."""
        while True:
            await self._changes.until(lambda: self._well is not None)
            health, self._well = self._well, None
            assert health is not None
            await self._until_unwell(health)

    async def _until_unwell(self, health: Health) -> None:
        async with running(self._ask_on(health), name=f"probe {self.key}") as asking:
            await self._changes.until(lambda: asking.done() or self.container != health.container)

    async def _ask_on(self, health: Health) -> None:
        reason = await health.until_unwell()
        if self.container == health.container:
            self._ends(reason)
        self._changes.notify()

    def _ends(self, reason: str) -> None:
        self.ending = f"the local container {self.name} {reason}"
        self._on_end(self.ending)

    async def _until_end(self, container: str, ended: asyncio.Future[str]) -> None:
        ended.set_result(await self._fate(container) or f"went away ({self.outage.reason})")

    async def _last_lines(self, container: str) -> str:
        parts = [part async for part in self._log(container)]
        return b"".join(parts).decode("utf-8", "replace")

    def _log(self, container: str) -> AsyncIterator[bytes]:
        return self._site.engine.follow_logs(container, follow=False, tail=8)


def _network(wanted: Wanted) -> tuple[object, ...]:
    """What network namespace and gateway are made of, besides what the pod says."""
    runtime = network_runtime(wanted.pod_spec, wanted.workload)
    return wanted.publishes, wanted.project.network, runtime


def _avoid(seen: tuple[str, ...], facts: PodFacts) -> list[IPv4Address]:
    texts = [*seen, facts.address]
    texts += [line.split()[1] for line in facts.resolv_conf.splitlines() if line.startswith("nameserver ")]
    addresses = [ip_address(text) for text in texts]
    return [address for address in addresses if isinstance(address, IPv4Address)]
