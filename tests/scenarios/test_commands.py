"""What the commands say of a workload in each of its states, judged beside what stands in the cluster."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.scenarios.world import World


async def _listed(world: World, name: str = "web") -> dict[str, Any]:
    rows = (await world.devcluster("list", "-o", "json")).json["workloads"]
    found: dict[str, Any] = next(row for row in rows if row["name"] == name)
    return found


@pytest.mark.slow
async def test_list_shows_the_applications_ports_alone(world: World) -> None:
    await world.deploy()
    before = await _listed(world)
    assert (before["state"], before["holder"]) == ("ready (no agent)", None)
    await world.devcluster("up", "-d")
    held = await _listed(world)
    assert held["ports"] == before["ports"] == [8080, 7000, 7003]
    holder = held["holder"]
    assert held["state"] == f"held by {holder['user']}@{holder['host']} since {holder['since']}"
    assert "8080,7000,7003" in (await world.devcluster("list")).stdout.split()
    await world.devcluster("leave")
    left = await _listed(world)
    assert (left["ports"], left["state"]) == (before["ports"], "ready (agent installed)")


@pytest.mark.slow
async def test_a_failed_up_leaves_the_whole_target_in_status(world: World) -> None:
    await world.deploy()
    before = await world.template()
    world.write(
        f"name: shop\nnamespace: {world.namespace}\n"
        "workloads:\n  web: {image: 'nosuch.invalid/none:1', pull_policy: never}\n"
    )
    failed = await world.devcluster("up", "-d", "-o", "json", code=2)
    error = json.loads(failed.stdout)["error"]
    assert error["exit_code"] == 2
    assert "nosuch.invalid/none:1" in error["message"]
    assert "image:" in error["hint"]
    assert "build:" in error["hint"]
    row = await world.status()
    assert (row["target"], row["state"], row["pods_wanted"]) == ("deployment/web/web", "absent", 1)
    assert await world.template() == before
    assert world.docker_leftovers() == []
    assert await world.cluster_leftovers() == []
