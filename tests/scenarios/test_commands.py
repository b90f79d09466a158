"""What the commands say of a workload in each of its states, judged beside what stands in the cluster."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
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


_VALUES = {
    "PLAIN": "planted-1 a=b=c",
    "LINES": "planted-2 one\ntwo\n",
    "QUOTES": "planted-3 'single' \"double\" \\back",
    "DOLLAR": "planted-4 $HOME ${X} $",
    "UNICODE": "planted-5 žluťoučký 🐎",
    "EMPTY": "",
}


def _files_with(folder: Path, word: bytes) -> list[str]:
    return [str(path) for path in folder.rglob("*") if path.is_file() and word in path.read_bytes()]


def _command_lines_with(word: bytes) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if word in path.read_bytes():
                found.append(str(path))
        except OSError:
            continue
    return found


def _told_by_docker(world: World, role: str) -> str:
    """What Docker says of the container and what the container has said."""
    (container,) = world.containers("web", role)
    asked = [["docker", "inspect", container], ["docker", "logs", container]]
    return "".join(
        done.stdout + done.stderr
        for done in (subprocess.run(words, capture_output=True, text=True, check=True) for words in asked)
    )


def _environ_of_local(world: World) -> list[bytes]:
    """As the kernel gave it to the application itself."""
    command = ["docker", "ps", "-q", "--filter", f"label=devcluster.project={world.project}"]
    command += ["--filter", "label=devcluster.role=workload"]
    (found,) = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    command = ["docker", "inspect", "--format", "{{.State.Pid}}", found]
    pid = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")


async def test_the_environment_arrives_byte_for_byte_and_is_told_to_nobody(world: World) -> None:
    env = [{"name": "IDENTITY", "value": "original"}, {"name": "GONE", "value": "planted-6"}]
    env += [{"name": name, "value": value} for name, value in _VALUES.items()]
    await world.deploy(container={"env": env})
    world.write(
        f"name: shop\nnamespace: {world.namespace}\nworkloads:\n  web:\n"
        "    environment: {IDENTITY: local, MINE: planted-7}\n    env: {exclude: [GO*]}\n"
    )
    said = [await world.devcluster("--verbose", "up", "-d")]
    assert _command_lines_with(b"planted-") == []
    raw = _environ_of_local(world)
    got = dict(item.decode().split("=", 1) for item in raw if item)
    assert {name: got[name] for name in _VALUES} == _VALUES
    assert (got["IDENTITY"], got["MINE"]) == ("local", "planted-7")
    assert "GONE" not in got
    told = (await world.devcluster("env", "web", "--format", "json")).stdout
    assert {name: json.loads(told)[name] for name in _VALUES} == _VALUES
    for words in (("status",), ("status", "-o", "json"), ("plan",), ("config",), ("--verbose", "up", "-d")):
        said.append(await world.devcluster(*words))
    assert _files_with(world.folder / "state", b"planted-") == []  # journal, the host process' log, manifests
    assert "journal.jsonl" in {path.name for path in (world.folder / "state").rglob("*")}
    assert "planted-" not in _told_by_docker(world, "netns") + _told_by_docker(world, "gateway")
    assert "planted-" in _told_by_docker(world, "workload")  # as of any container
    events = await world.cluster.list("event", world.namespace)
    assert events.items
    assert "planted-" not in json.dumps(events.items)
    said.append(await world.devcluster("--verbose", "down"))
    assert [one for one in said if "planted-" in one.stdout + one.stderr] == []
    assert _files_with(world.folder / "state", b"planted-") == []
