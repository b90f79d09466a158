"""Several replicas: each pod's agent is held, and none of them answers as the original.

What a Deployment does meanwhile (a pod lost, more, fewer, none, some again) needs nobody's help.
"""

from __future__ import annotations

import pytest

from devcluster.edge.kube.paths import path_of
from tests.scenarios.laptops import shop
from tests.scenarios.load import steady_load
from tests.scenarios.world import World

_GUARD = 90.0


async def _scale(world: World, replicas: int) -> None:
    await world.cluster.patch("deployment", "web", world.namespace, {"spec": {"replicas": replicas}})


async def _kill_pod(world: World, pod: str = "") -> None:
    """As a node that breaks: at once, without a word to anybody."""
    pod = pod or (await world.status())["pods"][0]["name"]
    where = path_of("pod", world.namespace, pod)
    await world.cluster.transport.request(
        "DELETE", where, "delete", body={"gracePeriodSeconds": 0, "propagationPolicy": "Background"}
    )


async def _callers(world: World) -> set[str]:
    """Which addresses `other` has seen so far."""
    (pod,) = (await world.cluster.list("pod", world.namespace, selector="app=other")).items
    name = pod["metadata"]["name"]
    log = await world.cluster.pod_logs(name, world.namespace, container="other", lines=10_000)
    lines = [line for line in log.splitlines() if line.startswith("echo opened ")]
    return {line.split()[-1].rpartition(":")[0] for line in lines}


async def test_connections_leave_by_one_pod_and_by_another_when_it_goes(world: World) -> None:
    """Whoever is called knows its callers by their address."""
    await world.deploy(replicas=3)
    await world.deploy("other")
    await world.devcluster("up", "-d")
    call = ("web", "/app", "client", "echo", "-parallel", "40", "-mib", "1", "-address", "other:7000")
    assert world.in_local(*call).returncode == 0
    (first,) = await _callers(world)
    pods = (await world.cluster.list("pod", world.namespace, selector="app=web")).items
    (primary,) = [pod["metadata"]["name"] for pod in pods if pod["status"]["podIP"] == first]
    await _kill_pod(world, primary)
    await world.until_attached(3)
    assert world.in_local(*call).returncode == 0
    (second,) = await _callers(world) - {first}
    assert second in {pod["status"]["podIP"] for pod in pods}


async def test_four_replicas_and_none_answers_as_the_original(world: World) -> None:
    await world.deploy(replicas=4)
    await world.devcluster("up", "-d")
    seen = await world.ask("client", "http", "-n", "400", "-rate", "100", "-url", "http://web/")
    assert seen["identity"] == {"local": 400}
    async with steady_load(world) as load:
        await _kill_pod(world)
        await world.until_attached(4)
    print(f"one of four killed: {load}")
    assert set(load.identities) == {"local"}
    async with steady_load(world) as load:
        await _scale(world, 2)  # fewer than there were at `up`, and that is all that are wanted
        await world.until_attached(2)
        assert (await world.status())["pods_wanted"] == 2
        await world.devcluster("leave")  # while kube-proxy may still send callers to the pods that go
    print(f"four scaled to two, and left: {load}")
    assert load.unanswered == 0
    assert set(load.identities) == {"local", "original"}
    await world.until_who("original", count=40)
    await world.devcluster("down")
    assert await world.cluster_leftovers() == []


@pytest.mark.slow
async def test_scaled_up_and_down_and_away(world: World) -> None:
    await world.deploy()
    await world.devcluster("up", "-d")
    async with steady_load(world, rate=20) as load:
        await _scale(world, 4)
        await world.until_attached(4)
    print(f"scaled from 1 to 4: {load}")
    assert set(load.identities) == {"local"}
    await _scale(world, 0)
    await world.until_status(lambda row: not row["pods"])
    assert (await world.status())["state"] != "attached"
    await _scale(world, 2)
    await world.until_attached(2)
    await world.until_who("local", count=40)
    await world.devcluster("down")
    item = await world.available("web")
    assert item["spec"]["replicas"] == 2
    await world.until_who("original", count=20)
    assert await world.cluster_leftovers() == []


@pytest.mark.slow
async def test_a_workload_taken_out_of_the_file_is_put_back(world: World) -> None:
    await world.deploy("web")
    await world.deploy("side")
    before = await world.template("side")
    world.write(shop(world.namespace, "web", "side", "local"))
    await world.devcluster("up", "-d")
    assert await world.who(10, "side") == {"local": 10}
    world.write(shop(world.namespace, "web", "local"))
    done = await world.devcluster("up", "-d", "-o", "json")
    outcomes = {row["name"]: row["outcome"] for row in done.json["workloads"]}
    assert outcomes == {"web": "unchanged", "side": "put back"}
    assert await world.template("side") == before
    assert await world.who(10, "side") == {"original": 10}
    assert await world.who(10, "web") == {"local": 10}


@pytest.mark.slow
async def test_taken_out_of_the_file_after_leave(world: World) -> None:
    """Nothing is attached and no host process knows of it: the record does."""
    await world.deploy("web")
    await world.deploy("side")
    before = await world.template("side")
    world.write(shop(world.namespace, "web", "side", "local"))
    await world.devcluster("up", "-d")
    await world.devcluster("leave")
    world.write(shop(world.namespace, "web", "local"))
    done = await world.devcluster("up", "-d", "-o", "json")
    outcomes = {row["name"]: row["outcome"] for row in done.json["workloads"]}
    assert outcomes == {"web": "created", "side": "put back"}
    assert await world.template("side") == before
    await world.devcluster("down")
    assert await world.cluster_leftovers() == []
    assert world.docker_leftovers() == []
