"""``status --verify``: the proof of each Service port, and the name of the hop that is broken.

That a proof means something is judged by the local log (the application saw the connection, and no byte of
it) and by breaking one hop after the other.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from devcluster.edge.agent.ssh import AgentLink, Keys, open_agent
from devcluster.edge.lane.lanes import AgentAddress
from devcluster.edge.lane.ways import Ways
from devcluster.rules.cluster.marks import parse_record, secret_file
from tests.edge.cluster_world import node_of
from tests.scenarios.laptops import host_process
from tests.scenarios.load import steady_load
from tests.scenarios.world import Json, World


def _file(world: World, *lines: str) -> None:
    head = f"name: shop\nnamespace: {world.namespace}\nworkloads:\n  web:\n"
    world.write(head + "    environment: {IDENTITY: local}\n" + "".join(lines))


async def _second_service(world: World) -> None:
    """Numbers where the first has names, one port of UDP, two that lead to the sidecar."""
    ports: list[Json] = [
        {"name": "http", "port": 8000, "targetPort": 8080},
        {"name": "echo", "port": 8001, "targetPort": "echo"},
        {"name": "dns", "port": 53, "targetPort": 5353, "protocol": "UDP"},
        {"name": "by-name", "port": 9001, "targetPort": "metrics"},
        {"name": "by-number", "port": 9002, "targetPort": 9090},
    ]
    body = {"metadata": {"name": "inner"}, "spec": {"selector": {"app": "web"}, "ports": ports}}
    await world.cluster.create("service", body, world.namespace, manager="tester")


def _sidecar(world: World) -> Json:
    return {
        "name": "mesh",
        "image": world.app,
        "restartPolicy": "Always",
        "args": ["serve", "http=:9090"],
        "env": [{"name": "IDENTITY", "value": "sidecar"}],
        "ports": [{"name": "metrics", "containerPort": 9090}],
    }


async def _routes(world: World, *, code: int) -> dict[str, Json]:
    done = await world.devcluster("status", "--verify", "-o", "json", code=code)
    (row,) = done.json["workloads"]
    return {f"{route['service']}:{route['port']}": route for route in row["routes"]}


def _states(routes: dict[str, Json]) -> dict[str, str]:
    return {name: f"{route['state']} {route['hop']}".strip() for name, route in routes.items()}


async def _patch_service(world: World, spec: Json) -> None:
    await world.cluster.patch("service", "web", world.namespace, {"spec": spec}, manager="tester")


@pytest.mark.parametrize(
    ("take", "replicas"),
    [("front", 2), pytest.param("direct", 1, marks=pytest.mark.slow)],
)
async def test_every_port_is_proven(world: World, take: str, replicas: int) -> None:
    _file(world, f"    take: {take}\n")
    await world.deploy(replicas=replicas, pod={"initContainers": [_sidecar(world)]})
    await _second_service(world)
    await world.devcluster("up", "-d")
    async with steady_load(world) as load:
        routes = await _routes(world, code=0)
        await _routes(world, code=0)
    ports = {"web:80", "web:7000", "web:7003", "inner:8000", "inner:8001"}
    elsewhere = {"inner:53", "inner:9001", "inner:9002"}  # UDP, and what the sidecar listens on
    assert _states(routes) == dict.fromkeys(ports, "proven") | dict.fromkeys(elsewhere, "skipped")
    pods = {pod["name"] for pod in (await world.status())["pods"]}
    assert len(pods) == replicas
    assert all(set(routes[name]["pods"]) == pods for name in ports)
    assert [await world.who(5, f"inner:{port}") for port in (9001, 9002)] == [{"sidecar": 5}] * 2
    print(f"take: {take}: proven in at most {max(routes[name]['ms'] for name in ports):.1f} ms")
    await _without_the_key(world)
    log = world.local_log()
    assert "echo opened" in log  # the proof went all the way
    assert [line for line in log.splitlines() if '"' in line and '"GET /" 200' not in line] == []
    assert load.errors == {}
    assert set(load.identities) == {"local"}
    await world.devcluster("leave")
    assert await _routes(world, code=0) == {}


async def test_the_broken_hop_is_named(world: World) -> None:
    """From the application back to the caller, then what holds it all; each is mended before the next."""
    _file(world, "    target: deployment/web/web\n", "    command: [serve, 'http=:8080']\n")
    await _deploy_beside(world)
    await world.devcluster("up", "-d")
    await _local_port(world)
    await _frozen_gateway(world)
    await _selector(world)
    await _target_port(world)
    await _not_ready(world)
    await _taken(world)
    await _killed(world)


async def _deploy_beside(world: World) -> None:
    """With a second container, whose readiness is the pod's as well."""
    probe = {"httpGet": {"port": 9000}, "periodSeconds": 1, "failureThreshold": 1}
    beside = {"name": "beside", "image": world.app, "args": ["serve", "http=:9000"], "readinessProbe": probe}
    await world.deploy()
    containers = (await world.template())["spec"]["containers"]
    body = {"spec": {"template": {"spec": {"containers": [*containers, beside]}}}}
    await world.cluster.patch("deployment", "web", world.namespace, body, manager="tester")
    await world.available("web")


