"""The thread through everything: up, up again, leave, up, down."""

from __future__ import annotations

import secrets
import subprocess
import time
from pathlib import Path

from tests.edge.cluster_world import node_of
from tests.scenarios.laptops import host_process, resident
from tests.scenarios.node import agent_process
from tests.scenarios.world import Done, World


async def _timed(world: World, what: str, *words: str) -> Done:
    """Run the command; how long it took is printed, not judged: two cores do everything."""
    began = time.monotonic()
    done = await world.devcluster(*words)
    print(f"{what}: {time.monotonic() - began:.1f} s")
    return done


def _gateway(world: World) -> int:
    """The process of the gateway's container."""
    inspect = ["docker", "inspect", "-f", "{{.State.Pid}}", *world.containers("web", "gateway")]
    return int(subprocess.run(inspect, capture_output=True, text=True, check=True, timeout=60).stdout)


async def _weigh(world: World, kubeconfig: Path) -> None:
    (pod,) = (await world.status())["pods"]
    parts = {
        "agent": agent_process(node_of(kubeconfig), pod["name"]).rss(),
        "gateway": resident(_gateway(world)),
        "host process": resident(host_process(world)),
    }
    print("resident:", ", ".join(f"{name} {size >> 20} MiB" for name, size in parts.items()))


async def test_replace_and_put_back(world: World, kubeconfig: Path) -> None:
    await world.deploy()
    before = await world.template()
    done = await _timed(world, "up with a roll-out", "up", "-d", "-o", "json")
    assert [row["outcome"] for row in done.json["workloads"]] == ["created"]
    (pod,) = (await world.status())["pods"]
    assert pod["lane"]
    assert pod["rtt_ms"] > 0  # from the first moment on
    assert await world.who(100) == {"local": 100}

    request = secrets.token_hex(8)
    await world.ask("client", "http", "-n", "1", "-url", f"http://web/{request}")
    assert request in world.local_log()

    await _weigh(world, kubeconfig)
    again = await _timed(world, "up where nothing changed", "up", "-d", "-o", "json")
    assert [row["outcome"] for row in again.json["workloads"]] == ["unchanged"]

    await _timed(world, "leave", "leave")
    assert await world.who(100) == {"original": 100}

    back = await _timed(world, "up without a roll-out", "up", "-d", "-o", "json")
    assert [row["outcome"] for row in back.json["workloads"]] == ["created"]
    assert await world.who(20) == {"local": 20}

    await _timed(world, "down", "down")
    assert await world.who(100) == {"original": 100}
    assert await world.template() == before
    assert await world.cluster_leftovers() == []
    assert world.docker_leftovers() == []
