"""What serves on the laptop, as a process that its user starts: nothing here starts, stops or asks it.

So this side is a way and some folders: the lanes' end, which leads to 127.0.0.1, and the pod's volumes below
one folder.  The end is a program of its own (``edge.lane.host_program``); if it dies it is started anew.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection

from devcluster.edge.agent.ssh import AgentLink
from devcluster.edge.docker.engine import PublishedPort
from devcluster.edge.lane.door import Door
from devcluster.edge.lane.host_program import Program, start_program
from devcluster.edge.lines import Json
from devcluster.errors import FailedError
from devcluster.plan.serving import led_ports
from devcluster.rules.agent.facts import Listener, PodFacts
from devcluster.rules.container.environment import LocalEnvironment, RewriteMade
from devcluster.rules.container.process_environment import Surroundings, laptop_environment, service_sights
from devcluster.rules.container.tunnel_rewriting import LOOPBACK, OpenTunnel
from devcluster.rules.ports.ports import PortKey
from devcluster.run.attach.sides import GatewayKeys, LocalSight
from devcluster.run.changes import Changes
from devcluster.run.local.gateway_settings import cluster_domains
from devcluster.run.local.gateway_talk import GatewayTalk
from devcluster.run.local.tunnels import Tunnels
from devcluster.run.place import Place
from devcluster.run.site import Site, host_program
from devcluster.run.turn import Turn
from devcluster.run.volume.live_volumes import LiveVolumes
from devcluster.run.volume.roots import mounts_below, root_of
from devcluster.run.volume.workload_volumes import WorkloadVolumes
from devcluster.run.wanted.wanted import Wanted

_AGAIN = 1.0  # seconds before a program that ended is started anew
_PATIENCE = (
    5.0  # seconds for which callers wait where a command does not listen: it starts, reloads, has ended
)
_log = logging.getLogger("devcluster.host")


class ProcessSide:
    """A ``LocalSide``."""

    def __init__(
        self, site: Site, wanted: Wanted, entry: GatewayKeys, tunnels: Tunnels, changes: Changes
    ) -> None:
        self._site = site
        self._wanted = wanted
        self._entry = entry
        self._tunnels = tunnels
        self._changes = changes
        self._talk = GatewayTalk(wanted.workload.key, changes)
        self._program: Program | None = None
        self._making = asyncio.Lock()
        self.live = LiveVolumes(site, wanted.workload.key, changes)
        self._volumes = WorkloadVolumes(site, wanted, self.live)
        self._filled = asyncio.Lock()
        self._facts: PodFacts | None = None
        self._environment: LocalEnvironment | None = None  # as it was after the last fill

    @property
    def sight(self) -> LocalSight:
        return LocalSight(
            name=f"{LOOPBACK} of this laptop",
            ports=tuple(_port(port, local) for port, local in served_ports(self._wanted).items()),
            lanes=self._talk.lanes,
            versions=self._volumes.versions,
            silent=tuple(_silence(it["port"], it["local"]) for it in self._talk.silent),
        )

    @property
    def starter(self) -> None:
        """Its user starts it."""

    @property
    def volumes(self) -> tuple[Json, ...]:
        return tuple(self._volumes.status())

    @property
    def rewrites(self) -> tuple[RewriteMade, ...]:
        made = self._environment.rewrites if self._environment is not None else ()
        return (*made, *self._volumes.rewrites())

    @property
    def door(self) -> Door | None:
        return self._talk.door

    @property
    def _key(self) -> str:
        return self._wanted.workload.key

    async def run(self) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._talk.run(), name=f"gateway {self._key}")
                tasks.create_task(self._keep_program(), name=f"program {self._key}")
                tasks.create_task(self.live.run(), name=f"live volumes {self._key}")
        finally:
            await self._close()

    async def check(self, wanted: Wanted, agent: AgentLink) -> None:
        await self._volumes.check_edit(wanted, agent)

    def differs(self, wanted: Wanted, facts: PodFacts) -> bool:
        return (
            _way(wanted) != _way(self._wanted)
            or self._made_environment(wanted, facts) != self._environment
            or self._volumes.differs(wanted)
        )

    def environment(self, facts: PodFacts) -> LocalEnvironment:
        return self._made_environment(self._wanted, facts)

    async def open(self, facts: PodFacts, turn: Turn) -> None:
        self._facts, self._environment = facts, self._made_environment(self._wanted, facts)
        await self._open()

    async def fill(self, agent: AgentLink, turn: Turn) -> None:
        async with self._filled:
            await self._volumes.fill(agent, turn)
        assert self._facts is not None
        self._environment = self._made_environment(self._wanted, self._facts)  # with what was mounted

    async def refresh(self, agent: AgentLink, versions: Collection[str]) -> None:
        async with self._filled:
            await self._volumes.refresh(agent, versions)

    async def replace(self, wanted: Wanted, facts: PodFacts, turn: Turn) -> None:
        former, self._wanted = self._wanted, wanted
        self._volumes = WorkloadVolumes(self._site, wanted, self.live)
        self._facts, self._environment = facts, self._made_environment(wanted, facts)
        if _way(wanted) != _way(former):
            await self._open()

    async def stop(self, turn: Turn) -> None:
        async with self._filled:
            await self._close()

    def lead(self, pod: str, neighbours: tuple[Listener, ...]) -> None:
        """What is at the pod's localhost is at the laptop's only by a tunnel: the laptop's ports are
        everybody's."""
        self._talk.lead(pod, ())

    def _made_environment(self, wanted: Wanted, facts: PodFacts) -> LocalEnvironment:
        return process_environment(self._site.place, wanted, facts, self._tunnels.sight)

    async def _open(self) -> None:
        async with self._making:
            await self._end_program()
            self._program = await start_program(host_program(), self._settings(), self._site.place.log)
            self._set_door(self._program.door)

    async def _close(self) -> None:
        async with self._making:
            await self._end_program()

    async def _end_program(self) -> None:
        program, self._program = self._program, None
        self._set_door(None)
        if program is not None:
            await program.close()

    def _set_door(self, door: Door | None) -> None:
        self._talk.door = door
        self._changes.notify()

    def _settings(self) -> Json:
        return {
            "key": self._entry.key.decode(),
            "agent": self._entry.agent,
            "epoch": self._entry.epoch,
            **_way(self._wanted),
        }

    async def _keep_program(self) -> None:
        while True:
            await self._changes.until(lambda: self._program is not None)
            program = self._program
            assert program is not None
            code = await program.until_end()
            if self._program is not program:  # it was we who ended it
                continue
            _log.warning(
                "%s: the program that receives connections ended (%s); starting it again", self._key, code
            )
            self._set_door(None)
            await asyncio.sleep(_AGAIN)
            if self._program is program:
                await self._again()

    async def _again(self) -> None:
        try:
            await self._open()
        except FailedError as error:
            _log.error("%s: %s", self._key, error)
            await asyncio.sleep(_AGAIN)