async def _local_port(world: World) -> None:
    routes = await _routes(world, code=1)
    silent = "broken local container"
    assert _states(routes) == {"web:80": "proven", "web:7000": silent, "web:7003": silent}
    assert "nobody listens on port 7000" in routes["web:7000"]["reason"]


async def _frozen_gateway(world: World) -> None:
    """The agent accepts and asks the laptop, where nobody answers; after 9 s the lane itself is dead."""
    (gateway,) = await _docker(
        "ps", "-q", "--filter", f"label=devcluster.project={world.project}", *_role("gateway")
    )
    await _docker("pause", gateway)
    try:
        routes = await _routes(world, code=1)
    finally:
        await _docker("unpause", gateway)
    assert set(_states(routes).values()) <= {"broken lane", "broken agent"}, routes
    await world.until_state("attached", guard=60)


def _role(role: str) -> tuple[str, str]:
    return "--filter", f"label=devcluster.role={role}"


async def _docker(*words: str) -> list[str]:
    process = await asyncio.create_subprocess_exec("docker", *words, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    assert process.returncode == 0
    return out.decode().split()


async def _selector(world: World) -> None:
    await _patch_service(world, {"selector": {"app": "other"}})
    routes = await _routes(world, code=1)
    assert set(_states(routes).values()) == {"broken service"}
    assert "app=other" in routes["web:80"]["reason"]
    await _patch_service(world, {"selector": {"app": "web"}})


async def _target_port(world: World) -> None:
    ports = (await world.cluster.get("service", "web", world.namespace))["spec"]["ports"]
    wrong = [port | {"targetPort": 4444} if port["port"] == 80 else port for port in ports]
    await _patch_service(world, {"ports": wrong})
    routes = await _routes(world, code=1)
    assert _states(routes)["web:80"] == "broken service"
    assert "4444" in routes["web:80"]["reason"]
    await _patch_service(world, {"ports": ports})


async def _not_ready(world: World) -> None:
    """kubelet's probe of the second container gets no answer: the pod is held, and no Service leads to it."""
    (pod,) = (await world.status())["pods"]
    await _pause(world, pod["name"], "pause")
    try:
        async with asyncio.timeout(60):
            while set(_states(routes := await _routes(world, code=1)).values()) != {"broken endpoint"}:
                pass
    finally:
        await _pause(world, pod["name"], "resume")
    assert pod["name"] in routes["web:80"]["reason"]


async def _pause(world: World, pod: str, verb: str) -> None:
    found = await world.cluster.get("pod", pod, world.namespace)
    statuses = found["status"]["containerStatuses"]
    (name,) = (one["containerID"].partition("://")[2] for one in statuses if one["name"] == "beside")
    node = node_of(Path(world.environ["KUBECONFIG"]))
    await _docker("exec", node, "ctr", "-n", "k8s.io", "tasks", verb, name)


async def _secret(world: World) -> Json:
    return await world.cluster.get("secret", "devcluster-deployment-web", world.namespace)


@contextlib.asynccontextmanager
async def _agent(world: World, secret: Json) -> AsyncIterator[AgentLink]:
    """A conversation of our own with the agent of the first pod."""
    keys = Keys(secret_file(secret, "laptop.key").encode(), secret_file(secret, "agent.pub").strip())
    pod = (await world.status())["pods"][0]["name"]
    address = AgentAddress(world.namespace, pod, 9900)
    async with open_agent(Ways(), world.cluster.upgrade_target, address, keys, timeout=30) as agent:
        yield agent


async def _without_the_key(world: World) -> None:
    """What looks like a proof and has another key is the application's to answer, also during a verify."""
    service = await world.cluster.get("service", "web", world.namespace)
    to = f"{service['spec']['clusterIP']}:80"
    right, wrong = (base64.b64encode(bytes([number]) * 32).decode() for number in (1, 2))
    async with _agent(world, await _secret(world)) as agent:
        await agent.call("expect", key=right, ms=30_000)
        outcome = await agent.call("prove", key=wrong, to=to, ms=10_000)
        await agent.call("expect", key=right, ms=0)
    assert "answer" not in outcome
    assert (outcome["stage"], outcome.get("errno", "")) == ("answer", "")  # it answered and closed


async def _taken(world: World) -> None:
    """Somebody else holds the agent."""
    secret = await _secret(world)
    holder = {"user": "ann", "host": "elsewhere", "project": "shop"}
    async with _agent(world, secret) as agent:
        await agent.call("hold", epoch=parse_record(secret).epoch + 1, holder=holder, since="")
        began = time.monotonic()
        async with asyncio.timeout(30):
            while set(_states(await _routes(world, code=1)).values()) != {"broken agent"}:
                pass
        print(f"told {time.monotonic() - began:.1f} s after the agent was taken")


async def _killed(world: World) -> None:
    process = host_process(world)
    os.kill(process, signal.SIGSTOP)
    (route,) = (await _routes(world, code=1)).values()
    assert (route["hop"], "does not answer" in route["reason"]) == ("host process", True)
    os.kill(process, signal.SIGKILL)
    assert _states(await _routes(world, code=1)) == {"*:0": "broken host process"}
    text = await world.devcluster("status", "--verify", code=1)
    assert "every Service: broken at the host process" in text.stdout
