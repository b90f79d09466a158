"""The thread through everything: up, up again, leave, up, down."""

from __future__ import annotations

import secrets

from tests.scenarios.world import World


async def test_replace_and_put_back(world: World) -> None:
    await world.deploy()
    before = await world.template()
    done = await world.devcluster("up", "-d", "-o", "json")
    assert [row["outcome"] for row in done.json["workloads"]] == ["created"]
    assert await world.who(100) == {"local": 100}

    request = secrets.token_hex(8)
    await world.ask("client", "http", "-n", "1", "-url", f"http://web/{request}")
    assert request in world.local_log()

    again = await world.devcluster("up", "-d", "-o", "json")
    assert [row["outcome"] for row in again.json["workloads"]] == ["unchanged"]

    await world.devcluster("leave")
    assert await world.who(100) == {"original": 100}

    back = await world.devcluster("up", "-d", "-o", "json")
    assert [row["outcome"] for row in back.json["workloads"]] == ["created"]
    assert await world.who(20) == {"local": 20}

    await world.devcluster("down")
    assert await world.who(100) == {"original": 100}
    assert await world.template() == before
    assert await world.cluster_leftovers() == []
    assert world.docker_leftovers() == []
