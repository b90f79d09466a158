"""Several people and one workload, several workloads and one namespace.

Who holds what is in the cluster, never on a laptop.  Whoever takes over asks nobody; who lost it is told, and
has no say any more: not in a part of it either.
"""

from __future__ import annotations

import asyncio

from tests.scenarios.laptops import open_laptop, shop
from tests.scenarios.world import World


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
        async with asyncio.timeout(30):
            while (seen := await ann.status())["state"] != "held":
                await asyncio.sleep(0.2)
        assert "bob@bob-laptop" in seen["reason"]
        assert seen["holder"]["user"] == "bob"
        await ann.devcluster("up", "-d", code=6)
        await ann.devcluster("down", code=6)
        assert ann.docker_leftovers() == []
        assert await world.who(20) == {"bob": 20}
        await bob.devcluster("down")
    assert await world.who(20) == {"original": 20}
    assert await world.cluster_leftovers() == []


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
