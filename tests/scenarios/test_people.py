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
from datetime import UTC, datetime

import pytest

from devcluster.rules.container.docker_names import container_name
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
    """When this laptop's container answered a request, and whose it is; a stopped container still tells.
    Who lost before it had one has answered nobody."""
    name = container_name(laptop.project, "web")
    seen = subprocess.run(["docker", "logs", "-t", name], capture_output=True, text=True, check=False)
    assert seen.returncode == 0 or "No such container" in seen.stderr, seen.stderr
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


async def test_two_take_it_at_the_same_moment(world: World) -> None:
    """Whoever claims last has it, all four replicas of it; who lost has served at most once in between."""
    await world.deploy(replicas=4)
    async with open_laptop(world, "ann") as ann, open_laptop(world, "bob") as bob:
        await ann.devcluster("up", "-d")
        async with steady_load(world, rate=40) as load:
            for _ in range(2):
                began = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S")
                takes = [it.devcluster("up", "-d", "--takeover", code=None) for it in (ann, bob)]
                took = sorted(await asyncio.gather(*takes), key=lambda it: it.code)
                assert [it.code for it in took] in ([0, 0], [0, 6]), took[1].stderr
                winner, loser = await _settled(ann, bob)
                name = winner.folder.name
                assert await world.who(40) == {name: 40}
                answers = sorted(it for it in (*_answered(ann), *_answered(bob)) if it[0] >= began)
                owners = [owner for _, owner in answers]
                turns = [owner for i, owner in enumerate(owners) if owners[i - 1 : i] != [owner]]
                assert turns in ([name], [loser.folder.name, name]), turns
                assert name in (await loser.status())["reason"]
        print(f"two takeovers at the same moment: {load}")
        assert set(load.identities) == {"ann", "bob"}
        await winner.devcluster("down")
    assert await world.who(20) == {"original": 20}
    assert await world.cluster_leftovers() == []


async def _settled(ann: World, bob: World) -> tuple[World, World]:
    """Who has it and who has lost it, once both know."""
    async with asyncio.timeout(60):
        while True:
            states = [(await it.status())["state"] for it in (ann, bob)]
            if sorted(states) == ["attached", "held"]:
                return (ann, bob) if states[0] == "attached" else (bob, ann)


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
