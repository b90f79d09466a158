"""Several people and one workload, several workloads and one namespace.

Who holds what is in the cluster, never on a laptop.  Whoever takes over asks nobody; who lost it is told, and
has no say any more: not in a part of it either.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import time

import pytest

from devcluster.rules.naming import container_name
from tests.scenarios.laptops import host_process, open_laptop, shop
from tests.scenarios.load import steady_load
from tests.scenarios.world import World

_REQUEST = re.compile(r'^(\S+Z) \S+:\d+ \S* "GET ')


async def test_who_holds_it_and_takeover(world: World) -> None:
    await world.deploy()
    async with open_laptop(world, "ann") as ann, open_laptop(world, "bob") as bob:
        await ann.devcluster("up", "-d")
        refused = await bob.devcluster("up", "-d", code=6)
        since = (await ann.status())["holder"]["since"]
        (row,) = (await bob.devcluster("list", "-o", "json")).json["workloads"]
        for text in (refused.stderr, row["state"]):
            assert "ann@ann-laptop" in text
            assert since in text
        assert await world.who(20) == {"ann": 20}

        await bob.devcluster("up", "-d", "--takeover")
        assert await world.who(50) == {"bob": 50}
        seen = await ann.until_state("held", guard=30)
        assert "bob@bob-laptop" in seen["reason"]
        assert seen["holder"]["user"] == "bob"
        await ann.devcluster("up", "-d", code=6)
        await ann.devcluster("down", code=6)
        assert ann.docker_leftovers() == []
        assert await world.who(20) == {"bob": 20}
        await bob.devcluster("down")
    assert await world.who(20) == {"original": 20}
    assert await world.cluster_leftovers() == []


@pytest.mark.slow
async def test_workloads_beside_each_other(world: World) -> None:
    await world.deploy("web")
    await world.deploy("shop")
    async with open_laptop(world, "ann") as ann, open_laptop(world, "bob") as bob:
        bob.write(shop(world.namespace, "shop", "bob"))
        await asyncio.gather(ann.devcluster("up", "-d"), bob.devcluster("up", "-d"))
        assert await world.who(20, "web") == {"ann": 20}
        assert await world.who(20, "shop") == {"bob": 20}
        await ann.devcluster("down")
        assert await world.who(20, "web") == {"original": 20}
        assert await world.who(20, "shop") == {"bob": 20}
        assert (await bob.status("shop"))["state"] == "attached"
        await bob.devcluster("down")
    assert await world.cluster_leftovers() == []


def _answered(laptop: World) -> list[tuple[str, str]]:
    """When this laptop's container answered a request, and whose it is; a stopped container still tells."""
    words = ["docker", "logs", "-t", container_name(laptop.project, "web")]
    seen = subprocess.run(words, capture_output=True, text=True, check=True)
    found = [_REQUEST.match(line) for line in seen.stdout.splitlines()]
    return [(match[1], laptop.folder.name) for match in found if match]


async def test_never_both_hold_a_part(world: World) -> None:
    """Two laptops take four replicas from each other while requests come: whoever answered once after the
    other had taken over would stand between the other's answers."""
    await world.deploy(replicas=4)
    async with open_laptop(world, "ann") as ann, open_laptop(world, "bob") as bob:
        await ann.devcluster("up", "-d")
        answers = []
        async with steady_load(world, rate=40) as load:
            for taker, former in ((bob, ann), (ann, bob), (bob, ann)):
                await taker.devcluster("up", "-d", "--takeover")
                answers += _answered(former)
                await world.cluster.patch(
                    "deployment", "web", world.namespace, {"spec": {"replicas": 5 if taker is bob else 4}}
                )
            answers += _answered(bob)
        print(f"three takeovers: {load}")
        owners = [owner for _, owner in sorted(answers)]
        turns = [owner for i, owner in enumerate(owners) if owners[i - 1 : i] != [owner]]
        assert turns == ["ann", "bob", "ann", "bob"]
        assert set(load.identities) == {"ann", "bob"}
        assert set(load.errors) <= {"connection reset by peer", "EOF"}  # on its way when it was taken
        await bob.until_attached(5)
        await bob.devcluster("leave")
        assert (await ann.status())["state"] == "agent-installed"
        await bob.devcluster("down")
        assert (await ann.status())["state"] == "absent"


@pytest.mark.slow
async def test_who_is_gone_blocks_nobody(world: World) -> None:
    """The record still names a laptop whose lease has run out; nobody has to take anything over."""
    await world.deploy()
    async with open_laptop(world, "ann") as ann, open_laptop(world, "bob") as bob:
        await ann.devcluster("up", "-d")
        os.kill(host_process(ann), signal.SIGKILL)
        assert "ann@ann-laptop" in (await bob.devcluster("up", "-d", code=6)).stderr
        assert await world.who(1) == {"original": 1}  # held back until the lease is over
        await bob.devcluster("up", "-d")
        assert await world.who(20) == {"bob": 20}
        await ann.devcluster("up", "-d", code=6)


@pytest.mark.slow
async def test_who_wakes_up_and_finds_it_taken(world: World) -> None:
    """The lease ran out while one laptop slept, and another took the workload over without asking: who comes
    back says who has it, and keeps off."""
    await world.deploy()
    async with open_laptop(world, "ann") as ann, open_laptop(world, "bob") as bob:
        for laptop, user in ((ann, "ann"), (bob, "bob")):
            laptop.write(f"agent: {{lease: 5s}}\n{shop(world.namespace, 'web', user)}")
        await ann.devcluster("up", "-d")
        sleeper = host_process(ann)
        os.kill(sleeper, signal.SIGSTOP)
        try:
            assert await world.who(1) == {"original": 1}  # held back until the lease is over
            await bob.devcluster("up", "-d")
            assert await world.who(20) == {"bob": 20}
        finally:
            os.kill(sleeper, signal.SIGCONT)
        woken = time.monotonic()
        seen = await ann.until_state("held", guard=30)
        print(f"held by somebody else is told {time.monotonic() - woken:.1f} s after waking up")
        assert "bob@bob-laptop" in seen["reason"]
        assert seen["holder"]["user"] == "bob"
        await ann.devcluster("up", "-d", code=6)
        assert await world.who(50) == {"bob": 50}
        await bob.devcluster("down")
    assert await world.who(20) == {"original": 20}
    assert await world.cluster_leftovers() == []


@pytest.mark.slow
async def test_a_foreground_up_ends_when_somebody_takes_it(world: World) -> None:
    await world.deploy()
    async with open_laptop(world, "ann") as ann, open_laptop(world, "bob") as bob:
        process = await ann.start("up")
        async with asyncio.timeout(180):
            while await world.who(1) != {"ann": 1}:
                assert process.returncode is None, await process.communicate()
        await bob.devcluster("up", "-d", "--takeover")
        async with asyncio.timeout(30):
            _, said = await process.communicate()
        assert process.returncode == 6
        assert b"bob@bob-laptop" in said
        assert await world.who(20) == {"bob": 20}
