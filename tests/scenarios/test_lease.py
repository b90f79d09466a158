"""A laptop that falls silent loses the traffic by itself, and has it back when it speaks again; `up` in the
foreground ends by ^C as by `leave`, and with an error where its container ends."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time

import pytest

from tests.scenarios.laptops import host_process
from tests.scenarios.world import World

_LEASE = 5.0  # seconds
_BACK = 3.0  # seconds that are promised for the way back


def _write(world: World, settings: str = "environment: {IDENTITY: local}") -> None:
    world.write(
        f"name: shop\nnamespace: {world.namespace}\nagent: {{lease: {_LEASE:.0f}s}}\n"
        f"workloads:\n  web: {{{settings}}}\n"
    )


@pytest.mark.parametrize("strategy", ["RollingUpdate", pytest.param("Recreate", marks=pytest.mark.slow)])
async def test_a_laptop_that_slept(world: World, strategy: str) -> None:
    await world.deploy(strategy=strategy)
    before = await world.template()
    _write(world)
    await world.devcluster("up", "-d")
    assert await world.who() == {"local": 20}

    sleeper = host_process(world)
    os.kill(sleeper, signal.SIGSTOP)
    try:
        asleep = await _until_answered_by(world, "original", guard=3 * (_LEASE + 3))
    finally:
        os.kill(sleeper, signal.SIGCONT)
    awake = await _until_answered_by(world, "local", guard=3 * _BACK)
    print(f"{strategy}: original after {asleep:.1f} s of silence, local {awake:.1f} s after the end of it")
    assert (await world.status())["state"] == "attached"
    assert await world.who() == {"local": 20}
    await world.devcluster("down")
    assert await world.template() == before


async def test_the_foreground_ends_as_leave_does(world: World) -> None:
    await world.deploy()
    _write(world)
    process = await world.start("up")
    await _until_answered_by(world, "local", guard=90)
    process.send_signal(signal.SIGINT)
    async with asyncio.timeout(60):
        _, err = await process.communicate()
    assert process.returncode == 130, err.decode()
    assert await world.who() == {"original": 20}
    assert (await world.status())["state"] == "agent-installed"


@pytest.mark.slow
async def test_the_foreground_ends_with_its_container(world: World) -> None:
    await world.deploy()
    _write(world)
    process = await world.start("up", "-o", "json")
    await _until_answered_by(world, "local", guard=90)
    kill = await asyncio.create_subprocess_exec(
        "docker", "kill", f"devcluster-{world.project}-web", stdout=asyncio.subprocess.DEVNULL
    )
    assert await kill.wait() == 0
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    assert process.returncode == 1, err.decode()
    assert "exit code 137" in err.decode()
    assert [row["outcome"] for row in json.loads(out)["workloads"]] == ["created"]  # and no second document
    assert await world.who() == {"original": 20}


async def _until_answered_by(world: World, identity: str, *, guard: float) -> float:
    """Seconds until a request is; each is asked by a pod of its own in the cluster.  The guard counts from
    here; a pod that asks takes a second or two itself."""
    began = time.monotonic()
    while True:
        seen = await world.ask("client", "http", "-n", "1", "-each", "20s", "-url", "http://web/")
        took = time.monotonic() - began
        if seen["identity"] == {identity: 1}:
            return took
        assert took < guard + 20, f"after {took:.1f} s: {seen}"
