"""`intercept` and `ingest`: the original runs on, and what it keeps is its own.

Judged from inside the cluster, under a load of which no request may fail.
"""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from devcluster.errors import DevclusterError
from tests.edge.cluster_world import node_of
from tests.scenarios.load import steady_load
from tests.scenarios.node import agent_process
from tests.scenarios.world import World

_RATE = 20  # requests a second
# A pod that ends serves until kube-proxy sends nobody any more, as every application must that loses nothing.
GRACEFUL = {"lifecycle": {"preStop": {"sleep": {"seconds": 3}}}}


def _file(world: World, settings: str) -> None:
    world.write(
        f"name: shop\nnamespace: {world.namespace}\nworkloads:\n"
        f"  web: {{environment: {{IDENTITY: local}}, {settings}}}\n"
    )


async def _restarts(world: World) -> list[int]:
    pods = (await world.cluster.list("pod", world.namespace, selector="app=web")).items
    return [pod["status"]["containerStatuses"][0]["restartCount"] for pod in pods]


async def _by_address(world: World) -> str:
    """Who answers at a pod's own address."""
    pods = (await world.cluster.list("pod", world.namespace, selector="app=web")).items
    pod = next(pod for pod in pods if "deletionTimestamp" not in pod["metadata"])
    url = f"http://{pod['status']['podIP']}:8080/"
    (identity,) = (await world.ask("client", "http", "-n", "1", "-url", url))["identity"]
    return str(identity)


async def test_intercept_of_two_replicas(world: World) -> None:
    await world.deploy(replicas=2, container=GRACEFUL)
    before = await world.template()
    _file(world, "mode: intercept")
    plan = (await world.devcluster("plan")).stdout
    assert "lead its connections to the laptop, beside the original" in plan
    assert "stop the original" not in plan
    assert "stays with the original" in plan
    async with steady_load(world, rate=_RATE) as load:
        await world.devcluster("up", "-d")
        assert await world.who(40) == {"local": 40}
        assert await _by_address(world) == "original"
        done = await world.devcluster("status", "--verify")
        assert "proven" in done.stdout
        await world.devcluster("restart", "web")
        await world.devcluster("leave")
        assert await world.who(40) == {"original": 40}
        await world.devcluster("up", "-d")
        await world.devcluster("down")
    print(load)
    assert load.errors == {}
    assert load.unanswered == 0
    assert set(load.identities) == {"original", "local"}
    assert await world.template() == before
    assert await world.cluster_leftovers() == world.docker_leftovers() == []


async def test_from_one_mode_to_another_without_a_roll_out(world: World) -> None:
    await world.deploy()
    await world.devcluster("up", "-d")
    wrapped = await world.template()
    async with steady_load(world, rate=_RATE) as load:
        for mode, answers, at_its_address in (
            ("intercept", "local", "original"),
            ("ingest", "original", "original"),
            ("replace", "local", "local"),
        ):
            _file(world, f"mode: {mode}")
            rows = (await world.devcluster("up", "-d", "-o", "json")).json["workloads"]
            assert [row["outcome"] for row in rows] == ["changed"], mode
            assert await world.who(10) == {answers: 10}, mode
            assert await _by_address(world) == at_its_address, mode
            assert (await world.status())["state"] == "attached", mode
            assert (await world.status())["mode"] == mode
            said = (await world.devcluster("status", "--verify")).stdout
            stays = "skipped (stays with the original, since the mode is ingest)" in said
            assert (stays, ": proven" in said) == (mode == "ingest", mode != "ingest")
    print(load)
    assert load.errors == {}
    assert load.unanswered == 0
    assert await world.template() == wrapped
    assert await _restarts(world) == [0]


