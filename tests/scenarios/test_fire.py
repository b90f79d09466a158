"""Undo under fire: the process is killed with SIGKILL after each single step of ``up`` and of ``down``.

Whatever step it was, one ``down`` brings everything back: from the same laptop, and from another one that
has no file.  The lists below are the steps, and a test of its own holds them against
what the command does, so that none is left out.  An ordinary run walks some of them, a slow one all.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from devcluster.edge.kube.agent import load_binary
from devcluster.errors import FailedError
from tests.scenarios.fire import (
    assert_as_before,
    deploy_twice,
    down_anywhere,
    dying,
    host_processes,
    kill_host,
    other_laptop,
    snapshot,
)
from tests.scenarios.world import World

KILLED = -9
_WRITES = ("patch", "delete")


def _chunks() -> int:
    """How many ConfigMaps the agent takes; 1 where it is not built, for those who only collect."""
    try:
        return load_binary().chunks
    except FailedError:
        return 1


def _steps(prefix: str, *groups: tuple[str, int]) -> tuple[str, ...]:
    return tuple(f"{prefix}: {what} #{number + 1}" for what, count in groups for number in range(count))


UP = _steps(
    "host up",
    ("create configmaps", _chunks()),
    ("create secrets", 1),
    ("patch deployments", 1),
    ("patch services", 1),
    ("patch secrets", 1),
    ("tell the agent to hold", 1),
    ("create network", 1),
    ("create container web__netns", 1),
    ("start container web__netns", 1),
    ("create container web__gateway", 1),
    ("start container web__gateway", 1),
    ("create volume web__service-account-token", 1),
    ("start container web__service-account-token-files", 4),
    ("fill volume web__service-account-token", 1),
    ("remove container web__service-account-token-files", 2),
    ("create container web", 1),
    ("start container web", 1),
    ("tell the agent to take", 1),
    ("tell the agent to stop", 1),
)
_REMOVAL = (
    ("patch services", 2),
    ("patch deployments", 3),
    ("delete replicasets", 1),
    ("patch replicasets", 1),
    ("delete secrets", 1),
    ("delete configmaps", _chunks()),
)
_VOLUMES = (
    ("start container web__service-account-token-files", 2),
    ("remove container web__service-account-token-files", 1),
    ("remove volume web__service-account-token", 1),
)
# `down` while the host process lives: it does the most of it, the command the rest.
DOWN = (
    *_steps("host down", *_REMOVAL, ("stop container", 1), ("remove container web__gateway", 1)),
    *_steps("host down", ("remove container", 2), ("remove network", 1)),
    *_steps("command down", *_VOLUMES),
)
# `down` after the host process has died: the command does all of it.
ALONE = _steps(
    "command down",
    *_REMOVAL,
    ("remove container", 3),
    ("remove network", 1),
    *_VOLUMES,
)
LEAVE = _steps(
    "host leave",
    ("tell the agent to release", 1),
    ("stop container", 1),
    ("remove container web__gateway", 1),
    ("patch secrets", 1),
)
AGAIN = ("host up: start container web #1",)
# What an ordinary run walks, turn by turn from the same laptop and from another one.
SOME = (
    "host up: create secrets #1",
    "host up: start container web #1",
    "host down: patch deployments #1",
)


def _marked(steps: Iterable[str], quick: Iterable[str]) -> list[Any]:
    return [pytest.param(step, marks=() if step in quick else (pytest.mark.slow,), id=step) for step in steps]


def _cases(steps: Iterable[str]) -> list[Any]:
    """Each step with each laptop."""
    cases = []
    for step in steps:
        for where in ("same", "other"):
            quick = step in SOME and where == ("same", "other")[SOME.index(step) % 2]
            marks = () if quick else (pytest.mark.slow,)
            cases.append(pytest.param(step, where, marks=marks, id=f"{step}, {where}"))
    return cases


@pytest.mark.slow
async def test_the_lists_are_complete(world: World) -> None:
    await deploy_twice(world)
    before = await snapshot(world)
    seen = {}
    for name, dies in (("down", False), ("alone", True)):
        record = world.folder / name
        assert (await dying(world, "up", "-d", step="", record=record)).code == 0
        if dies:
            kill_host(world)
        assert (await dying(world, "down", step="", record=record)).code == 0
        await assert_as_before(world, before)
        seen[name] = sorted(record.read_text().splitlines())
    assert seen["down"] == sorted([*UP, *DOWN])
    assert seen["alone"] == sorted([*UP, *ALONE])


@pytest.mark.parametrize(("step", "where"), _cases(UP))
async def test_killed_in_up(world: World, step: str, where: str) -> None:
    await deploy_twice(world)
    before = await snapshot(world)
    done = await dying(world, "up", "-d", step=step)
    assert done.code == 7, done
    assert "the host process ended" in done.stderr
    assert "devcluster down" in done.stderr
    assert host_processes(world) == []
    await down_anywhere(world, where)
    await assert_as_before(world, before)


@pytest.mark.parametrize("step", _marked([step for step in DOWN if "host" in step], ()))
async def test_the_command_goes_on_where_its_host_process_was_killed(world: World, step: str) -> None:
    await deploy_twice(world)
    before = await snapshot(world)
    assert (await dying(world, "up", "-d", step=step)).code == 0
    await world.devcluster("down")
    assert host_processes(world) == []
    await assert_as_before(world, before)


@pytest.mark.parametrize(("step", "where"), _cases(DOWN))
async def test_killed_in_down(world: World, step: str, where: str) -> None:
    """Where the host process is killed the command is, too, before it goes on in its place."""
    await deploy_twice(world)
    before = await snapshot(world)
    assert (await dying(world, "up", "-d", step=step)).code == 0
    by_host = step.startswith("host")
    done = await dying(
        world, "down", step="command down: !" if by_host else step, when="before" if by_host else "after"
    )
    assert done.code == KILLED or (by_host and done.code == 0), done
    await down_anywhere(world, where)
    await assert_as_before(world, before)


@pytest.mark.parametrize(("step", "where"), _cases(ALONE))
async def test_killed_in_down_alone(world: World, step: str, where: str) -> None:
    await deploy_twice(world)
    before = await snapshot(world)
    assert (await dying(world, "up", "-d", step="")).code == 0
    kill_host(world)
    assert (await dying(world, "down", step=step)).code == KILLED
    await down_anywhere(world, where)
    await assert_as_before(world, before)


@pytest.mark.parametrize("step", _marked(UP, AGAIN))
async def test_up_again_where_it_was_killed(world: World, step: str) -> None:
    """Nobody is blocked by one's own crash."""
    await deploy_twice(world)
    before = await snapshot(world)
    assert (await dying(world, "up", "-d", step=step)).code == 7
    await world.devcluster("up", "-d")
    assert await world.who(10) == {"local": 10}
    await world.devcluster("down")
    await assert_as_before(world, before)


@pytest.mark.slow
@pytest.mark.parametrize("step", LEAVE)
async def test_killed_in_leave(world: World, step: str) -> None:
    await deploy_twice(world)
    before = await snapshot(world)
    assert (await dying(world, "up", "-d", step=step)).code == 0
    assert (await dying(world, "leave", step="")).code == 7
    await other_laptop(world).devcluster("down", "-n", world.namespace)
    await assert_as_before(world, before)


@pytest.mark.slow
async def test_down_that_is_killed_again_and_again(world: World) -> None:
    """Each `down`, in turn from either laptop, dies at its first write to the cluster."""
    await deploy_twice(world)
    before = await snapshot(world)
    assert (await dying(world, "up", "-d", step="")).code == 0
    kill_host(world)
    record, steps = world.folder / "record", [step for step in ALONE if step.split()[2] in _WRITES]
    for turn in range(len(steps)):
        laptop = other_laptop(world) if turn % 2 else world
        done = await dying(laptop, "down", "-n", world.namespace, step="command down: !", record=record)
        assert done.code == KILLED, (turn, record.read_text())
    await world.devcluster("down")
    await assert_as_before(world, before)
