"""Each fault as one function: it breaks a part and returns when the part is back, in seconds of the epoch.

What comes back by itself (kubelet starts a container anew, a ReplicaSet a pod) is waited for in the cluster;
what only ``devcluster`` can bring back counts from the moment of its end.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from devcluster.rules.container.docker_names import container_name
from tests.edge.cluster_world import node_of
from tests.faults.relay import Relay
from tests.faults.second_engine import SecondEngine
from tests.scenarios.laptops import host_process
from tests.scenarios.node import agent_process
from tests.scenarios.world import Json, World

_GUARD = 180.0


@dataclass(frozen=True, slots=True)
class Stage:
    """An attached workload ``web``; ``relay`` stands between the laptop and the API server; ``engine``: the
    laptop's own one, for the faults that ask for it.  ``template``, ``service``: what ``down`` must leave."""

    world: World
    relay: Relay
    kubeconfig: Path
    template: Json
    service: Json
    engine: SecondEngine | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """``alone``: it disturbs whoever else is on that cluster; ``engine``: the laptop has its own engine."""

    name: str
    title: str
    happen: Callable[[Stage], Awaitable[float]]
    alone: bool = False
    engine: bool = False


async def _agent_killed(stage: Stage) -> float:
    pod = (await stage.world.status())["pods"][0]
    before = _restarts(await stage.world.cluster.get("pod", pod["name"], stage.world.namespace))
    agent = agent_process(node_of(stage.kubeconfig), pod["name"])
    _node(stage, "kill", "-9", str(agent.pid))
    return await _pods(stage, lambda pods: any(_restarts(it) > before and _running(it) for it in pods))


async def _pod_deleted(stage: Stage) -> float:
    pod = (await stage.world.status())["pods"][0]
    await stage.world.cluster.delete("pod", pod["name"], stage.world.namespace)
    return await _pods(stage, lambda pods: any(_running(it) and _name(it) != pod["name"] for it in pods))


async def _kubelet_restarted(stage: Stage) -> float:
    before = _kubelets(stage)
    _node(stage, "kill", "-9", *before)
    async with asyncio.timeout(_GUARD):
        while not set(_kubelets(stage)) - set(before):
            await asyncio.sleep(0.2)
    return time.time()


def _api_away(seconds: float, mode: str) -> Callable[[Stage], Awaitable[float]]:
    async def happen(stage: Stage) -> float:
        stage.relay.set("drop" if mode == "drop" else "reset")
        await asyncio.sleep(seconds)
        stage.relay.set("pass")
        return time.time()

    return happen


async def _api_slow(stage: Stage) -> float:
    stage.relay.delay = 0.3
    await asyncio.sleep(7)
    stage.relay.delay = 0.0
    return time.time()


async def _address_changed(stage: Stage) -> float:
    stage.relay.cut()
    return time.time()


async def _roamed(stage: Stage) -> float:
    stage.relay.strand()
    return time.time()


async def _image_set(stage: Stage) -> float:
    tag = f"{stage.world.app.rpartition(':')[0]}:next-{secrets.token_hex(4)}"  # a new one each time
    source, target = (f"docker.io/{it}" for it in (stage.world.app, tag))
    _node(stage, "ctr", "-n", "k8s.io", "images", "tag", "--force", source, target)
    container = {"name": "web", "image": tag}
    return await _released(stage, {"spec": {"containers": [container]}})


async def _rollout_restarted(stage: Stage) -> float:
    stamp = {"kubectl.kubernetes.io/restartedAt": str(time.time())}
    return await _released(stage, {"metadata": {"annotations": stamp}})


async def _released(stage: Stage, template: Json) -> float:
    """What a teammate writes into the template; back once the new pod runs."""
    world = stage.world
    before = {it["name"] for it in (await world.status())["pods"]}
    body = {"spec": {"template": template}}
    if stamps := template.get("metadata", {}).get("annotations"):
        stage.template["metadata"].setdefault("annotations", {}).update(stamps)
    for container in template.get("spec", {}).get("containers", []):
        stage.template["spec"]["containers"][0].update(container)
    await world.cluster.patch(
        "deployment", "web", world.namespace, body, type="strategic", manager="teammate"
    )
    return await _pods(stage, lambda pods: any(_running(it) and _name(it) not in before for it in pods))


async def _scaled(stage: Stage) -> float:
    at = 0.0
    for count in (4, 0, 2):
        at = await scale(stage, count)
    return at


