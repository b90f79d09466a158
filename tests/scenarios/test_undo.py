"""Undo among people: what a teammate changed, deleted or applied while the agent was in."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from dataclasses import replace
from typing import Any

import pytest

from tests.scenarios.fire import (
    apply,
    assert_as_before,
    deploy_twice,
    dying,
    host_processes,
    kill_host,
    other_laptop,
    snapshot,
    undo_target,
)
from tests.scenarios.world import World

Json = dict[str, Any]
KILLED = -9
_GUARD = 90.0
_MARK = "devcluster-deployment-web"


async def _until(world: World, kind: str, name: str, *, there: bool) -> None:
    async with asyncio.timeout(_GUARD):
        states = world.cluster.watch_all(kind, world.namespace, fields=f"metadata.name={name}")
        async with contextlib.aclosing(states):
            async for items in states:
                if bool(items) == there:
                    return


async def _change(world: World, kind: str, body: Any, type: Any = "strategic") -> None:
    await world.cluster.patch(kind, "web", world.namespace, body, type=type, manager="teammate")


async def test_a_teammates_fields_stay_and_are_named(world: World) -> None:
    await deploy_twice(world)
    await world.devcluster("up", "-d")
    kill_host(world)
    await _change(world, "service", {"spec": {"ports": [{"port": 7003, "targetPort": 7777}]}})
    container = {"name": "web", "env": [{"name": "RELEASE", "value": "3"}], "command": ["/app"]}
    spec = {"revisionHistoryLimit": 7, "template": {"spec": {"containers": [container]}}}
    await _change(world, "deployment", {"metadata": {"annotations": {"team": "shop"}}, "spec": spec})

    done = await other_laptop(world).devcluster("down", "-n", world.namespace, "-o", "json")
    (row,) = done.json["workloads"]
    assert row["detail"][1:] == [
        f"left as it is, because somebody else changed it: {what}"
        for what in (
            "deployment/web spec.containers[web].command",
            "deployment/web spec.containers[web].env[RELEASE].value",
            "deployment/web spec.revisionHistoryLimit",
            "service/web port 7003: targetPort",
        )
    ]
    now = await snapshot(world)
    ports = {port["port"]: port["targetPort"] for port in now["service"]["spec"]["ports"]}
    assert ports == {80: 8080, 7000: 7000, 7003: 7777}
    assert now["service"]["annotations"] is None
    assert now["deployment"]["spec"]["revisionHistoryLimit"] == 7
    assert now["deployment"]["annotations"]["team"] == "shop"
    (left,) = now["deployment"]["spec"]["template"]["spec"]["containers"]
    assert (left["command"], left["env"][-1]["value"]) == (["/app"], "3")
    assert "volumeMounts" not in left
    assert "volumes" not in now["deployment"]["spec"]["template"]["spec"]
    assert await world.cluster_leftovers() == []
    assert now["docker"] == []


@pytest.mark.slow
async def test_without_its_secret_the_rest_is_named(world: World) -> None:
    """Nobody knows what stood there: nothing is guessed, and it is said what helps."""
    await deploy_twice(world)
    before = await snapshot(world)
    await world.devcluster("up", "-d")
    kill_host(world)
    await world.cluster.delete("secret", _MARK, world.namespace)
    wrapped = await world.template()
    done = await world.devcluster("down", code=7)
    assert _MARK in done.stderr
    assert "kubectl rollout undo deployment/web" in done.stderr
    assert await world.template() == wrapped

    template = undo_target(await snapshot(world))
    del template["metadata"]["labels"]["pod-template-hash"]
    body = [{"op": "replace", "path": "/spec/template", "value": template}]
    await _change(world, "deployment", body, "json-patch")
    await world.available("web")
    await other_laptop(world).devcluster("down", "-n", world.namespace)
    now = await snapshot(world)
    assert now["deployment"]["spec"]["template"] == before["deployment"]["spec"]["template"]
    assert now["service"]["spec"] == before["service"]["spec"]
    assert now["releases"].keys() == before["releases"].keys()
    assert (now["docker"], await world.cluster_leftovers()) == ([], [])


async def _delete_workload(world: World) -> None:
    await world.cluster.delete("deployment", "web", world.namespace)
    await _until(world, "secret", _MARK, there=False)


async def test_a_deleted_workload_takes_everything_along(world: World) -> None:
    await deploy_twice(world)
    before = await snapshot(world)
    await world.devcluster("up", "-d")
    await _delete_workload(world)
    row = await world.until_status(lambda it: bool(it["state"] != "attached"), guard=6)
    assert row["reason"]
    await world.until_status(lambda it: not it["pods"])
    await world.devcluster("down")
    row = await world.status()
    assert (row["state"], row["pods_wanted"]) == ("absent", 0)
    now = await snapshot_of_service(world)
    assert now == before["service"]["spec"]
    assert (world.docker_leftovers(), await world.cluster_leftovers()) == ([], [])
    assert host_processes(world) == []


@pytest.mark.slow
async def test_a_deleted_workload_and_a_dead_laptop(world: World) -> None:
    """The workload is made anew meanwhile: it is not what we changed, but its Service is."""
    await deploy_twice(world)
    before = await snapshot(world)
    await world.devcluster("up", "-d")
    kill_host(world)
    await _delete_workload(world)
    await apply(world, dry_run=False)
    assert await snapshot_of_service(world) != before["service"]["spec"]
    done = await other_laptop(world).devcluster("down", "-n", world.namespace, "-o", "json")
    assert [row["name"] for row in done.json["workloads"]] == ["web"]
    assert await snapshot_of_service(world) == before["service"]["spec"]
    assert (world.docker_leftovers(), await world.cluster_leftovers()) == ([], [])
    await world.available("web")
    await world.until_who("original")


async def snapshot_of_service(world: World) -> Json:
    item = await world.cluster.get("service", "web", world.namespace)
    assert not item["metadata"].get("annotations") or item["spec"]["ports"][0]["targetPort"] != 8080
    spec: Json = item["spec"]
    return spec


@pytest.mark.slow
async def test_the_command_is_killed_and_its_host_process_is_not(world: World) -> None:
    """Both ways: `up -d` and `down` are killed while the host process works for them."""
    await deploy_twice(world)
    before = await snapshot(world)
    for words in (("up", "-d"), ("down",)):
        process = await world.start(*words)
        await _until(world, "secret", _MARK, there=words[0] == "up")
        process.kill()
        await process.communicate()
    await world.devcluster("down")
    await assert_as_before(world, before)


@pytest.mark.parametrize(
    "at", [b"with a roll-out", pytest.param(b"start the gateway", marks=pytest.mark.slow)]
)
async def test_a_detached_up_is_interrupted(world: World, at: bytes) -> None:
    """^C waits until the host process has put back what it had begun, and is told of it."""
    await deploy_twice(world)
    before = await snapshot(world)
    process = await world.start("up", "-d")
    assert process.stderr is not None
    async with asyncio.timeout(90):
        while at not in (line := await process.stderr.readline()):
            assert line, "it ended before"
        process.send_signal(signal.SIGINT)
        _, said = await process.communicate()
    assert process.returncode == 130, said
    assert b"putting deployment/web back: interrupted" in said
    await assert_as_before(world, before)
    assert host_processes(world) == []


@pytest.mark.slow
async def test_the_foreground_is_killed(world: World) -> None:
    await deploy_twice(world)
    before = await snapshot(world)
    assert (await dying(world, "up", step="command up: start container web #1")).code == KILLED
    await other_laptop(world).devcluster("down", "-n", world.namespace)
    await assert_as_before(world, before)


@pytest.mark.slow
async def test_without_the_file_the_host_process_is_asked(world: World) -> None:
    """The same laptop, another folder, no file: what runs here hands back and ends."""
    await deploy_twice(world)
    before = await snapshot(world)
    await world.devcluster("up", "-d")
    elsewhere = replace(world, folder=other_laptop(world).folder)
    await elsewhere.devcluster("down", "-n", world.namespace)
    assert host_processes(world) == []
    await assert_as_before(world, before)


@pytest.mark.slow
async def test_a_release_that_does_not_start_keeps_an_agent(world: World) -> None:
    """Our own part could not be undone, so this is 7; once it is mended the same command finishes it."""
    await deploy_twice(world)
    await world.devcluster("up", "-d")
    kill_host(world)
    await _change(world, "deployment", _release({"name": "web", "command": ["/not-there"]}))
    done = await world.devcluster("down", code=7)
    assert "still with an agent: web-" in done.stderr
    assert _MARK in " ".join(await world.cluster_leftovers())
    await _change(world, "deployment", _release({"name": "web", "command": None}))
    await world.devcluster("down")
    assert (world.docker_leftovers(), await world.cluster_leftovers()) == ([], [])
    await apply(world)
    assert await world.who(5) == {"original": 5}


def _release(container: Json) -> Json:
    return {"spec": {"template": {"spec": {"containers": [container]}}}}
