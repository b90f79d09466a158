"""The Docker engine, as the rest of devcluster sees it.

One object, opened once; each method says what it makes or finds.  Everything that it makes carries our labels
(``rules/container/docker_names.py``).  Blocking calls run in threads (``Calls``).  Errors are EngineError
(exit 5), or ConfigurationError (exit 2) where the file asked for what the engine can't give.  docker-py costs
a third of a second, so it is imported only when the engine is opened.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from devcluster.config.model import Publish, PullPolicy, Runtime
from devcluster.edge.docker import containers as engine_containers
from devcluster.edge.docker import gateway as engine_gateway
from devcluster.edge.docker import image as engine_image
from devcluster.edge.docker import network as engine_network
from devcluster.edge.docker import ports as engine_ports
from devcluster.edge.docker import removal as engine_removal
from devcluster.edge.docker import workload as engine_workload
from devcluster.edge.docker.call import Calls, EngineRefusedError, GoneError, connect
from devcluster.edge.docker.containers import ContainerEvent, ContainerInfo, HealthWords
from devcluster.edge.docker.engine_facts import EngineFacts, describe
from devcluster.edge.docker.gateway import NetnsInfo, PublishedPort
from devcluster.edge.docker.image import Pulled, PullProgress
from devcluster.edge.docker.network import NetworkInfo
from devcluster.edge.docker.ports import PortRefusal, port_error
from devcluster.edge.docker.spec import spec_digest
from devcluster.edge.docker.workload import ExecResult
from devcluster.errors import EngineError
from devcluster.rules.container.image import ImageChoice, ImageFacts
from devcluster.rules.container.local_container import ContainerSpec

__all__ = [
    "ContainerEvent",
    "ContainerInfo",
    "Docker",
    "Engine",
    "EngineFacts",
    "EngineRefusedError",
    "ExecResult",
    "GoneError",
    "NetnsInfo",
    "NetworkInfo",
    "PortRefusal",
    "PublishedPort",
    "Pulled",
    "open_docker",
    "open_engine",
    "port_error",
    "spec_digest",
]


@asynccontextmanager
async def open_engine() -> AsyncIterator[Engine]:
    """The engine that the docker command line uses now.  EngineError says what was tried."""
    calls = await connect()
    try:
        yield Engine(calls)
    finally:
        await calls.close()


@asynccontextmanager
async def open_docker() -> AsyncIterator[Docker]:
    """The same for a caller that may not need one: it is opened when somebody asks for it."""
    docker = Docker()
    try:
        yield docker
    finally:
        await docker.close()


class Docker:
    """An engine that is opened at its first use.  A project whose workloads all run as processes of the
    laptop needs none."""

    def __init__(self) -> None:
        self._engine: Engine | None = None
        self._opening = asyncio.Lock()

    @property
    def engine(self) -> Engine:
        """The engine that ``open`` has opened."""
        assert self._engine is not None, "open comes first"
        return self._engine

    async def open(self) -> Engine:
        """The same engine at each call.  EngineError says what was tried."""
        async with self._opening:
            if self._engine is None:
                self._engine = Engine(await connect())
        return self._engine

    async def find(self) -> Engine | None:
        """None where it can't be reached."""
        with suppress(EngineError):
            return await self.open()
        return None

    async def close(self) -> None:
        if self._engine is not None:
            await self._engine.calls.close()


