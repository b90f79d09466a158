"""The original's own life under the agent: who is signalled, and what is waited for."""

from __future__ import annotations

import asyncio

from tests.scenarios.load import steady_load
from tests.scenarios.world import Json, World


async def test_a_hook_that_signals_process_one(world: World) -> None:
    """It means the application: the pod stays, and no request fails."""
    hook: Json = {"preStop": {"exec": {"command": ["/app", "signal", "15", "1"]}}}
    await world.deploy(container={"lifecycle": hook}, strategy="RollingUpdate")
    await world.devcluster("up", "-d")
    (pod,) = (await world.status())["pods"]
    async with steady_load(world, rate=20) as load:
        await world.devcluster("leave")
        await world.devcluster("up", "-d")
    assert (load.errors, load.unanswered) == ({}, 0), load
    status = (await world.cluster.get("pod", pod["name"], world.namespace))["status"]
    assert [item["restartCount"] for item in status["containerStatuses"]] == [0]
    await world.devcluster("down")


async def test_a_request_that_takes_longer_than_a_drain(world: World) -> None:
    """It ends by itself, silent as it is; a connection that is only kept open delays nothing."""
    await world.deploy()
    await world.devcluster("up", "-d")
    words = ("client", "http", "-n", "1", "-timeout", "1m", "-url")
    slow = asyncio.create_task(world.ask(*words, "http://web/?seconds=14"), name="slow request")
    async with asyncio.timeout(60):
        while "/?seconds=14 is slow" not in world.local_log():
            await asyncio.sleep(0.1)
    await world.devcluster("leave")
    seen = await slow
    assert (seen["identity"], seen["errors"]) == ({"local": 1}, {})
    await world.devcluster("down")


async def test_ports_that_nobody_declared_and_that_nobody_listens_on(world: World) -> None:
    """The first are taken over by the pod's address, the second delay nothing."""
    ports = [{"name": "http", "containerPort": 8080}, {"name": "dead", "containerPort": 81}]
    ports += [{"name": "echo", "containerPort": 7000}, {"name": "reset", "containerPort": 7003}]
    args = ["serve", "http=:8080", "echo=:7000", "reset=:7003", "http=:9102"]
    await world.deploy(container={"args": args, "ports": ports, "readinessProbe": None})
    await world.devcluster("up", "-d")
    (pod,) = (await world.status())["pods"]
    address = (await world.cluster.get("pod", pod["name"], world.namespace))["status"]["podIP"]
    words = ("client", "http", "-n", "5", "-url", f"http://{address}:9102/")
    assert (await world.ask(*words))["identity"] == {"local": 5}
    async with asyncio.timeout(15):
        await world.devcluster("leave")
    assert (await world.ask(*words))["identity"] == {"original": 5}
    await world.devcluster("down")
