"""What `plan` says beforehand, of a real namespace, and under a Role that shows less."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.limited import limit, rules_of
from tests.scenarios.world import World

Json = dict[str, Any]


async def _surround(world: World) -> None:
    """An application with a database, an autoscaler and a policy."""
    values = {
        "IDENTITY": "original",
        "DB_HOST": "orders",
        "DATABASE_URL": "mysql://reader:gehe1m@orders/all",
        "ARCHIVE_HOST": "archive.corp.example",
    }
    env: list[Json] = [{"name": name, "value": value} for name, value in values.items()]
    await world.deploy(strategy="Recreate", numeric=True, container={"env": env})
    for name, port in (("orders", 3306), ("cache", 6379)):
        database: Json = {"metadata": {"name": name}, "spec": {"selector": {"app": name}}}
        database["spec"]["ports"] = [{"port": port}]
        await world.cluster.create("service", database, world.namespace)
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    scaler = {"scaleTargetRef": reference, "minReplicas": 1, "maxReplicas": 3}
    policy = {"podSelector": {"matchLabels": {"app": "web"}}, "ingress": [{"ports": [{"port": 8080}]}]}
    for kind, spec in (("horizontalpodautoscaler", scaler), ("networkpolicy", policy)):
        await world.cluster.create(kind, {"metadata": {"name": "mine"}, "spec": spec}, world.namespace)


async def _warnings(world: World) -> dict[str, list[str]]:
    """By subject."""
    (row,) = (await world.devcluster("plan", "-o", "json")).json["workloads"]
    found: dict[str, list[str]] = {}
    for one in row["warnings"]:
        found.setdefault(one["subject"], []).append(one["text"])
    return found


async def test_plan_names_what_will_happen(world: World, kubeconfig: Path) -> None:
    await _surround(world)
    before = await world.cluster.get("deployment", "web", world.namespace)

    found = await _warnings(world)
    assert sorted(found) == ["autoscaler", "away", "data", "policy"]
    assert found["away"][0].startswith("deployment/web will be down while it restarts (")
    assert found["away"][0].endswith("because its strategy is Recreate. `down` restarts it again.")
    assert "horizontalpodautoscaler/mine may scale deployment/web down" in found["autoscaler"][0]
    assert "networkpolicy/mine admits port 8080 but not 4710" in found["policy"][0]
    assert "connections are taken at port 8080 itself (take: direct)" in found["policy"][0]
    assert found["data"] == [
        "the local container uses the real database service/orders (see DATABASE_URL, DB_HOST)"
    ]

    text = (await world.devcluster("plan")).stdout
    assert text.count("    warning: ") == sum(len(texts) for texts in found.values())
    assert "gehe1m" not in text
    assert "corp.example" not in text
    after = await world.cluster.get("deployment", "web", world.namespace)
    assert after["metadata"]["generation"] == before["metadata"]["generation"]
    assert await world.cluster_leftovers() == []

    # The Role shows no autoscalers and no nodes; without its policies none is known either.
    rules = [rule for rule in await rules_of(world) if rule["resources"] != ["networkpolicies"]]
    await limit(world, kubeconfig, rules)
    assert sorted(await _warnings(world)) == ["away", "data"]


@pytest.mark.slow
async def test_up_warns_before_its_first_step_and_in_its_document(world: World) -> None:
    await _surround(world)
    done = await world.devcluster("up", "-d", "-o", "json")
    lines = done.stderr.splitlines()
    warned = [number for number, line in enumerate(lines) if line.startswith("[web] warning: ")]
    (row,) = done.json["workloads"]
    assert len(warned) == len(row["warnings"]) == 4
    assert warned[-1] < next(number for number, line in enumerate(lines) if "publish the agent" in line)
    assert await world.who(5) == {"local": 5}  # at the application's own port
    again = await world.devcluster("up", "-d", "-o", "json")
    assert again.json["workloads"][0]["outcome"] == "unchanged"
    assert "warning:" not in again.stderr

    await world.devcluster("down")
    assert await world.cluster_leftovers() == []
