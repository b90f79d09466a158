"""Commands that name one of two workloads leave the other alone: its template, its containers, its agent."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
from typing import Any

import pytest

from devcluster.rules.container.docker_names import container_name
from tests.scenarios.laptops import host_processes
from tests.scenarios.world import World

Json = dict[str, Any]

_BOTH = ("web", "api")


def _write(world: World, web: str = "environment: {IDENTITY: local}") -> None:
    world.write(
        f"name: shop\nnamespace: {world.namespace}\nworkloads:\n"
        f"  web: {{{web}}}\n  api: {{environment: {{IDENTITY: local-api}}}}\n"
    )


def _started(world: World, key: str) -> tuple[str, str]:
    """The local container's id, and since when its process runs."""
    command = ["docker", "inspect", "-f", "{{.Id}} {{.State.StartedAt}}", container_name(world.project, key)]
    found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.split()
    return found[0], found[1]


async def _agent(world: World, key: str) -> list[str]:
    pods = (await world.cluster.list("pod", world.namespace, selector=f"app={key}")).items
    return sorted(pod["metadata"]["uid"] for pod in pods if not pod["metadata"].get("deletionTimestamp"))


@pytest.fixture
async def both(world: World) -> World:
    for name in _BOTH:
        await world.deploy(name)
    _write(world)
    return world


@pytest.mark.slow
async def test_one_of_two(both: World) -> None:
    world = both
    before = {name: await world.template(name) for name in _BOTH}
    plan = (await world.devcluster("plan")).stdout
    assert (await world.devcluster("up", "--dry-run")).stdout == plan
    assert {name: await world.template(name) for name in _BOTH} == before
    assert await world.cluster_leftovers() == world.docker_leftovers() == []

    done = await world.devcluster("-q", "up", "-d", "web")
    assert done.stderr == ""
    assert await world.template("api") == before["api"]
    assert (await world.status("api"))["state"] == "absent"
    assert await world.who(5) == {"local": 5}
    assert "web | http listening" in (await world.devcluster("logs")).stdout  # of those that there are
    for words in (("logs", "api"), ("restart", "api")):
        refused = await world.devcluster(*words, code=2)
        assert "api " in refused.stderr
        assert "`devcluster up" in refused.stderr

    await _restart(world)
    web = _started(world, "web")
    rows = (await world.devcluster("up", "-d", "-o", "json")).json["workloads"]
    assert {row["name"]: row["outcome"] for row in rows} == {"web": "unchanged", "api": "created"}
    assert _started(world, "web") == web

    logs = (await world.devcluster("logs", "web", "api")).stdout.splitlines()
    assert {line.partition(" | ")[0].strip() for line in logs} == {"web", "api"}
    lines = (await world.devcluster("logs", "-o", "json")).json["lines"]
    assert {line["workload"] for line in lines} == {"web", "api"}
    assert any(line["line"].startswith("http listening") for line in lines)
    only = (await world.devcluster("logs", "api")).stdout.splitlines()
    assert {line.partition(" | ")[0].strip() for line in only} == {"api"}
    assert _steady((await world.devcluster("ps", "-o", "json")).json) == _steady(
        (await world.devcluster("status", "-o", "json")).json
    )

    api = _started(world, "api")
    await _in_vain(world)
    await world.devcluster("leave", "web")
    assert (await world.status("web"))["state"] == "agent-installed"
    refused = await world.devcluster("down", "wbe", code=2)
    assert "has no workload 'wbe'" in refused.stderr
    assert "did you mean web?" in refused.stderr
    world.write(f"name: shop\nnamespace: {world.namespace}\nworkloads: {{api: {{}}}}\n")
    await world.devcluster("down", "web", "--timeout", "90")  # it has been taken out of the file, and named
    _write(world)
    assert await world.template("web") == before["web"]
    assert await world.who(5) == {"original": 5}
    assert _started(world, "api") == api
    assert await world.who(5, "api") == {"local-api": 5}


