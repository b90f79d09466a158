"""The network of a local container: a namespace, which owns name and ports, and the gateway in it.

The gateway needs the pod's address and names.  If it dies it is started anew in the same namespace, so that
the application keeps its network; a new namespace needs a new gateway, and whatever is in it a restart.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address

from devcluster.edge.docker.engine import NetnsInfo
from devcluster.edge.lane.door import Door
from devcluster.edge.lines import Json
from devcluster.errors import EngineError
from devcluster.rules.agent.facts import Listener, PodFacts
from devcluster.rules.container.docker_names import container_name
from devcluster.rules.container.local_container import network_runtime
from devcluster.run.attach.sides import GatewayKeys
from devcluster.run.changes import Changes
from devcluster.run.local.gateway_settings import gateway_settings
from devcluster.run.local.gateway_talk import GatewayTalk
from devcluster.run.local.outage import Outage
from devcluster.run.site import Site
from devcluster.run.wanted.wanted import Wanted

_log = logging.getLogger("devcluster.host")


@dataclass(frozen=True, slots=True)
class _Made:
    """What the present network was made from."""

    wanted: Wanted
    facts: PodFacts


class ContainerNetwork:
    """One workload's.  ``netns``: None before ``open``; ``outage``: whether the engine took all of
    it along."""

    def __init__(self, site: Site, key: str, entry: GatewayKeys, changes: Changes) -> None:
        self.netns: NetnsInfo | None = None
        self._site = site
        self._key = key
        self._entry = entry
        self._changes = changes
        self._made: _Made | None = None
        self._making = asyncio.Lock()  # a gateway, with or without its network namespace
        self._opening = False
        self._talk = GatewayTalk(key, changes)
        self.outage = Outage(site.engine, self, changes)

    @property
    def door(self) -> Door | None:
        """The gateway's; None while it is away."""
        return None if self.outage.reason else self._talk.door

    @property
    def lanes(self) -> tuple[Json, ...]:
        """As the gateway reported them last."""
        return self._talk.lanes

    @property
    def standing(self) -> str | None:
        """The namespace whose end is an outage; None while we replace it."""
        return None if self.netns is None or self._opening else self.netns.container_id

    @property
    def talks(self) -> bool:
        """Whether the gateway answers at this moment."""
        return self._talk.stands

    async def run(self) -> None:
        """Keep the gateway alive and its conversation open, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._talk.run(), name=f"gateway {self._key}")
            tasks.create_task(self._watch_gateway(), name=f"watch gateway {self._key}")

    async def probe(self, probe: Json) -> Json:
        """``healthy`` and ``text`` of a v1.Probe, run once in the namespace; see ``GatewayTalk.probe``."""
        return await self._talk.probe(probe)

    def lead(self, pod: str, neighbours: tuple[Listener, ...]) -> None:
        """Outbound connections go by *pod*; *neighbours* are its other containers."""
        self._talk.lead(pod, neighbours)

    async def open(self, wanted: Wanted, facts: PodFacts) -> None:
        """Make network namespace and gateway anew."""
        await self._open(_Made(wanted, facts))

    async def open_again(self) -> None:
        """Make both anew as they were."""
        assert self._made is not None
        await self._open(self._made)

    async def start_again(self) -> None:
        """Start the same namespace, which had ended, and a gateway.  GoneError where it no longer exists."""
        assert self.netns is not None
        async with self._making:
            self._set_door(None)
            netns = self.netns.container_id
            await self._site.engine.start(netns)
            self.netns = await self._site.engine.netns_info(netns)
            await self._start_another_gateway()

    async def is_gone(self) -> bool:
        """Whether the engine, or the namespace, is away at this moment."""
        assert self.netns is not None
        return bool(await self._site.engine.tell_absence(self.netns.container_id))

    async def close(self) -> None:
        """Remove the gateway; the namespace stays."""
        async with self._making:
            self._set_door(None)
            await self._site.engine.remove(self._gateway)

    @property
    def _gateway(self) -> str:
        return container_name(self._site.place.id, self._key, "gateway")

    def _set_door(self, door: Door | None) -> None:
        self._talk.door = door
        self._changes.notify()

    async def _open(self, made: _Made) -> None:
        self._site.place.note_docker(True)
        async with self._making:
            self._set_door(None)
            self._made = made
            self._opening = True
            try:
                await self._make(made)
            finally:
                self._opening = False

    async def _make(self, made: _Made) -> None:
        engine, project, wanted = self._site.engine, self._site.place.id, made.wanted
        network = await engine.ensure_network(project, _avoid(wanted.seen, made.facts))
        runtime = network_runtime(wanted.pod_spec, wanted.workload)
        self.netns = await engine.start_netns(
            project, self._key, made.facts.hostname, wanted.publishes, runtime
        )
        await self._start_gateway(network.subnet, network.gateway)

    async def _start_another_gateway(self) -> None:
        network = await self._site.engine.ensure_network(self._site.place.id)
        await self._start_gateway(network.subnet, network.gateway)

    async def _start_gateway(self, subnet: str, gateway: str) -> None:
        assert self._made is not None
        assert self.netns is not None
        made = self._made
        settings = gateway_settings(
            made.facts,
            self._entry,
            made.wanted.project.network,
            docker_network=subnet,
            docker_gateway=gateway,
            port_map=made.wanted.port_map,
            extra_hosts=made.wanted.workload.runtime.extra_hosts,
        )
        project = self._site.place.id
        await self._site.engine.start_gateway(project, self._key, self.netns.container_id, settings.line)
        self._set_door(Door(self.netns.door_port, settings.token, f"docker logs {self._gateway}"))

    async def _watch_gateway(self) -> None:
        while True:
            await self._changes.until(lambda: self.door is not None)
            door = self.door
            if not await self.outage.until_end_of(self._gateway):
                await self.outage.until_over()
            else:
                await self._renew_gateway(door)

    async def _renew_gateway(self, door: Door | None) -> None:
        try:
            async with self._making:
                if self.door is not door:  # we have closed it, or made another one
                    return
                _log.warning("%s: the gateway ended; starting it again", self._key)
                self._set_door(None)
                await self._start_another_gateway()
                _log.info("%s: the gateway is back", self._key)
        except EngineError:
            if not await self.outage.begins():
                raise


def network_parts(wanted: Wanted) -> tuple[object, ...]:
    """What namespace and gateway are made from, besides what the pod says: for comparison."""
    runtime = network_runtime(wanted.pod_spec, wanted.workload)
    return wanted.publishes, wanted.port_map, wanted.project.network, runtime


def _avoid(seen: tuple[str, ...], facts: PodFacts) -> list[IPv4Address]:
    texts = [*seen, facts.address]
    texts += [line.split()[1] for line in facts.resolv_conf.splitlines() if line.startswith("nameserver ")]
    addresses = [ip_address(text) for text in texts]
    return [address for address in addresses if isinstance(address, IPv4Address)]
