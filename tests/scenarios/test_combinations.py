"""The riskiest combinations of kind, mode, order and what serves, with real servers from Debian.

Each goes there and back twice under a load from inside the cluster, of which no request may fail.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.debian_servers import NGINX, REDIS, Server, asking, load_servers
from tests.scenarios.kinds import rolled_out
from tests.scenarios.load import loading
from tests.scenarios.world import World

Json = dict[str, Any]
_RATE = 15  # requests a second
_SURGE = {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}}
_SLOW = pytest.mark.slow


@dataclass(frozen=True, slots=True)
class Combination:
    """``settings``: of the file; ``hosted``: a process of the laptop serves; ``spec``: of the workload."""

    kind: str
    server: Server
    settings: str = ""
    hosted: bool = False
    spec: Json = field(default_factory=dict)

    @property
    def beside(self) -> bool:
        """Whether the original runs on."""
        return "intercept" in self.settings


_CASES = {
    "a DaemonSet that surges, by a process": Combination("daemonset", NGINX, hosted=True, spec=_SURGE),
    "a DaemonSet that surges, by a container": Combination("daemonset", NGINX, spec=_SURGE),
    "stop-first, by a process": Combination("deployment", NGINX, "order: stop-first", hosted=True),
    "three replicas, by a process": Combination("deployment", NGINX, hosted=True, spec={"replicas": 3}),
    "three replicas, beside them": Combination(
        "deployment", NGINX, "mode: intercept", hosted=True, spec={"replicas": 3}
    ),
    "a StatefulSet, by a process": Combination("statefulset", REDIS, hosted=True, spec={"replicas": 2}),
    "a StatefulSet, beside it": Combination("statefulset", REDIS, "mode: intercept", spec={"replicas": 2}),
}


@pytest.fixture(scope="session")
def servers(kubeconfig: Path) -> str:
    """An image with nginx and Redis, in the cluster's node and in the local engine."""
    return asyncio.run(load_servers(kubeconfig))


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=name, marks=() if name.endswith("surges, by a process") else _SLOW)
        for name, case in _CASES.items()
    ],
)
async def test_no_request_fails(world: World, servers: str, case: Combination) -> None:
    await _deploy(world, case, servers)
    before = (await world.cluster.get(case.kind, "web", world.namespace))["spec"]
    steady = asking(case.server, "web", rate=_RATE, number=100_000, app=world.app, image=servers)
    async with _local(world, case, servers), loading(world, steady) as load:
        for command in ("up", "leave", "up", "down"):
            up = command == "up"
            await world.devcluster(command, *(("-d",) if up else ()))
            answers = await _who(world, case, servers, "web")
            assert answers == {"local" if up else "original": 20}, command
            if up and case.beside:
                await _runs_on(world, case, servers)
    print(load)
    assert load.errors == {}
    assert load.unanswered == 0
    assert set(load.identities) == {"original", "local"}
    assert (await world.cluster.get(case.kind, "web", world.namespace))["spec"] == before
    assert await world.cluster_leftovers() == world.docker_leftovers() == []


async def _deploy(world: World, case: Combination, image: str) -> None:
    labels = {"app": "web"}
    container = case.server.container(image)
    pod = {"terminationGracePeriodSeconds": 10, "containers": [container]}
    spec = {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}}
    if case.kind == "statefulset":
        spec["serviceName"] = "peers"
    body = {"metadata": {"name": "web"}, "spec": spec | case.spec}
    await world.cluster.create(case.kind, body, world.namespace, manager="tester")
    outside = {NGINX: 80, REDIS: 6379}[case.server]
    ports = [{"name": "main", "port": outside, "targetPort": "main"}]
    service = {"metadata": {"name": "web"}, "spec": {"selector": labels, "ports": ports}}
    await world.cluster.create("service", service, world.namespace, manager="tester")
    await rolled_out(world, case.kind)


@contextlib.asynccontextmanager
async def _local(world: World, case: Combination, image: str) -> AsyncIterator[None]:
    """The file; and with `run: host` a server that listens at a port of the laptop's 127.0.0.1."""
    if not case.hosted:
        _write(world, case, "environment: {IDENTITY: local}")
        yield
        return
    name = f"devcluster-test-{uuid.uuid4().hex[:8]}"
    published = ["--publish", f"127.0.0.1:0:{case.server.port}", "--env", "IDENTITY=local", image]
    await _docker("run", "--detach", "--init", "--name", name, *published, *case.server.command)
    try:
        port = (await _docker("port", name, f"{case.server.port}/tcp")).strip().rpartition(":")[2]
        _write(world, case, f"run: host, port_map: {{main: {port}}}")
        yield
    finally:
        await _docker("rm", "--force", name)


def _write(world: World, case: Combination, settings: str) -> None:
    words = ", ".join(filter(None, (f"target: {case.kind}/web", case.settings, settings)))
    world.write(f"name: shop\nnamespace: {world.namespace}\nworkloads:\n  web: {{{words}}}\n")


async def _docker(*words: str) -> str:
    run = subprocess.run
    done = await asyncio.to_thread(
        run, ["docker", *words], capture_output=True, text=True, check=True, timeout=120
    )
    return done.stdout


async def _who(world: World, case: Combination, image: str, host: str) -> dict[str, int]:
    """Who answers each of twenty requests."""
    asker = asking(case.server, host, rate=50, number=20, app=world.app, image=image)
    seen = await world.ask(*asker["args"], image=asker["image"])
    return dict(seen["identity"]) | dict(seen["errors"])


async def _runs_on(world: World, case: Combination, image: str) -> None:
    """Each pod answers at its own address, and never ended."""
    for pod in (await world.cluster.list("pod", world.namespace, selector="app=web")).items:
        if "deletionTimestamp" in pod["metadata"]:
            continue
        assert pod["status"]["containerStatuses"][0]["restartCount"] == 0
        address = f"{pod['status']['podIP']}:{case.server.port}"
        assert await _who(world, case, image, address) == {"original": 20}