class Engine:
    """``calls`` is for the rooms beside this one (``edge/files``)."""

    def __init__(self, calls: Calls) -> None:
        self.calls = calls
        self._gateway_image = ""
        self._network = asyncio.Lock()  # Docker makes two of one name for two who ask at once

    async def describe(self) -> EngineFacts:
        """Version, place and free disk."""
        return await describe(self.calls)

    async def list_networks(self) -> tuple[NetworkInfo, ...]:
        """All of the engine's networks that have an IPv4 range."""
        return await engine_network.list_networks(self.calls)

    async def ensure_network(
        self, project: str, avoid: Sequence[IPv4Network | IPv4Address] = ()
    ) -> NetworkInfo:
        """The project's network; *avoid*: addresses that were seen in the cluster (pods, Services, DNS)."""
        async with self._network:
            return await engine_network.ensure_network(self.calls, project, avoid)

    async def ensure_gateway_image(self, binary: Path) -> str:
        """``devcluster/gateway:HASH12``, made from *binary* where it is absent."""
        self._gateway_image = await engine_image.ensure_gateway_image(self.calls, binary)
        return self._gateway_image

    @property
    def gateway_image(self) -> str:
        """The tag of the last ``ensure_gateway_image``."""
        assert self._gateway_image, "ensure_gateway_image comes first"
        return self._gateway_image

    async def choose_image(
        self, reference: str, image_id: str | None, pull_policy: PullPolicy = "missing"
    ) -> ImageChoice:
        """Which image the pod runs (*image_id* as it reports it), or the file names (None); nothing is
        pulled."""
        return await engine_image.choose_image(self.calls, reference, image_id, pull_policy)

    async def obtain_image(self, choice: ImageChoice, progress: PullProgress | None = None) -> ImageFacts:
        """The same image on this machine, pulled if needed."""
        return await engine_image.obtain_image(self.calls, choice, progress)

    async def start_netns(
        self,
        project: str,
        key: str,
        hostname: str,
        publishes: Sequence[Publish] = (),
        runtime: Runtime | None = None,
    ) -> NetnsInfo:
        """Network namespace, hostname, published ports and the door."""
        return await engine_gateway.start_netns(
            self.calls,
            project,
            key,
            image=self.gateway_image,
            hostname=hostname,
            publishes=publishes,
            runtime=runtime,
        )

    async def netns_info(self, container: str) -> NetnsInfo:
        """The same of a running netns; GoneError where it does not run."""
        return await engine_gateway.netns_info(self.calls, container)

    async def start_gateway(
        self, project: str, key: str, netns_id: str, settings: bytes, *, seconds: float = 20.0
    ) -> str:
        """The gateway's id, once it has said ``ready``; *settings*: one JSON line, never shown anywhere."""
        return await engine_gateway.start_gateway(
            self.calls, project, key, netns_id, settings, image=self.gateway_image, seconds=seconds
        )

    async def run_workload(
        self, project: str, key: str, netns_id: str, spec: ContainerSpec, digest: str
    ) -> str:
        """The workload's container, new and started; *digest*: ``spec_digest(spec, key)``."""
        return await engine_workload.run_workload(self.calls, project, key, netns_id, spec, digest)

    async def stop(self, container: str, grace: float | None = None) -> None:
        await engine_workload.stop(self.calls, container, grace)

    async def start(self, container: str) -> None:
        await engine_workload.start(self.calls, container)

    async def restart(self, container: str, grace: float | None = None) -> None:
        await engine_workload.restart(self.calls, container, grace)

    async def wait(self, container: str) -> int:
        """The exit code, when it has ended."""
        return await engine_workload.wait(self.calls, container)

    async def remove(self, container: str) -> None:
        """Remove it with its anonymous volumes, whether it runs or not; it need not exist."""
        await engine_gateway.remove_container(self.calls, container)

    async def run_in(self, container: str, command: Sequence[str], *, user: str | None = None) -> ExecResult:
        """Run *command* inside; return its code, stdout and stderr."""
        return await engine_workload.run_in(self.calls, container, command, user=user)

    async def exec_in(
        self, container: str, command: Sequence[str], *, tty: bool | None = None, user: str | None = None
    ) -> int:
        """Run *command* inside with this process's own stdin, stdout and stderr; return its exit code."""
        return await engine_workload.exec_in(self.calls, container, command, tty=tty, user=user)

    def follow_logs(
        self, container: str, *, follow: bool = True, tail: int | None = None, since: float | None = None
    ) -> AsyncGenerator[bytes, None]:
        return engine_containers.follow_logs(self.calls, container, follow=follow, tail=tail, since=since)

    def watch_container(self, container: str) -> AsyncGenerator[ContainerEvent, None]:
        """What is already the case (ended, a health), then each start, end and change of health."""
        return engine_containers.watch_container(self.calls, container)

    async def look(self, container: str) -> ContainerInfo | None:
        """One container by id or name; None when it is not there."""
        return await engine_containers.look(self.calls, container)

    async def answers(self) -> bool:
        """Whether the engine takes a new connection."""
        try:
            await self.calls.knock()
        except EngineError:
            return False
        return True

    async def tell_absence(self, container: str) -> str:
        """Why *container* can't be running, asked of an engine that may be ending or have ended; '' if it
        runs."""
        return await engine_containers.tell_absence(self.calls, container)

    async def tell_health(self, container: str) -> HealthWords:
        """What its own healthcheck said last."""
        return await engine_containers.tell_health(self.calls, container)

    async def is_stopped(self, container: str) -> bool:
        """Whether a process of it is stopped, as by a debugger; False where the engine can't tell."""
        return await engine_containers.is_stopped(self.calls, container)

    async def list_project(self, project: str) -> tuple[ContainerInfo, ...]:
        return await engine_containers.list_project(self.calls, project)

    async def list_published(self, project: str, workloads: Sequence[str] = ()) -> frozenset[tuple[str, int]]:
        """(protocol, port of the laptop) of each port that its running containers publish.  *workloads* ():
        of all."""
        return await engine_containers.list_published(self.calls, project, workloads)

    async def find_refusals(self, publishes: Sequence[Publish]) -> tuple[PortRefusal, ...]:
        """Which of them can't be published, as far as that is known before the engine is asked."""
        return await engine_ports.find_refusals(self.calls, publishes)

    async def list_projects(self) -> tuple[str, ...]:
        """The ids of all projects that have anything here."""
        return await engine_containers.list_projects(self.calls)

    async def list_volumes(self, project: str) -> tuple[tuple[str, str], ...]:
        """(name, workload's key) of each."""
        return await engine_removal.list_volumes(self.calls, project)

    async def remove_project(
        self, project: str, workloads: Sequence[str] | None = None, *, volumes: bool
    ) -> tuple[str, ...]:
        """Remove what is ours; return what is left, each with its reason.  *workloads* None: all."""
        return await engine_removal.remove_project(self.calls, project, workloads, volumes=volumes)

    async def remove_volume(self, name: str) -> None:
        await engine_removal.remove_volume(self.calls, name)
