"""A Service that sends to two workloads: the other one's pods are served as before, whoever may see what."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.edge.cluster_world import token_of, write_config
from tests.scenarios.world import World, deployment

Json = dict[str, Any]


async def test_another_workloads_pods_go_on_being_served_under_the_least_role(
    world: World, kubeconfig: Path
) -> None:
    """The Role does not show StatefulSets; it shows their pods."""
    service = await _share(world)
    await _make_statefulset(world)
    before = await world.template()
    await _limit(world, kubeconfig)

    (row,) = (await world.devcluster("plan", "-o", "json")).json["workloads"]
    assert not [step for step in row["steps"] if "service/web" in step["step"]]
    (note,) = [note for note in row["notes"] if "service/web port 80 bypasses the agent" in note]
    assert "it also selects pods of other workloads" in note
    await world.devcluster("up", "-d")
    assert set(await world.who(40)) == {"local", "stateful"}
    assert (await world.cluster.get("service", "web", world.namespace))["spec"] == service["spec"]
    await world.devcluster("status", "--verify")
    again = await world.devcluster("up", "-d", "-o", "json")
    assert [it["outcome"] for it in again.json["workloads"]] == ["unchanged"]
    await world.devcluster("down")
    assert set(await world.who(40)) == {"original", "stateful"}
    assert await world.template() == before
    assert await world.cluster_leftovers() == world.docker_leftovers() == []


@pytest.mark.slow
async def test_a_service_that_is_shared_later_is_given_back_by_the_next_up(
    world: World, kubeconfig: Path
) -> None:
    service = await _share(world)
    await _limit(world, kubeconfig)
    await world.devcluster("up", "-d")
    led = await world.cluster.get("service", "web", world.namespace)
    assert led["spec"]["ports"][0]["targetPort"] != 8080
    await _make_statefulset(world)
    told = await world.devcluster("status", "--verify", code=1)
    assert "it also leads to store-0, which does not belong to deployment/web and has no agent" in told.stdout
    await world.devcluster("up", "-d")
    assert set(await world.who(40)) == {"local", "stateful"}
    assert (await world.cluster.get("service", "web", world.namespace))["spec"] == service["spec"]
    await world.devcluster("down")
    assert await world.cluster_leftovers() == world.docker_leftovers() == []


async def _share(world: World) -> Json:
    """deployment/web, and a Service that selects what another workload may have, too; the Service."""
    body = _labelled(deployment("web", world.app, strategy="RollingUpdate", replicas=1, **_AS_IT_IS))
    await world.cluster.create("deployment", body, world.namespace)
    await world.available("web")
    spec = {"selector": {"part": "shop"}, "ports": [{"port": 80, "targetPort": 8080}]}
    made = {"metadata": {"name": "web"}, "spec": spec}
    return await world.cluster.create("service", made, world.namespace)


_AS_IT_IS: Json = {"container": None, "pod": None}


async def _make_statefulset(world: World) -> None:
    """With a pod that is Ready."""
    env = {"env": [{"name": "IDENTITY", "value": "stateful"}]}
    body = _labelled(deployment("store", world.app, strategy="", replicas=1, container=env, pod=None))
    del body["spec"]["strategy"]
    body["spec"]["serviceName"] = "web"
    await world.cluster.create("statefulset", body, world.namespace)
    async with asyncio.timeout(60):
        states = world.cluster.watch_all("statefulset", world.namespace)
        async with contextlib.aclosing(states):
            async for (item,) in states:
                if (item.get("status") or {}).get("availableReplicas"):
                    return


def _labelled(body: Json) -> Json:
    body["spec"]["template"]["metadata"]["labels"]["part"] = "shop"
    return body


async def _limit(world: World, kubeconfig: Path) -> None:
    """From now on the commands have the printed Role and nothing else."""
    role, _ = yaml.safe_load_all((await world.devcluster("role")).stdout)
    path = world.folder / "kubeconfig"
    write_config(path, kubeconfig, {"token": await token_of(world, *role["rules"])})
    world.environ["KUBECONFIG"] = str(path)
