"""What a user does while the Docker engine is away, and what a foreground `up` shows once it is back."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.edge.cluster_world import node_of
from tests.faults.faults import Stage
from tests.faults.matrix import open_stage, undo
from tests.scenarios.trees import pod_files
from tests.scenarios.world import load_app

pytestmark = [
    pytest.mark.skipif(shutil.which("dockerd") is None, reason="a second engine needs dockerd here"),
    pytest.mark.slow,
]
_GUARD = 60.0


@pytest.fixture(scope="session")
def app(kubeconfig: Path) -> str:
    return load_app(kubeconfig)


@pytest.fixture
async def stage(kubeconfig: Path, app: str, tmp_path: Path) -> AsyncIterator[Stage]:
    async with open_stage(kubeconfig, tmp_path, app, own_engine=True) as opened:
        yield opened


async def test_down_puts_the_cluster_back_at_once_and_docker_later(stage: Stage) -> None:
    world, engine = stage.world, stage.engine
    assert engine is not None
    await engine.stop()
    done = await world.devcluster("down", code=5)
    assert "Docker" in done.stderr
    assert await world.template() == stage.template
    assert await world.cluster_leftovers() == []
    assert await world.who() == {"original": 20}
    await engine.start()
    assert world.docker_leftovers() != []
    assert await undo(stage) == ()


async def test_leave_hands_back_and_what_is_left_alone_stays_so(stage: Stage) -> None:
    world, engine = stage.world, stage.engine
    assert engine is not None
    await engine.stop()
    await world.devcluster("leave")
    assert await world.who() == {"original": 20}
    await engine.start()
    assert (await world.status())["state"] == "agent-installed"
    await world.devcluster("up", "-d")
    assert await world.who() == {"local": 20}
    assert await undo(stage) == ()


async def test_a_foreground_up_goes_on_with_its_log(stage: Stage) -> None:
    world, engine = stage.world, stage.engine
    assert engine is not None
    await world.devcluster("leave")
    process = await world.start("up")
    assert process.stdout is not None
    try:
        before = await _listening(process.stdout)
        await engine.stop()
        await engine.start()
        assert await _listening(process.stdout) == before
        assert (await world.who(1)).keys() <= {"local", "original"}
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(_GUARD):
            rest, _ = await process.communicate()
        assert b"listening" not in rest  # nothing is shown twice
        assert process.returncode == 130
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    assert await undo(stage) == ()


async def test_a_live_volume_goes_on_from_what_both_sides_had(stage: Stage) -> None:
    """What was written meanwhile on either side travels, and nothing else does."""
    world, engine, node = stage.world, stage.engine, node_of(stage.kubeconfig)
    assert engine is not None
    container = {"volumeMounts": [{"name": "data", "mountPath": "/data"}]}
    await world.deploy("vol", container=container, pod={"volumes": [{"name": "data", "emptyDir": {}}]})
    vol = "  vol:\n    volumes: {data: {mode: sync}}\n    environment: {IDENTITY: local}\n"
    world.write((world.folder / "devcluster.yaml").read_text() + vol)
    await world.devcluster("up", "-d")
    pod = await pod_files(world, node, "vol")
    pod.shell("for n in $(seq 20); do echo $n > data/$n; done")
    copies = engine.folder / "data" / "volumes"
    (here,) = (it / "_data" for it in copies.glob("*vol__data"))
    await _until(lambda: (here / "20").exists())
    await world.devcluster("sync", "vol")
    inodes = {it.name: it.stat().st_ino for it in here.iterdir()}
    await engine.stop(signal.SIGKILL)
    pod.shell("echo theirs > data/1; echo theirs > data/both; rm data/2")
    (here / "3").write_text("mine\n")
    (here / "both").write_text("mine\n")
    await engine.start()
    await world.until_attached(1, "vol")
    await _until(lambda: pod.shell("cat data/3") == "mine\n" and (here / "1").read_text() == "theirs\n")
    left = await world.devcluster("sync", "vol", code=7)
    assert "/data/both (changed on both sides)" in left.stderr
    assert (here / "both").read_text() + pod.shell("cat data/both") == "mine\ntheirs\n"
    assert not (here / "2").exists()
    same = {name: it for name, it in inodes.items() if name not in ("1", "2", "3")}
    assert {name: (here / name).stat().st_ino for name in same} == same
    await world.devcluster("sync", "vol", "--keep", "pod", "/data/both")
    assert await undo(stage) == ()


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(_GUARD):
        while not await asyncio.to_thread(holds):
            await asyncio.sleep(0.1)


async def _listening(stream: asyncio.StreamReader) -> set[bytes]:
    """What the application says as it starts: a line for each of its three ports."""
    found: set[bytes] = set()
    async with asyncio.timeout(_GUARD):
        async for line in stream:
            if b"listening" in line:
                assert line not in found
                found.add(line)
            if len(found) == 3:
                return found
    raise AssertionError("the stream ended")