async def _restart(world: World) -> None:
    """The same container with a new process; the agent does not notice."""
    container, since = _started(world, "web")
    agent = await _agent(world, "web")
    (row,) = (await world.devcluster("restart", "web", "-o", "json")).json["workloads"]
    assert (row["name"], row["outcome"]) == ("web", "restarted")
    again, later = _started(world, "web")
    assert again == container
    assert later > since
    assert await _agent(world, "web") == agent
    assert await world.who(5) == {"local": 5}


async def _in_vain(world: World) -> None:
    """An edit that never gets healthy ends with --timeout, and its workload with its original."""
    _write(world, "environment: {IDENTITY: local}, command: [http, ':9999']")
    failed = await world.devcluster("--timeout", "3s", "up", "-d", code=1)
    assert "is not healthy after 3 s" in failed.stderr
    assert "deployment/web was put back" in failed.stderr
    assert await world.who(5) == {"original": 5}
    assert await world.who(5, "api") == {"local-api": 5}
    _write(world)
    await world.devcluster("up", "-d")
    assert await world.who(5) == {"local": 5}


def _steady(status: Json) -> Json:
    """Without what is measured anew each time."""
    text = json.loads(json.dumps(status))
    for row in text["workloads"]:
        for pod in row["pods"]:
            pod["rtt_ms"] = None
    return dict(text)


async def test_one_that_fails_leaves_nothing_held_by_a_process_that_ends(both: World) -> None:
    """`api` ends at once.  In the foreground `web` is put back with it; with -d it stays, and is named."""
    world = both
    world.write(
        f"name: shop\nnamespace: {world.namespace}\nworkloads:\n"
        "  web: {environment: {IDENTITY: local}}\n  api: {command: [serve, wrong]}\n"
    )
    before = {name: await world.template(name) for name in _BOTH}
    failed = await world.devcluster("up", "-o", "json", code=1)
    error = failed.json["error"]
    assert 'unknown mode "wrong"' in error["hint"]
    assert "deployment/api was put back" in error["message"]
    assert "deployment/web was put back, too" in error["message"]
    assert {name: await world.template(name) for name in _BOTH} == before
    assert await world.cluster_leftovers() == world.docker_leftovers() == []
    assert await world.who(5) == {"original": 5}

    failed = await world.devcluster("up", "-d", code=1)
    assert "deployment/api was put back" in failed.stderr
    assert "these succeeded: web created" in failed.stderr
    assert await world.template("api") == before["api"]
    assert await world.who(5) == {"local": 5}
    assert await world.who(5, "api") == {"original": 5}


@pytest.mark.slow
async def test_up_ends_when_nobody_reads_it_any_more(both: World) -> None:
    """As `devcluster up | head -1` has it."""
    world = both
    process = await world.start("-q", "up", "web")
    assert process.stdout is not None
    async with asyncio.timeout(180):
        while b"created" not in (line := await process.stdout.readline()):
            assert line, "it ended before"
        process.stdout._transport.close()  # type: ignore[attr-defined]
        while process.returncode is None:  # the next line of the log finds nobody
            await world.ask("client", "http", "-n", "1", "-url", "http://web/")
            await asyncio.sleep(0.2)
    assert process.returncode == 0
    assert (await world.status())["state"] == "agent-installed"
    assert await world.who(5) == {"original": 5}


@pytest.mark.slow
async def test_an_interrupt_puts_back_what_was_ready_already(both: World) -> None:
    """One is attached, the other never gets healthy: ^C of `up -d` leaves neither."""
    world = both
    never = "healthcheck: {test: [CMD, /app, nothing], interval: 1s, start_period: 10m}"
    world.write(f"name: shop\nnamespace: {world.namespace}\nworkloads:\n  web: {{}}\n  api: {{{never}}}\n")
    before = {name: await world.template(name) for name in _BOTH}
    process = await world.start("up", "-d")
    asked = asyncio.ensure_future(process.communicate())
    async with asyncio.timeout(180):
        while (await world.status())["state"] != "attached":
            assert not asked.done(), asked.result()
            await asyncio.sleep(0.2)
        process.send_signal(signal.SIGINT)
        _, said = await asked
    assert process.returncode == 130, said
    assert host_processes(world) == []
    assert {name: await world.template(name) for name in _BOTH} == before
    assert await world.cluster_leftovers() == world.docker_leftovers() == []
