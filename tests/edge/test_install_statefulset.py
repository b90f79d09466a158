"""The agent in a StatefulSet: pods that its controller does not replace, its strategy, its history."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from devcluster.errors import FailedError
from devcluster.rules.cluster.identity import WorkloadRef
from devcluster.rules.cluster.template import is_wrapped
from devcluster.rules.kinds.kind import Done, Sight
from devcluster.rules.kinds.statefulset import judge_statefulset
from devcluster.run.cluster.install import install
from devcluster.run.cluster.remove import remove
from devcluster.run.report import Progress
from devcluster.run.turn import Turn
from tests.edge.cluster_world import FACTS, TESTER, World, deployment

Json = dict[str, Any]
_GUARD = 90.0


class Killed(BaseException):
    """Stands for ``kill -9``: nothing may catch it."""


async def deploy(world: World, *, replicas: int = 2, port: int | str = "http", **spec: Any) -> Json:
    """The application as a StatefulSet; *port*: what its readiness probe asks."""
    body = deployment("web", "")
    del body["spec"]["strategy"]
    body["spec"]["template"]["spec"]["containers"][0]["readinessProbe"]["httpGet"]["port"] = port
    body["spec"] |= {"replicas": replicas, "serviceName": "web"} | spec
    return await world.cluster.create("statefulset", body, world.namespace, manager=TESTER)


def ref(world: World) -> WorkloadRef:
    return WorkloadRef("statefulset", world.namespace, "web")


async def live(world: World) -> Json:
    return await world.cluster.get("statefulset", "web", world.namespace)


async def pods(world: World) -> tuple[Json, ...]:
    return (await world.cluster.list("pod", world.namespace, selector="app=web")).items


async def settle(world: World, *, wrapped: bool = False) -> Json:
    async with asyncio.timeout(_GUARD):
        while True:
            item = await live(world)
            sight = Sight(item, await pods(world), "web", wrapped, ready=True)
            if judge_statefulset(sight) == Done():
                return item
            await asyncio.sleep(0.2)


async def release(world: World, number: str) -> None:
    container = {"name": "web", "env": [{"name": "RELEASE", "value": number}]}
    body = {"spec": {"template": {"spec": {"containers": [container]}}}}
    await world.cluster.patch(
        "statefulset", "web", world.namespace, body, type="strategic", manager="teammate"
    )


async def history(world: World) -> list[tuple[int, str, bool]]:
    """Number, release, and whether it has an agent."""
    found = []
    for item in (await world.cluster.list("controllerrevision", world.namespace)).items:
        template = item["data"]["spec"]["template"]
        env = {one["name"]: one["value"] for one in template["spec"]["containers"][0].get("env") or []}
        found.append((item["revision"], env.get("RELEASE", ""), is_wrapped(template)))
    return sorted(found)


async def test_a_pod_that_does_not_start_is_deleted_once_the_template_is_back(world: World) -> None:
    await deploy(world)
    before = await settle(world)
    wrong = replace(FACTS, entrypoint=("/not-there",))
    with pytest.raises(FailedError) as caught:
        await install(world.cluster, await world.plan(image=wrong), world.binary, Turn.of(90))
    assert "pod web-1" in caught.value.message
    await remove(world.cluster, ref(world), Turn.of(90))
    assert (await settle(world))["spec"] == before["spec"]
    assert await world.ours() == []
    assert await history(world) == [(1, "", False)]


async def test_one_that_was_broken_before_us(world: World) -> None:
    """Its first pod never was ready, so there is no second one."""
    await deploy(world, port=1)
    async with asyncio.timeout(_GUARD):
        while [pod["status"].get("phase") for pod in await pods(world)] != ["Running"]:
            await asyncio.sleep(0.2)
    before = await live(world)
    await install(world.cluster, await world.plan(), world.binary, Turn.of(60))
    assert [is_wrapped(pod) for pod in await pods(world)] == [True]
    removal = await remove(world.cluster, ref(world), Turn.of(60))
    assert removal.kept == ()
    assert (await live(world))["spec"] == before["spec"]
    assert [is_wrapped(pod) for pod in await pods(world)] == [False]
    assert await world.ours() == []


async def test_what_a_teammate_released_meanwhile_stays_in_the_history(world: World) -> None:
    await deploy(world, replicas=1)
    await settle(world)
    await install(world.cluster, await world.plan(), world.binary, Turn.of(90))
    for number in ("2", "3"):
        await release(world, number)
        await settle(world, wrapped=True)
    await remove(world.cluster, ref(world), Turn.of(90))
    assert await history(world) == [(1, "", False), (2, "2", False), (3, "3", False)]
    assert (await live(world))["spec"]["revisionHistoryLimit"] == 10
    assert await world.ours() == []


@pytest.mark.slow
@pytest.mark.parametrize("words", ["wait until", "put updateStrategy", "revisions", "delete secret"])
async def test_killed_while_it_is_taken_out(world: World, words: str) -> None:
    """The strategy is a teammate's of the time between: only the Secret knows what it was."""
    await deploy(world)
    await settle(world)
    await install(world.cluster, await world.plan(), world.binary, Turn.of(90))
    body = [{"op": "replace", "path": "/spec/updateStrategy", "value": {"type": "OnDelete"}}]
    before = await world.cluster.patch("statefulset", "web", world.namespace, body, type="json-patch")

    def die(progress: Progress) -> None:
        if words in progress.text:
            raise Killed

    with pytest.raises(Killed):
        await remove(world.cluster, ref(world), Turn.of(90, die))
    await remove(world.cluster, ref(world), Turn.of(90))
    assert (await settle(world))["spec"]["updateStrategy"] == before["spec"]["updateStrategy"]
    assert await history(world) == [(1, "", False)]
    assert await world.ours() == []