def process_environment(
    place: Place, wanted: Wanted, facts: PodFacts, tunnels: tuple[OpenTunnel, ...]
) -> LocalEnvironment:
    """What a process has in the place of *wanted*'s pod."""
    around = Surroundings(
        service_sights(wanted.install.observed.services),
        wanted.ref.namespace,
        cluster_domains(facts.resolv_conf),
        tunnels,
        root_of(place, wanted.workload.key),
        mounts_below(place, wanted),
    )
    return laptop_environment(facts.environment, wanted.workload, around)


def served_ports(wanted: Wanted) -> dict[PortKey, int]:
    """The pod's ports whose connections come to the laptop, with the laptop's ports; {} where none do.  It
    includes those that only the file names: an application may listen on what nobody has declared."""
    if wanted.serving.led == "nothing":
        return {}
    led = led_ports(wanted.serving.led, wanted.install.fronts)
    return {key: key.number for key in led} | dict(wanted.port_map)


def _way(wanted: Wanted) -> Json:
    """How connections come to the laptop's ports."""
    ports = {str(key.number): local for key, local in served_ports(wanted).items()}
    return {"ports": ports, "patience_ms": int(_PATIENCE * 1000) if wanted.workload.commanded else 0}


def _silence(port: int, local: int) -> str:
    return f"nobody listens on {LOOPBACK}:{local} (pod port {port})"


def _port(port: PortKey, local: int) -> PublishedPort:
    return PublishedPort(port, LOOPBACK, local)
