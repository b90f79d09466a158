"""The history after `down`: as if `up` had never been.

Beside the workload stands its twin, to which everybody does the same, except that nobody ever attached to
it.  At the end both have the same history, and a roll-back goes to the same release.  A roll-back is what
kubectl does: the ReplicaSet with the second highest number, or with the one that was asked for, gives its
template back.

Source: k8s.io/kubectl pkg/polymorphichelpers/rollback.go
"""

from __future__ import annotations

import asyncio
import copy
import json
import time

import pytest

from tests.scenarios.world import Json, World

_REVISION = "deployment.kubernetes.io/revision"
_HASH = "pod-template-hash"
_SETTLE = 60.0
_BOTH = ("web", "twin")


async def _deploy(world: World, limit: int = 10) -> None:
    for name in _BOTH:
        await world.deploy(name)
        await _change(world, name, {"spec": {"revisionHistoryLimit": limit}})


async def _change(world: World, name: str, body: Json) -> None:
    await world.cluster.patch("deployment", name, world.namespace, body, type="strategic", manager="teammate")


async def _release(world: World, number: int, **container: str) -> None:
    """What a teammate does: ``kubectl set image``, ``set env``, ``annotate`` with the cause."""
    for name in _BOTH:
        changed = {"name": name, "env": [{"name": "RELEASE", "value": str(number)}]} | container
        body: Json = {"spec": {"template": {"spec": {"containers": [changed]}}}}
        body["metadata"] = {"annotations": {"kubernetes.io/change-cause": f"release {number}"}}
        await _change(world, name, body)
    for name in _BOTH:
        await world.available(name)


async def _sets(world: World, name: str) -> list[Json]:
    owner = (await world.cluster.get("deployment", name, world.namespace))["metadata"]["uid"]
    listing = await world.cluster.list("replicaset", world.namespace)
    mine = [
        item
        for item in listing.items
        if any(it["uid"] == owner for it in item["metadata"].get("ownerReferences") or [])
    ]
    return sorted(mine, key=_number)


def _number(item: Json) -> int:
    return int(item["metadata"]["annotations"][_REVISION])


async def _history(world: World, name: str) -> str:
    """All that `kubectl rollout history` and `rollout undo` look at; of the twins the same text."""
    live = await world.cluster.get("deployment", name, world.namespace)
    seen: list[Json] = [{"template": live["spec"]["template"], "notes": live["metadata"]["annotations"]}]
    for item in await _sets(world, name):
        template, notes = copy.deepcopy(item["spec"]["template"]), item["metadata"]["annotations"]
        del template["metadata"]["labels"][_HASH]
        seen.append({"template": template, "notes": notes, "replicas": item["spec"]["replicas"]})
    seen[0]["limit"] = live["spec"]["revisionHistoryLimit"]
    return json.dumps(seen, indent=1, sort_keys=True).replace(f'"{name}"', '"NAME"')


async def _assert_twins(world: World, releases: list[int]) -> None:
    """The same history of both, once the controller has cleaned up."""
    end = time.monotonic() + _SETTLE
    while (ours := await _history(world, "web")) != (theirs := await _history(world, "twin")):
        assert time.monotonic() < end, f"ours:\n{ours}\ntheirs:\n{theirs}"
        await asyncio.sleep(0.2)
    assert [_number(item) for item in await _sets(world, "web")] == releases


async def _undo(world: World, name: str, revision: int = 0) -> None:
    sets = await _sets(world, name)
    (chosen,) = [item for item in sets if _number(item) == revision] if revision else sets[-2:-1]
    template = copy.deepcopy(chosen["spec"]["template"])
    del template["metadata"]["labels"][_HASH]
    live = await world.cluster.get("deployment", name, world.namespace)
    cause = chosen["metadata"]["annotations"].get("kubernetes.io/change-cause")
    notes = live["metadata"]["annotations"] | ({"kubernetes.io/change-cause": cause} if cause else {})
    body = [
        {"op": "replace", "path": "/spec/template", "value": template},
        {"op": "replace", "path": "/metadata/annotations", "value": notes},
    ]
    await world.cluster.patch("deployment", name, world.namespace, body, type="json-patch")
    await world.available(name)


@pytest.mark.slow
async def test_as_if_up_had_never_been(world: World) -> None:
    await _deploy(world)
    await _release(world, 2)
    await _release(world, 3)
    await world.devcluster("up", "-d")
    await world.devcluster("leave")
    await world.devcluster("up", "-d")
    await world.devcluster("down")
    await _assert_twins(world, [1, 2, 3])
    for name in _BOTH:
        await _undo(world, name)
    await _assert_twins(world, [1, 3, 4])
    for name in _BOTH:
        await _undo(world, name, 1)
    await _assert_twins(world, [3, 4, 5])


async def test_releases_made_while_attached(world: World) -> None:
    """Two of them, with a limit that the second one reaches; the laptop goes on answering."""
    await _deploy(world, limit=2)
    await _release(world, 2)
    await world.devcluster("up", "-d")
    await _release(world, 3, image=f"docker.io/{world.app}")
    assert await world.who(20) == {"local": 20}
    await _release(world, 4)
    assert await world.who(20) == {"local": 20}
    await world.devcluster("down")
    await _assert_twins(world, [2, 3, 4])
    for name in _BOTH:
        await _undo(world, name)
    await _assert_twins(world, [2, 4, 5])
    assert await world.who(10) == {"original": 10}
    assert await world.cluster_leftovers() == []


@pytest.mark.slow
async def test_rolled_back_while_attached(world: World) -> None:
    """`rollout undo` in the middle takes the agent out; `down` cleans up behind it."""
    await _deploy(world)
    await _release(world, 2)
    before = await world.template()
    await world.devcluster("up", "-d")
    await _undo(world, "web")
    await world.devcluster("down")
    assert await world.template() == before
    assert await world.who(10) == {"original": 10}
    assert await world.cluster_leftovers() == []
    assert world.docker_leftovers() == []
