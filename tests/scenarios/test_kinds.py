"""StatefulSets and DaemonSets: their pods roll whatever their strategy, peers find each other, and all is as
it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.kinds import (
    daemonset,
    deploy,
    history,
    release,
    rolled_out,
    set_strategy,
    spec_of,
    statefulset,
)
from tests.scenarios.limited import limit, rules_of
from tests.scenarios.world import World

Json = dict[str, Any]
_ROLLING = {"type": "RollingUpdate"}
_CASES = [
    pytest.param("statefulset", {"type": "OnDelete"}, id="statefulset-OnDelete"),
    pytest.param("daemonset", {"type": "OnDelete"}, id="daemonset-OnDelete"),
    *(
        pytest.param(kind, strategy, id=f"{kind}-{name}", marks=pytest.mark.slow)
        for kind, name, strategy in (
            ("statefulset", "partition", _ROLLING | {"rollingUpdate": {"partition": 2}}),
            ("statefulset", "RollingUpdate", _ROLLING),
            ("daemonset", "surge", _ROLLING | {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}),
        )
    ),
]


@pytest.mark.parametrize(("kind", "strategy"), _CASES)
async def test_there_and_back(world: World, kubeconfig: Path, kind: str, strategy: Json) -> None:
    single = kind == "daemonset"  # a pod for each node
    await deploy(world, kind, daemonset(world.app) if single else statefulset(world.app, replicas=2))
    await release(world, kind, "2")
    await rolled_out(world, kind)
    await set_strategy(world, kind, strategy)
    before, releases = await spec_of(world, kind), await history(world)
    assert [number for _, number in releases] == ["", "2"]
    await limit(world, kubeconfig, await rules_of(world))  # by the least Role

    await world.devcluster("up", "-d")
    assert await world.who() == {"local": 20}
    assert (await spec_of(world, kind))["updateStrategy"] == before["updateStrategy"]
    row = await world.status()
    assert (row["target"], row["state"]) == (f"{kind}/web/web", "attached")
    assert row["pods_wanted"] == (1 if single else 2)
    if not single:
        assert ("/data", "copy") in [(volume["path"], volume["mode"]) for volume in row["volumes"]]
        local = world.containers("web", "workload")[0]
        assert "HOSTNAME=web-0 " in world.engine("inspect", "--format", "{{.Config.Env}}", local)
        for ordinal in ("web-0", "web-1"):  # by its name: the peers' way
            assert await world.who(2, f"{ordinal}.peers:8080") == {"local": 2}
    await world.devcluster("status", "--verify")
    await world.devcluster("leave")
    assert await world.who() == {"original": 20}
    await world.devcluster("up", "-d")
    assert await world.who() == {"local": 20}

    await world.devcluster("down")
    assert await world.who() == {"original": 20}
    assert await spec_of(world, kind) == before
    assert await history(world) == releases
    assert world.docker_leftovers() == []
    assert await world.cluster_leftovers() == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["statefulset", "daemonset"])
async def test_what_its_strategy_holds_back(world: World, kind: str) -> None:
    """OnDelete, by a teammate while the agent is in: a release, and then the manifest of before.  Neither
    reaches a pod."""
    make = statefulset if kind == "statefulset" else daemonset
    await deploy(world, kind, make(world.app, updateStrategy={"type": "OnDelete"}))
    before = await spec_of(world, kind)
    await world.devcluster("up", "-d")
    await world.devcluster("leave")
    await release(world, kind, "2")
    await world.devcluster("up", "-d")
    assert await world.who() == {"local": 20}
    body = [{"op": "replace", "path": "/spec/template", "value": before["template"]}]
    await world.cluster.patch(kind, "web", world.namespace, body, type="json-patch", manager="teammate")
    await world.devcluster("down")
    assert await world.who() == {"original": 20}
    assert await spec_of(world, kind) == before
    assert world.docker_leftovers() == await world.cluster_leftovers() == []


async def test_beside_a_deployment_of_its_name(world: World) -> None:
    """Two workloads `web`: each has its own mark, and goes and comes alone."""
    await deploy(world, "statefulset", statefulset(world.app))
    body = statefulset(world.app)["spec"]["template"]["spec"]["containers"][0] | {"volumeMounts": []}
    template = {"metadata": {"labels": {"app": "other"}}, "spec": {"containers": [body]}}
    spec = {"selector": {"matchLabels": {"app": "other"}}, "template": template}
    await world.cluster.create("deployment", {"metadata": {"name": "web"}, "spec": spec}, world.namespace)
    await world.available("web")
    told = await world.devcluster("plan", code=None)
    world.write(
        f"name: shop\nnamespace: {world.namespace}\n"
        "workloads:\n  set: {target: statefulset/web}\n  web: {target: deployment/web}\n"
    )
    assert told.code == 0
    await world.devcluster("up", "-d")
    listed = (await world.devcluster("list", "-o", "json")).json["workloads"]
    assert {(one["kind"], one["name"], one["ports"][0]) for one in listed if one["holder"]} == {
        ("deployment", "web", 8080),
        ("statefulset", "web", 8080),
    }
    await world.devcluster("leave")
    await world.devcluster("down", "set")
    assert (await world.status("set"))["state"] == "absent"
    assert (await world.status("web"))["state"] == "agent-installed"
    assert await world.cluster_leftovers() != []
    await world.devcluster("down")
    assert await world.cluster_leftovers() == []
    assert world.docker_leftovers() == []


async def test_what_has_no_pod_says_what_to_type(world: World) -> None:
    await deploy(world, "statefulset", statefulset(world.app, replicas=0))
    done = await world.devcluster("up", "-d", code=2)
    assert f"statefulset/web in namespace {world.namespace} has 0 replicas" in done.stderr
    assert f"kubectl scale --replicas=1 statefulset/web -n {world.namespace}" in done.stderr