async def test_only_the_services_that_are_listed(world: World) -> None:
    """They share a named port: the one that is left out keeps the name, the other one is led by a number."""
    await world.deploy()
    spec = {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": "http"}]}
    await world.cluster.create("service", {"metadata": {"name": "other"}, "spec": spec}, world.namespace)
    headless = {"metadata": {"name": "peers"}, "spec": spec | {"clusterIP": "None"}}
    await world.cluster.create("service", headless, world.namespace)
    _file(world, "mode: intercept, services: [web]")
    await world.devcluster("up", "-d")
    assert await world.who(20) == {"local": 20}
    assert await world.who(20, "other") == {"original": 20}
    (peer,) = (await world.ask("client", "http", "-n", "1", "-url", "http://peers:8080/"))["identity"]
    assert peer == "original"
    for words in (("plan",), ("status",), ("status", "--verify")):
        said = (await world.devcluster(*words)).stdout
        for name in ("other", "peers"):
            assert f"service/{name} port 80 stays with the original" in said, words
    routes = (await world.devcluster("status", "--verify", "-o", "json")).json["workloads"][0]["routes"]
    states = {(it["service"], it["port"]): it["state"] for it in routes}
    assert states["web", 80] == "proven"
    assert states["other", 80] == states["peers", 80] == "skipped"
    await world.devcluster("down")
    for name in ("web", "other", "peers"):
        service = await world.cluster.get("service", name, world.namespace)
        assert service["spec"]["ports"][0]["targetPort"] == "http", name
        assert "devcluster/moved" not in (service["metadata"].get("annotations") or {})


async def test_other_services_while_it_is_attached(world: World) -> None:
    """They lead to the port by its number: what is no longer listed is given back, without new pods."""
    await world.deploy(numeric=True)
    spec = {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]}
    body = {"metadata": {"name": "other"}, "spec": spec}
    await world.cluster.create("service", body, world.namespace, manager="tester")
    _file(world, "mode: intercept")
    await world.devcluster("up", "-d")
    wrapped = await world.template()
    for settings, who in (("services: [web]", "original"), ("services: [web, other]", "local")):
        _file(world, f"mode: intercept, {settings}")
        (row,) = (await world.devcluster("up", "-d", "-o", "json")).json["workloads"]
        assert row["outcome"] == "changed", settings
        await _until_answered(world, "other", who)
        assert await world.who(10) == {"local": 10}, settings
        assert (await world.status())["state"] == "attached", settings
        await world.devcluster("status", "--verify")
    assert await world.template() == wrapped
    await world.devcluster("down")
    for name in ("web", "other"):
        service = await world.cluster.get("service", name, world.namespace)
        assert service["spec"]["ports"][0]["targetPort"] == 8080, name
        assert not service["metadata"].get("annotations"), name
        assert "devcluster" not in {it["manager"] for it in service["metadata"]["managedFields"]}, name


_KEEPING = """
import http.client, json, time
connection, who = None, ""
while who != "local":
    try:
        if connection is None:
            connection = http.client.HTTPConnection("web")
            print("connected", flush=True)
        connection.request("GET", "/")
        who = json.load(connection.getresponse())["identity"]
        print(who, flush=True)
        time.sleep(3)
    except (ConnectionError, http.client.HTTPException):
        connection = None
"""


async def test_who_keeps_a_connection_open_comes_to_the_laptop(world: World, python: str) -> None:
    """And the original, which goes on, is asked no more."""
    await world.deploy()
    _file(world, "mode: intercept")
    await world.devcluster("up", "-d")
    await world.devcluster("leave")
    container = {"name": "keeping", "image": python, "command": ["python3", "-c", _KEEPING]}
    spec = {"restartPolicy": "Never", "containers": [container]}
    await world.cluster.create("pod", {"metadata": {"name": "keeping"}, "spec": spec}, world.namespace)
    await _until_said(world, "keeping", "original")
    await world.devcluster("up", "-d")
    said = await _until_said(world, "keeping", "local")
    assert [line for line in said if line != "original"] == ["connected", "connected", "local"]
    assert await _restarts(world) == [0]


async def _until_said(world: World, pod: str, word: str) -> list[str]:
    """Its log, once *word* is a line of it."""
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(DevclusterError):  # it is being started
                log = await world.cluster.pod_logs(pod, world.namespace, container=pod, lines=1000)
                if word in (lines := log.splitlines()):
                    return lines
            await asyncio.sleep(0.2)


async def _until_answered(world: World, service: str, identity: str) -> None:
    """kube-proxy learns of another target port a moment later."""
    async with asyncio.timeout(30):
        while await world.who(5, service) != {identity: 5}:
            await asyncio.sleep(0.2)


async def test_a_mapped_port_and_a_debugger_beside_it(world: World) -> None:
    """What arrives at 8080, and the pod's probe, go to 3000; `ports` adds to what is published anyway."""
    await world.deploy()
    _file(world, 'port_map: {http: 3000}, command: [serve, "http=:3000", "echo=:7000"], ports: ["0:7000"]')
    await world.devcluster("up", "-d")
    assert await world.who(20) == {"local": 20}
    row = await world.status()
    published = {port["container"] for port in row["ports"]}
    assert published == {3000, 7000, 7003}
    (mapped,) = (port for port in row["ports"] if port["container"] == 3000)
    reader, writer = await asyncio.open_connection(mapped["address"], mapped["host"])
    writer.write(b"GET / HTTP/1.0\r\n\r\n")
    assert b"local" in await reader.read()
    writer.close()
    await world.devcluster("down")


async def test_an_original_that_ends_beside_the_laptop_is_started_by_kubelet(
    world: World, kubeconfig: Path
) -> None:
    await world.deploy()
    _file(world, "mode: intercept")
    await world.devcluster("up", "-d")
    (pod,) = (await world.status())["pods"]
    agent_process(node_of(kubeconfig), pod["name"]).end_child()
    await world.until_status(lambda row: row["state"] != "attached")
    await world.until_attached(1)
    await world.until_who("local", count=20)
    assert await _restarts(world) == [1]
