"""What a terminal shows of `up`, `leave` and `down`.  Elsewhere are lines, which other scenarios read."""

from __future__ import annotations

import asyncio
import re
import sys

import pytest

from tests.scenarios.world import World
from tests.terminal import Seen, run_in_terminal

_STYLE = re.compile(rb"\x1b\[[0-9;]*m")
_TIME = re.compile(r"\((?:\d+\.\d s|\d+:\d\d min)\)")


async def _in_terminal(world: World, *words: str, width: int, **environ: str) -> Seen:
    """The command with a terminal for all its streams."""
    unset = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES")
    kept = {name: value for name, value in world.environ.items() if name not in unset}
    command = [sys.executable, "-m", "devcluster", *words]
    environment = kept | {"TERM": "xterm-256color"} | environ
    return await asyncio.to_thread(
        run_in_terminal, command, world.folder, environment, width=width, timeout=150
    )


async def test_progress_is_a_row_on_a_terminal(world: World) -> None:
    data = {f"file-{number}": "x" * 20_000 for number in range(20)}
    body = {"metadata": {"name": "settings"}, "data": data}
    await world.cluster.create("configmap", body, world.namespace, manager="tester")
    await world.deploy(
        container={"volumeMounts": [{"name": "config", "mountPath": "/etc/app"}]},
        pod={"volumes": [{"name": "config", "configMap": {"name": "settings"}}]},
    )
    world.write(f"name: shop\nnamespace: {world.namespace}\nworkloads:\n  web: {{}}\n")

    wide = await _in_terminal(world, "up", "-d", width=130)
    assert wide.code == 0
    text = _TIME.sub("(T)", "\n".join(wide.lines))
    assert "[web] wait until every pod of deployment/web runs its agent (T)\n" in text
    assert re.search(r"\[web\] copy the pod's volumes: 23 files, \d+\.\d KiB \(T\)\n", text), (
        text
    )  # the token's 3
    assert "stopped" not in text
    assert any(line.startswith("web  created  deployment/web is answered by") for line in wide.lines)
    rows = {line for moment in wide.moments for line in moment if re.search(r"  \d+\.\d s$", line)}
    assert any(row.startswith("[web] wait until every pod") for row in rows)  # a row while it was at work
    assert any(" of 23 files" in row and " % " in row and " KiB of " in row for row in rows)
    assert _STYLE.search(wide.raw)

    quiet = await _in_terminal(world, "leave", "--quiet", width=80)
    assert (quiet.code, quiet.lines) == (0, ("web  left  deployment/web",))

    narrow = await _in_terminal(world, "down", width=40, NO_COLOR="1")
    assert narrow.code == 0
    assert not _STYLE.search(narrow.raw)
    rows = {line for moment in narrow.moments for line in moment if re.search(r" \d+\.\d s$", line)}
    assert any(row.startswith("[web] restore the pod") for row in rows)
    assert _TIME.sub("(T)", "".join(narrow.lines)).endswith("(T)web  put back  deployment/web")


@pytest.mark.slow
async def test_sync_is_a_row_too(world: World) -> None:
    mounts = [{"name": "data", "mountPath": "/data"}]
    pod = {"volumes": [{"name": "data", "emptyDir": {}}]}
    await world.deploy(container={"volumeMounts": mounts}, pod=pod)
    world.write(
        f"name: shop\nnamespace: {world.namespace}\nworkloads:\n  web:\n"
        "    environment: {IDENTITY: local}\n    volumes: {data: {mode: sync}}\n"
    )
    await world.devcluster("up", "-d")
    seen = await _in_terminal(world, "sync", width=130)
    assert seen.code == 0
    lines = [_TIME.sub("(T)", line) for line in seen.lines]
    assert lines == ["[web] bring over what was written to the volumes (T)", "web  synced  data: 0 files"]
    row = re.compile(r"\[web\] bring over what was written to the volumes +\d+\.\d s")
    assert any(row.fullmatch(line) for moment in seen.moments for line in moment)

    await world.devcluster("down")
    assert world.docker_leftovers() == []
