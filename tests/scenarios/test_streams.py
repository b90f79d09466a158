"""Connections as they are: bytes, ends and resets cross both ways, and who does not read costs little."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.edge.cluster_world import node_of
from tests.scenarios.node import agent_process
from tests.scenarios.world import World, deployment

_SHARE = 48 << 20  # bytes: the agent's share of the container's memory


async def test_bytes_ends_and_resets_cross_both_ways(world: World) -> None:
    await world.deploy()
    await world.deploy("other")
    await world.devcluster("up", "-d")

    echoed = await world.ask("client", "echo", "-parallel", "64", "-mib", "16", "-address", "web:7000")
    print(f"in: 64 x 16 MiB echoed in {echoed['seconds']:.1f} s")
    assert (echoed["ok"], echoed["bytes"], echoed["errors"]) == (64, 64 * 16 << 20, {})
    assert (await world.ask("client", "halfclose", "-address", "web:7000"))["ok"]
    assert (await world.ask("client", "reset", "-address", "web:7003"))["ok"]
    assert "client" not in world.local_log()

    echoed = _from_here(world, "echo", "-parallel", "16", "-mib", "8", "-address", "other:7000")
    print(f"out: 16 x 8 MiB echoed in {echoed['seconds']:.1f} s")
    assert (echoed["ok"], echoed["bytes"], echoed["errors"]) == (16, 16 * 8 << 20, {})
    assert _from_here(world, "halfclose", "-address", "other:7000")["ok"]
    assert _from_here(world, "reset", "-address", "other:7003")["ok"]


async def test_who_does_not_read_costs_little_and_stops_nobody(world: World, kubeconfig: Path) -> None:
    await _deploy_with_source(world)
    await world.devcluster("up", "-d")
    (pod,) = (await world.status())["pods"]
    agent = agent_process(node_of(kubeconfig), pod["name"])
    quiet = agent.rss()

    words = ("client", "hold", "-parallel", "64", "-address", "source:7002", "-for", "25s")
    async with asyncio.TaskGroup() as group:
        holding = group.create_task(world.ask(*words))
        await _until_held(world)
        assert await world.who(100) == {"local": 100}
        echoed = await world.ask("client", "echo", "-parallel", "4", "-mib", "8", "-address", "web:7000")
        stalled = agent.rss()
    assert holding.result()["ok"] == 64
    assert (echoed["ok"], echoed["errors"]) == (4, {})
    print(f"agent: {quiet >> 20} MiB, {stalled >> 20} MiB with 64 connections that nobody reads")
    assert stalled < _SHARE


@pytest.mark.slow
async def test_an_idle_connection_lives_on(world: World) -> None:
    await world.deploy()
    await world.deploy("other")
    await world.devcluster("up", "-d")
    idle = ("idle", "-for", "5m", "-timeout", "7m", "-address")
    inbound, outbound = await asyncio.gather(
        world.ask("client", *idle, "web:7000", guard=480),
        asyncio.to_thread(_from_here, world, *idle, "other:7000"),
    )
    assert inbound["ok"]
    assert outbound["ok"]


def _from_here(world: World, *words: str) -> dict[str, Any]:
    """The test application's client in the local container; its report."""
    done = world.in_local("web", "/app", "client", *words, timeout=480)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


async def _deploy_with_source(world: World) -> None:
    """The application also pours out on port 7002 whatever is read of it, by a Service of its own."""
    container = deployment("web", world.app, strategy="RollingUpdate", replicas=1, container=None, pod=None)[
        "spec"
    ]["template"]["spec"]["containers"][0]
    await world.deploy(
        container={
            "args": [*container["args"], "source=:7002"],
            "ports": [*container["ports"], {"name": "source", "containerPort": 7002}],
        }
    )
    port = {"port": 7002, "targetPort": "source"}
    body = {"metadata": {"name": "source"}, "spec": {"selector": {"app": "web"}, "ports": [port]}}
    await world.cluster.create("service", body, world.namespace, manager="tester")


async def _until_held(world: World) -> None:
    """The 64 stand, and what goes into a pipe that nobody empties has gone."""
    former = -1
    async with asyncio.timeout(60):
        while True:
            (pod,) = (await world.status())["pods"]
            received = pod["bytes"]["sent"] + pod["bytes"]["received"]
            if received > 1 << 20 and received == former:
                return
            former = received
            await asyncio.sleep(0.5)
