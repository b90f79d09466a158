"""A handover never refuses, resets or forgets a request that comes through a Service.

50 requests a second, each on a fresh connection from a pod in the cluster, go on while the workload changes
hands.  The longest pause is printed; only failures are judged.  What comes by the pod's own address past the
Service (``direct``, or a caller who knows it) may be refused for the moment in which the application takes
its port back: counted and printed, too.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time

import pytest

from tests.scenarios.laptops import host_process
from tests.scenarios.load import Load, steady_load
from tests.scenarios.world import Json, World

# What a Deployment needs for a roll-out without a failed request, with or without us: kube-proxy goes on
# sending connections to a pod that ends for a second or two.
GRACEFUL: Json = {"lifecycle": {"preStop": {"sleep": {"seconds": 3}}}}
PATIENT: Json = {"terminationGracePeriodSeconds": 30}


def _file(world: World, identity: str, keys: str = "") -> None:
    head = f"name: shop\nnamespace: {world.namespace}\nworkloads:\n"
    world.write(f"{head}  web: {{environment: {{IDENTITY: {identity}}}{keys}}}\n")


def _unharmed(load: Load, what: str) -> None:
    print(f"{what}: {load}")
    assert load.errors == {}
    assert load.unanswered == 0


async def _to_and_fro(world: World, keys: str) -> None:
    """Everything that needs no new pods: `leave`, `up`, and `up` after an edit."""
    await world.devcluster("leave")
    assert await world.who(20) == {"original": 20}
    await world.devcluster("up", "-d")
    _file(world, "edited", keys)
    again = await world.devcluster("up", "-d", "-o", "json")
    assert [row["outcome"] for row in again.json["workloads"]] == ["changed"]
    assert await world.who(20) == {"edited": 20}


@pytest.mark.parametrize(
    ("strategy", "numeric", "keys"),
    [
        ("RollingUpdate", False, ""),
        pytest.param("Recreate", True, "", marks=pytest.mark.slow),
        pytest.param("RollingUpdate", True, ", order: stop-first", marks=pytest.mark.slow),
    ],
    ids=["start-first", "recreate-numeric", "stop-first-numeric"],
)
async def test_leave_and_up(world: World, strategy: str, numeric: bool, keys: str) -> None:
    _file(world, "local", keys)
    await world.deploy(strategy=strategy, numeric=numeric)
    await world.devcluster("up", "-d")
    async with steady_load(world) as load:
        await _to_and_fro(world, keys)
    _unharmed(load, f"leave, up, edit ({strategy}, {keys or 'by strategy'})")
    assert set(load.identities) == {"local", "original", "edited"}


@pytest.mark.slow
async def test_direct_and_the_pods_own_address(world: World) -> None:
    """Neither goes through the front; both are led to the right side, and what they lose is told."""
    _file(world, "local", ", take: direct")
    await world.deploy()
    await world.devcluster("up", "-d")
    (pod,) = (await world.status())["pods"]
    address = (await world.cluster.get("pod", pod["name"], world.namespace))["status"]["podIP"]
    async with steady_load(world) as load, steady_load(world, f"http://{address}:8080/") as own:
        await _to_and_fro(world, ", take: direct")
    print(f"take: direct: {load}\nby the pod's own address: {own}")
    for seen in (load, own):
        assert set(seen.identities) == {"local", "original", "edited"}
        assert set(seen.errors) <= {"connection refused", "connection reset by peer", "EOF"}


async def test_first_up_and_down_of_two_replicas(world: World) -> None:
    await world.deploy(replicas=2, container=GRACEFUL, pod=PATIENT)
    await world.until_who("original")
    async with steady_load(world) as load:
        await world.devcluster("up", "-d")
        await world.devcluster("down")
    _unharmed(load, "first up and down of two replicas")
    assert set(load.identities) == {"local", "original"}


@pytest.mark.slow
async def test_down_where_the_application_is_not_graceful(world: World) -> None:
    """While it is held the pods that end are ours: they serve on until nobody is sent to them."""
    await world.deploy(replicas=2, pod=PATIENT)
    await world.devcluster("up", "-d")
    assert await world.who(20) == {"local": 20}
    async with steady_load(world) as load:
        await world.devcluster("down")
    _unharmed(load, "down of two replicas without a preStop hook")


async def test_killed_host_process(world: World) -> None:
    """Connections opened after the kill are held until the original answers them; none fails."""
    await world.deploy()
    await world.devcluster("up", "-d")
    async with steady_load(world, rate=20) as load, asyncio.timeout(90):
        process = host_process(world)  # which takes a moment to find
        os.kill(process, signal.SIGKILL)
        killed = time.time()
        assert await world.who(1) == {"original": 1}
        print(f"the original answers {time.time() - killed:.1f} s after the kill, with a lease of 15 s")
    print(f"host process killed: {load}")
    assert [seen for seen in load.report["failed"] if load.report["began"] + seen["at"] > killed] == []
    assert set(load.identities) == {"local", "original"}
    await world.devcluster("down")
    assert await world.cluster_leftovers() == []
    assert world.docker_leftovers() == []


@pytest.mark.slow
async def test_killed_and_up_again(world: World) -> None:
    """A new host process takes up what the killed one held, before the lease is over: nobody notices."""
    head = f"name: shop\nnamespace: {world.namespace}\nagent: {{lease: 1m}}\n"
    world.write(f"{head}workloads:\n  web: {{environment: {{IDENTITY: local}}}}\n")
    await world.deploy(replicas=2)
    await world.devcluster("up", "-d")
    async with steady_load(world) as load:
        process = host_process(world)
        os.kill(process, signal.SIGKILL)
        killed = time.time()
        await world.devcluster("up", "-d")
        print(f"up again {time.time() - killed:.1f} s after the kill")
    print(f"killed and up again: {load}")
    assert [seen for seen in load.report["failed"] if load.report["began"] + seen["at"] > killed] == []
    assert set(load.identities) == {"local"}
