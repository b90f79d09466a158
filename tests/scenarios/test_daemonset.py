"""A DaemonSet: its pods roll whatever its strategy, and all is as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.kinds import daemonset, deploy, history, release, rolled_out, set_strategy, spec_of
from tests.scenarios.limited import limit, rules_of
from tests.scenarios.world import World

Json = dict[str, Any]
KIND = "daemonset"


@pytest.mark.parametrize(
    "strategy",
    [
        {"type": "OnDelete"},
        pytest.param(
            {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            marks=pytest.mark.slow,
        ),
    ],
    ids=["OnDelete", "surge"],
)
async def test_there_and_back(world: World, kubeconfig: Path, strategy: Json) -> None:
    await deploy(world, KIND, daemonset(world.app))
    await release(world, KIND, "2")
    await rolled_out(world, KIND)
    await set_strategy(world, KIND, strategy)
    before, releases = await spec_of(world, KIND), await history(world)
    assert [number for _, number in releases] == ["", "2"]
    await limit(world, kubeconfig, await rules_of(world))  # by the least Role

    await world.devcluster("up", "-d")
    assert await world.who() == {"local": 20}
    assert (await spec_of(world, KIND))["updateStrategy"] == before["updateStrategy"]
    row = await world.status()
    assert (row["target"], row["state"], row["pods_wanted"]) == ("daemonset/web/web", "attached", 1)
    await world.devcluster("leave")
    assert await world.who() == {"original": 20}

    await world.devcluster("down")
    assert await world.who() == {"original": 20}
    assert await spec_of(world, KIND) == before
    assert await history(world) == releases
    assert world.docker_leftovers() == []
    assert await world.cluster_leftovers() == []