async def scale(stage: Stage, count: int) -> float:
    """When *count* pods run and no other one is left."""
    body = {"spec": {"replicas": count}}
    await stage.world.cluster.patch("deployment", "web", stage.world.namespace, body, manager="teammate")
    return await _pods(stage, lambda pods: sum(map(_running, pods)) == len(pods) == count)


async def _gateway_killed(stage: Stage) -> float:
    name = container_name(stage.world.project, "web", "gateway")
    _run("docker", "kill", name, environ=stage.world.environ)
    return time.time()


async def _host_killed(stage: Stage) -> float:
    os.kill(host_process(stage.world), signal.SIGKILL)
    await asyncio.sleep(4)
    await stage.world.devcluster("up", "-d")
    return time.time()


def _engine_ended(number: signal.Signals) -> Callable[[Stage], Awaitable[float]]:
    async def happen(stage: Stage) -> float:
        assert stage.engine is not None
        await stage.engine.stop(number)
        await stage.engine.start()
        return time.time()

    return happen


async def _engine_away(stage: Stage) -> float:
    """Until the lease is over and the original serves, with the reason told; then the engine comes back."""
    assert stage.engine is not None
    began = time.time()
    await stage.engine.stop()
    async with asyncio.timeout(_GUARD):
        while "original" not in await stage.world.who(1):
            await asyncio.sleep(0.5)
    print(f"the original serves after {time.time() - began:.1f} s", file=sys.stderr, flush=True)
    row = await stage.world.status()
    assert row["state"] == "reconnecting", row
    assert "Docker engine" in row["reason"], row
    assert "the original serves" in row["reason"], row
    await stage.engine.start()
    return time.time()


FAULTS = (
    Fault("agent-killed", "agent's container killed", _agent_killed),
    Fault("pod-deleted", "pod deleted", _pod_deleted),
    Fault("kubelet-restarted", "node's kubelet restarted", _kubelet_restarted, alone=True),
    Fault("api-drop-7", "API server silent for 7 s", _api_away(7, "drop")),
    Fault("api-reset-7", "API server refuses for 7 s", _api_away(7, "reset")),
    Fault("api-drop-60", "API server silent for 60 s", _api_away(60, "drop")),
    Fault("api-reset-60", "API server refuses for 60 s", _api_away(60, "reset")),
    Fault("api-slow", "API server 0.3 s late for 7 s", _api_slow),
    Fault("set-image", "teammate: set image", _image_set),
    Fault("rollout-restart", "teammate: rollout restart", _rollout_restarted),
    Fault("scaled", "scaled 1, 4, 0, 2", _scaled),
    Fault("gateway-killed", "gateway's container killed", _gateway_killed),
    Fault("host-killed", "host process killed, up 4 s later", _host_killed),
    Fault("address-changed", "laptop's address changed, connections reset", _address_changed),
    Fault("roamed", "laptop's address changed, connections dead without a word", _roamed),
    Fault("engine-restarted", "Docker engine restarted", _engine_ended(signal.SIGTERM), engine=True),
    Fault("engine-killed", "Docker engine killed, started anew", _engine_ended(signal.SIGKILL), engine=True),
    Fault("engine-away", "Docker engine away for longer than the lease", _engine_away, engine=True),
)


async def _pods(stage: Stage, right: Callable[[tuple[Json, ...]], bool]) -> float:
    """When the workload's pods were *right*."""
    cluster, space = stage.world.cluster, stage.world.namespace
    async with asyncio.timeout(_GUARD):
        states = cluster.watch_all("pod", space, selector="app=web")
        async with contextlib.aclosing(states):
            async for items in states:
                if right(tuple(items)):
                    return time.time()
    raise AssertionError("the watch ended")


def _statuses(pod: Json) -> list[Json]:
    found: list[Json] = (pod.get("status") or {}).get("containerStatuses") or []
    return found


def _running(pod: Json) -> bool:
    ours = [it for it in _statuses(pod) if "running" in (it.get("state") or {})]
    return bool(ours) and "deletionTimestamp" not in pod["metadata"]


def _restarts(pod: Json) -> int:
    return sum(it.get("restartCount", 0) for it in _statuses(pod))


def _name(pod: Json) -> str:
    return str(pod["metadata"]["name"])


def _node(stage: Stage, *words: str) -> str:
    return _run("docker", "exec", node_of(stage.kubeconfig), *words)


def _run(*words: str, environ: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60, env=environ)
    return done.stdout


def _kubelets(stage: Stage) -> list[str]:
    lines = _node(stage, "ps", "ax", "-o", "pid,args").splitlines()
    return [line.split()[0] for line in lines if line.split()[1:3] == ["kube", "kubelet"]]
