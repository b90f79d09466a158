"""A local container that runs, but is not well any more: the original serves again at once."""

from __future__ import annotations

import asyncio
import subprocess

from tests.scenarios.world import World

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

    # Stopped from outside as by a debugger: it neither answers nor ends.
    command = ["docker", "kill", "--signal=STOP", f"devcluster-{world.project}-web"]
    await asyncio.to_thread(subprocess.run, command, check=True, stdout=subprocess.DEVNULL)
    for _ in range(60):
        row = await world.status()
        if row["state"] == "failed":
            break
        await asyncio.sleep(0.5)
    assert row["state"] == "failed"
    assert "turned unhealthy" in row["reason"]
    assert await world.who() == {"original": 20}

    await world.devcluster("up", "-d")
    assert await world.who() == {"local": 20}


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
