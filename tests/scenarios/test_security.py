"""Who has no key stays outside, and the application goes on being served; docs/security.md is the model."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from devcluster.edge.agent.ssh import Keys, StrangerError, open_agent
from devcluster.edge.kube.agent import load_binary
from devcluster.edge.lane.lanes import AgentAddress
from devcluster.edge.lane.ways import Ways
from devcluster.rules.cluster.keys import generate_pair
from devcluster.rules.cluster.marks import chunk_name
from tests.edge.cluster_world import node_of
from tests.scenarios.node import agent_process
from tests.scenarios.world import World

_SHARE = 48 << 20  # bytes: the agent's share of the container's memory
_KEY = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----\n", re.DOTALL)


async def test_only_the_laptops_key_enters(world: World, kubeconfig: Path) -> None:
    pod, address = await _attached(world)
    secret = await _secret(world)

    assert (await _lane(world, address, secret["laptop.key"]))["in"]  # the attack works with the right key
    for key in ("", "new"):
        tried = await _lane(world, address, key)
        assert (tried["in"], tried["answered"]) == (False, 1), tried

    # Everything of ours that the application could read and give away.
    seen = agent_process(node_of(kubeconfig), pod).files("/.devcluster", "/proc/1/environ")
    leaked = [key.decode() for key in _KEY.findall(seen)]
    assert leaked == [secret["agent.key"]]
    assert secret["laptop.pub"].encode() in seen
    assert secret["laptop.key"].encode() not in seen
    assert not (await _lane(world, address, leaked[0]))["in"]

    await _no_control(world, pod, Keys(generate_pair().private.encode(), secret["agent.pub"]))
    await _no_control(world, pod, Keys(leaked[0].encode(), secret["agent.pub"]))
    await _no_control(world, pod, Keys(secret["laptop.key"].encode(), generate_pair().public))  # host key
    assert await world.who() == {"local": 20}


async def test_noise_at_the_agents_port_disturbs_nobody(world: World, kubeconfig: Path) -> None:
    pod, address = await _attached(world)
    agent = agent_process(node_of(kubeconfig), pod)
    quiet = agent.rss()

    silent = world.ask("attack", "silent", "-address", address, "-n", "1000", "-for", "25s")
    async with asyncio.TaskGroup() as group:
        attacker = group.create_task(silent)
        garbage = group.create_task(world.ask("attack", "garbage", "-address", address, "-n", "200"))
        header = group.create_task(world.ask("attack", "header", "-address", address, "-mib", "1024"))
        assert await world.who(100) == {"local": 100}
        under_attack = agent.rss()
        await world.devcluster("leave")
        assert await world.who() == {"original": 20}
        await world.devcluster("up", "-d")
        assert await world.who() == {"local": 20}
    assert attacker.result()["opened"] >= 1000, attacker.result()
    assert garbage.result()["opened"] == 200
    assert 0 < header.result()["sent"] < 16 << 20, header.result()  # what the kernel's buffers hold
    most = max(under_attack, agent.rss())
    print(f"agent: {quiet >> 20} MiB before, at most {most >> 20} MiB under attack")
    assert most < _SHARE
    (attached,) = (await world.status())["pods"]
    assert attached["state"] == "attached"


async def test_chunks_that_somebody_planted_are_not_run(world: World) -> None:
    await world.deploy()
    before = await world.template()
    name = chunk_name(load_binary().digest, 0)
    planted = {"metadata": {"name": name}, "binaryData": {"boot": base64.b64encode(b"#!/bin/sh").decode()}}
    await world.cluster.create("configmap", planted | {"immutable": True}, world.namespace)
    done = await world.devcluster("up", "-d", code=1)
    assert f"configmap/{name} in namespace {world.namespace} does not hold the agent" in done.stderr
    assert await world.template() == before
    assert await world.who() == {"original": 20}


async def test_nothing_of_ours_is_open_to_the_network_or_to_others(world: World) -> None:
    await _attached(world)
    inspected = await asyncio.to_thread(_inspect, world)
    published = [
        binding["HostIp"]
        for container in inspected
        for bindings in container["NetworkSettings"]["Ports"].values()
        for binding in bindings or ()
    ]
    assert published
    assert set(published) == {"127.0.0.1"}
    gateway = next(item for item in inspected if item["Config"]["Labels"]["devcluster.role"] == "gateway")
    assert gateway["HostConfig"]["CapAdd"] in (["NET_ADMIN"], ["CAP_NET_ADMIN"])
    assert not gateway["HostConfig"]["Privileged"]

    state = Path(world.environ["XDG_STATE_HOME"]) / "devcluster"
    modes = {path: stat.S_IMODE(path.lstat().st_mode) for path in [state, *state.rglob("*")]}
    loose = {str(path): oct(mode) for path, mode in modes.items() if mode & 0o077}
    assert modes
    assert loose == {}


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="reads other users' files")
async def test_no_key_is_on_the_laptops_disk(world: World) -> None:
    await _attached(world)
    secret = await _secret(world)
    middle = secret["laptop.key"].splitlines()[1]
    for path in [*world.folder.rglob("*")]:
        if path.is_file():
            assert middle.encode() not in path.read_bytes(), path
    for cmdline in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            assert middle.encode() not in cmdline.read_bytes(), cmdline
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended


async def _attached(world: World) -> tuple[str, str]:
    """Attach `web`: its pod's name, and the agent's address."""
    await world.deploy()
    await world.devcluster("up", "-d")
    pods = await world.cluster.list("pod", world.namespace, selector="app=web")
    (pod,) = [item for item in pods.items if not item["metadata"].get("deletionTimestamp")]
    return pod["metadata"]["name"], f"{pod['status']['podIP']}:9900"


def _inspect(world: World) -> list[Any]:
    """Every container of the project."""
    mine = ["docker", "ps", "-q", "--filter", f"label=devcluster.project={world.project}"]
    ids = subprocess.run(mine, capture_output=True, text=True, check=True).stdout.split()
    found = subprocess.run(["docker", "inspect", *ids], capture_output=True, text=True, check=True).stdout
    inspected: list[Any] = json.loads(found)
    return inspected


async def _secret(world: World) -> dict[str, str]:
    found = await world.cluster.get("secret", "devcluster-deployment-web", world.namespace)
    return {name: base64.b64decode(value).decode() for name, value in found["data"].items()}


async def _lane(world: World, address: str, key: str) -> dict[str, Any]:
    return await world.ask("attack", "lane", "-address", address, environ={"ATTACK_KEY": key})


async def _no_control(world: World, pod: str, keys: Keys) -> None:
    target = world.cluster.upgrade_target
    agent = AgentAddress(world.namespace, pod, 9900)
    with pytest.raises(StrangerError):
        async with open_agent(Ways(), target, agent, keys, timeout=30):
            pass
