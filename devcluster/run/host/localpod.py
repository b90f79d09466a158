"""The laptop's half of one workload: its network, its volumes, its container.

The order of things: the network first (localnetwork), the volumes, then the container.  Each can be replaced
without the ones before it; what comes after it has to be made anew.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from devcluster.edge.agent.ssh import AgentLink, Keys
from devcluster.edge.background import running
from devcluster.edge.docker.engine import GoneError, spec_digest
from devcluster.edge.docker.engine import RefusedError as EngineRefusedError
from devcluster.errors import EngineError, FailedError
from devcluster.rules.container import ContainerSpec
from devcluster.rules.environment import RewriteMade, local_environment, render_hint
from devcluster.rules.facts import PodFacts
from devcluster.rules.local import local_container
from devcluster.rules.naming import container_name
from devcluster.run.host.changes import Changes
from devcluster.run.host.healthy import Health
from devcluster.run.host.localnetwork import LocalNetwork, network_parts
from devcluster.run.site import Site
from devcluster.run.volume.filling import Filling
from devcluster.run.workload.wanted import Wanted


class LocalPod:
    """One workload's containers.  *on_end* hears why the container ended or turned unhealthy;
    *on_door* that ``network.door`` changed."""

    def __init__(
        self, site: Site, wanted: Wanted, on_end: Callable[[str], None], on_door: Callable[[], None]
    ) -> None:
        self.wanted = wanted
        self.container: str | None = None
        self.rewrites: tuple[RewriteMade, ...] = ()
        self.filling = Filling(site, wanted)
        self.ending = ""  # why the container can't serve any more
        self._site = site
        self._on_end = on_end
        self._on_door = on_door
        self._facts: PodFacts | None = None  # which the container was made by
        self._digest = ""
        self._asleep: str | None = None  # the container that an outage ended
        self._filled = asyncio.Lock()
        self._well: Health | None = None  # of the container that was healthy once
        self._changes = Changes()
        self.network = LocalNetwork(
            site, self.key, self._changes, on_door=on_door, on_outage=self._fall_asleep
        )
        self.outage = self.network.outage

    @property
    def key(self) -> str:
        return self.wanted.workload.key

    @property
    def name(self) -> str:
        return container_name(self._site.place.id, self.key)

    async def run(self) -> None:
        """Keep the network, and watch the container, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.network.run(), name=f"network {self.key}")
            tasks.create_task(self._watch_container(), name=f"watch {self.key}")
            tasks.create_task(self._watch_health(), name=f"health {self.key}")

    async def open(self, facts: PodFacts, keys: Keys, epoch: int) -> None:
        """The network, made anew."""
        await self.network.open(self.wanted, facts, keys, epoch)

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
        assert self.network.netns is not None
        self.ending = ""
        self._facts = facts
        spec = self._spec(facts)
        self._digest = self._identity(spec)
        self.container = await self._site.engine.run_workload(
            self._site.place.id, self.key, self.network.netns.container_id, spec, self._digest
        )
        self._changes.notify()

    async def recover(self) -> None:
        """After an outage: the same containers again where they can be started, else new ones; healthy."""
        assert self._facts is not None
        self._fall_asleep()
        try:
            await self._start_again()
        except (GoneError, EngineRefusedError):
            await self.network.open_again()
            await self.start(self._facts)
        self._changes.notify()
        await self.wait_healthy()
        self.outage.end()
        self._changes.notify()
        self._on_door()

    async def _start_again(self) -> None:
        await self.network.start_again()
        self.ending = ""
        if self._asleep is None:
            raise GoneError("no container was left")
        await self._site.engine.start(self._asleep)
        self.container = self._asleep

    def _fall_asleep(self) -> None:
        self._asleep, self.container = self.container or self._asleep, None
        self._changes.notify()

    async def wait_healthy(self) -> None:
        """FailedError where it ends before, or is not healthy in time."""
        try:
            await self._wait_healthy()
        except FailedError as error:
            hints = (error.hint, render_hint(self.rewrites, self.filling.rewrites()))
            error.hint = "\n".join(filter(None, hints))
            raise

    async def _wait_healthy(self) -> None:
        assert self.container is not None
        container = self.container
        health = Health(self._site, self.wanted.health, container, self.network.probe)
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
                network_parts(wanted) != network_parts(former)
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
        if network_parts(wanted) != network_parts(former):
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
            await self.network.close()
        except EngineError:
            if not self.outage.reason:  # in an outage nothing runs
                raise

    async def _remove_container(self) -> None:
        container, self.container = self.container, None
        if container is not None:
            await self._site.engine.stop(container)
            await self._site.engine.remove(container)

    def _spec(self, facts: PodFacts) -> ContainerSpec:
        wanted = self.wanted
        environment = local_environment(
            facts.environment,
            wanted.workload,
            services=wanted.services,
            namespace=wanted.ref.namespace,
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
