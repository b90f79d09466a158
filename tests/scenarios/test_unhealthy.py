"""A local container that runs, but is not well any more: the original serves again at once."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import time

import pytest

from tests.scenarios.world import Json, World

_CHECK = """\
    healthcheck:
      test: [CMD, /app, client, halfclose, -address, "127.0.0.1:7000", -timeout, 1s]
      interval: 1s
      timeout: 2s
      retries: 2
"""


async def test_the_original_serves_when_the_local_container_turns_unhealthy(world: World) -> None:
    await world.deploy()
    world.write(
        f"name: shop\nnamespace: {world.namespace}\n"
        f"workloads:\n  web:\n    environment: {{IDENTITY: local}}\n{_CHECK}"
    )
    await world.devcluster("up", "-d")
    assert await world.who() == {"local": 20}

    world.halt_local()  # it neither answers nor ends
    row = await world.until_state("failed", guard=60)
    assert "became unhealthy: " in row["reason"]
    assert "stopped in a debugger? `healthcheck: off`" in row["reason"]
    assert await world.who() == {"original": 20}

    # What we failed at is not held any more: a pod that starts now serves at once.
    (old,) = (await world.cluster.list("pod", world.namespace, selector="app=web")).items
    await world.cluster.delete("pod", old["metadata"]["name"], world.namespace)
    async with asyncio.timeout(90):
        states = world.cluster.watch_all("pod", world.namespace, selector="app=web")
        async with contextlib.aclosing(states):
            async for pods in states:
                if [pod["metadata"]["uid"] != old["metadata"]["uid"] and _ready(pod) for pod in pods] == [
                    True
                ]:
                    break
    await world.until_who("original")
    assert await world.who() == {"original": 20}

    await world.devcluster("up", "-d")
    assert await world.who() == {"local": 20}


@pytest.mark.slow
async def test_the_pods_probe_is_asked_on(world: World) -> None:
    """By the gateway, since the image may have nothing to ask with; also after a restart."""
    await world.deploy()
    world.write(
        f"name: shop\nnamespace: {world.namespace}\nworkloads:\n  web: {{environment: {{IDENTITY: local}}}}\n"
    )
    await world.devcluster("up", "-d")
    await world.devcluster("restart", "web")
    assert await world.who() == {"local": 20}

    world.halt_local()
    started = time.monotonic()
    row = await world.until_state("failed", guard=60)
    print(f"failed {time.monotonic() - started:.1f} s after it was stopped")
    assert f"devcluster-{world.project}-web became unhealthy: " in row["reason"]
    assert "stopped in a debugger? `healthcheck: off`" in row["reason"]
    assert await world.who() == {"original": 20}


@pytest.mark.slow
async def test_a_container_that_ends_while_the_original_stops_is_no_success(world: World) -> None:
    """Nothing asks after its health at that moment: its end must be remembered."""
    await world.deploy(container={"lifecycle": {"preStop": {"sleep": {"seconds": 4}}}})
    world.write(f"name: shop\nnamespace: {world.namespace}\nworkloads: {{web: {{healthcheck: off}}}}\n")
    process = await world.start("up", "-d")
    assert process.stderr is not None
    async with asyncio.timeout(90):
        while b"lead its connections to the laptop" not in (line := await process.stderr.readline()):
            assert line, "it ended before"
        command = ["docker", "kill", f"devcluster-{world.project}-web"]
        await asyncio.to_thread(subprocess.run, command, check=True, stdout=subprocess.DEVNULL)
        _, said = await process.communicate()
    assert process.returncode == 1, said
    assert b"ended with exit code 137" in said
    assert b"was put back" in said
    assert await world.who() == {"original": 20}


@pytest.mark.slow
async def test_the_original_serves_when_an_edit_does_not_start(world: World) -> None:
    await world.deploy(strategy="Recreate")
    here = f"name: shop\nnamespace: {world.namespace}\nworkloads:\n  web: "
    await world.devcluster("up", "-d")
    assert await world.who() == {"local": 20}

    world.write(here + "{command: [serve, wrong]}\n")
    done = await world.devcluster("up", "-d", code=1)
    assert 'unknown mode "wrong"' in done.stderr
    assert done.stderr.count("deployment/web was put back") == 1, done.stderr
    assert await world.who() == {"original": 20}

    world.write(here + "{environment: {IDENTITY: local}}\n")
    await world.devcluster("up", "-d")
    assert await world.who() == {"local": 20}
    await world.devcluster("down")
    assert world.docker_leftovers() == []


def _ready(pod: Json) -> bool:
    return any(it["type"] == "Ready" and it["status"] == "True" for it in pod["status"].get("conditions", ()))
