"""A live volume without a cluster: a real agent in a container, whose `/data` is a folder here, and a real
engine that keeps another folder, or a Docker volume, equal to it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import asyncssh
import docker

from devcluster.deadline import Deadline
from devcluster.edge.agent.ssh import AgentLink, Keys, open_agent
from devcluster.edge.background import running
from devcluster.edge.docker.engine import Docker, Engine, open_engine
from devcluster.edge.docker.files import VolumeDestination
from devcluster.edge.folder.folder import FolderDestination
from devcluster.edge.kube.cluster import Cluster
from devcluster.edge.kube.transport import UpgradeTarget
from devcluster.edge.lane.lanes import (
    HTTP_END,
    AgentAddress,
    LaneError,
    Side,
    dial,
    request_head,
    upgrade,
)
from devcluster.edge.lane.ways import Ways
from devcluster.errors import ClusterError
from devcluster.rules.volume.live import Left
from devcluster.rules.volume.volumes import PodVolume, VolumePlan
from devcluster.run.changes import Changes
from devcluster.run.place import Place
from devcluster.run.site import Site, gateway_binary
from devcluster.run.volume.live_engine import LiveSpec
from devcluster.run.volume.live_volume import LiveVolume
from devcluster.run.volume.one_fill import Rewriting

Json = dict[str, Any]
PROJECT = "test-live"
MOUNT = "/data"
_GUARD = 60.0


class _Directly(Ways):
    """To an agent that this machine reaches."""

    async def open(
        self, target: UpgradeTarget, agent: AgentAddress, protocol: str, *, timeout: float
    ) -> Side:
        async with asyncio.timeout(timeout):
            side = await dial(target, lambda: Side(head_end=HTTP_END))
            return await upgrade(side, request_head(target, protocol, path=""), agent, "")


@dataclass(slots=True)
class Pod:
    """``folder``: its `/data`; ``container``: its only one."""

    folder: Path
    container: Any
    keys: Keys

    @contextlib.asynccontextmanager
    async def connect(self) -> AsyncIterator[AgentLink]:
        async def target() -> UpgradeTarget:
            self.container.reload()
            (network,) = self.container.attrs["NetworkSettings"]["Networks"].values()
            return UpgradeTarget(network["IPAddress"], 9900, "", "", None, ())

        opened = open_agent(_Directly(), target, AgentAddress("test", "pod", 9900), self.keys, timeout=10)
        async with opened as agent:
            yield agent

    async def until_reached(self) -> None:
        async with asyncio.timeout(_GUARD):
            while True:
                with contextlib.suppress(ClusterError, LaneError, OSError):
                    async with self.connect():
                        return
                await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def open_pod(folder: Path, etc: Path, *, writable: bool = True) -> AsyncIterator[Pod]:
    """An agent whose `/data` is *folder*; *etc*: where its settings are written."""
    keys = _write_settings(etc, writable)
    client = docker.from_env()
    binaries = gateway_binary("amd64").parent
    binds = {
        str(binaries): {"bind": "/bin", "mode": "ro"},
        str(etc): {"bind": "/.devcluster/etc", "mode": "ro"},
        str(folder): {"bind": MOUNT, "mode": "rw"},
    }
    async with open_engine() as engine:
        image = await engine.ensure_gateway_image(gateway_binary("amd64"))
    container = client.containers.run(
        image,
        ["guard", "--", "/bin/devcluster-gateway", "hold"],
        entrypoint=["/bin/devcluster-agent"],
        detach=True,
        volumes=binds,
        labels={"devcluster.project": PROJECT, "devcluster.role": "workload", "devcluster.workload": "pod"},
    )
    try:
        pod = Pod(folder, container, keys)
        await pod.until_reached()
        yield pod
    finally:
        container.remove(force=True)
        client.close()


def _write_settings(etc: Path, writable: bool) -> Keys:
    etc.mkdir(exist_ok=True)
    agent, laptop = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))
    settings: Json = {"protocol": 1, "port": 9900, "stop_signal": "SIGTERM", "grace_ms": 1000, "ports": []}
    settings["sync"] = [MOUNT] if writable else []
    (etc / "agent.json").write_text(json.dumps(settings))
    (etc / "record.json").write_text('{"epoch": 0, "holder": null}')
    (etc / "agent.key").write_bytes(agent.export_private_key("pkcs8-pem"))
    (etc / "laptop.pub").write_bytes(laptop.export_public_key())
    return Keys(laptop.export_private_key(), agent.export_public_key().decode())


@dataclass(slots=True)
class Laptop:
    """One live volume on the laptop, which runs while ``running`` does."""

    volume: LiveVolume
    changes: Changes
    pods: list[Pod] = field(default_factory=list)

    @contextlib.asynccontextmanager
    async def led(self, pod: Pod) -> AsyncIterator[None]:
        """Connected to *pod* for as long as the block runs."""
        async with pod.connect() as agent:
            self.volume.lead(agent)
            try:
                yield
            finally:
                self.volume.lead(None)

    async def flush(self, seconds: float = _GUARD) -> Left:
        return await self.volume.flush(Deadline.after(seconds), patience=seconds, tell=lambda _: None)

    async def keep(self, side: str, *names: str) -> tuple[str, ...]:
        return await self.volume.keep(side, names, Deadline.after(_GUARD))

    async def until(self, holds: Any) -> None:
        """Until *holds* of what `status` says, or of the files."""
        async with asyncio.timeout(_GUARD):
            while not holds(self.volume.row):
                await asyncio.sleep(0.05)


def site_of(state: Path, engine: Engine | None = None) -> Site:
    """A site without a cluster."""
    state.mkdir(exist_ok=True)
    found = Docker()
    found._engine = engine
    return Site(Place("test", "test", PROJECT, PROJECT, state), cast(Cluster, None), found, b"")


def spec_of(*, hosted: bool, rewrite: Rewriting | None = None, read_only: bool = False) -> LiveSpec:
    plan = VolumePlan(PodVolume("data", MOUNT, "claim", read_only=read_only), "sync")
    return LiveSpec("data", plan, (), rewrite, hosted, "web/data")


@contextlib.asynccontextmanager
async def open_laptop(
    site: Site, spec: LiveSpec, destination: VolumeDestination | FolderDestination
) -> AsyncIterator[Laptop]:
    """Its engine runs while the block does, and has ended in order afterwards."""
    changes = Changes()
    volume = LiveVolume(site, "web", spec, destination, changes)
    async with running(volume.run(), name=f"live {secrets.token_hex(2)}"):
        yield Laptop(volume, changes)
    volume.note()
