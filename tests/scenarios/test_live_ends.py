"""Live volumes where something ends: the command, a pod, the space in the pod; and whose folder it is."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import shutil
import signal
import stat
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.edge.cluster_world import node_of
from tests.scenarios.trees import PodFiles, pod_files
from tests.scenarios.world import Json, World, open_world

pytestmark = pytest.mark.slow
_GUARD = 30.0
_USER = 1234
_USER_WORDS = ("setpriv", f"--reuid={_USER}", f"--regid={_USER}")


async def _claim(world: World) -> Json:
    """A volume of a claim that is made."""
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "64Mi"}}}
    body: Json = {"metadata": {"name": "data"}, "spec": spec}
    await world.cluster.create("persistentvolumeclaim", body, world.namespace, manager="tester")
    return {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}


def _write(world: World, volumes: str) -> None:
    world.write(
        f"name: shop\nnamespace: {world.namespace}\nworkloads:\n  web:\n"
        f"    environment: {{IDENTITY: local}}\n    volumes:\n      {volumes}\n"
    )


async def _pods(world: World, node: str) -> dict[str, PodFiles]:
    """Those that stay, by name."""
    items = (await world.cluster.list("pod", world.namespace, selector="app=web")).items
    staying = [it["metadata"]["name"] for it in items if not it["metadata"].get("deletionTimestamp")]
    return {name: PodFiles(node, name) for name in staying}


def _put(world: World, path: str, text: str) -> None:
    done = world.in_local("web", "/app", "put", path, text)
    assert done.returncode == 0, done.stderr


def _has(files: PodFiles, path: str, text: str) -> bool:
    seen = files.look(path).get(path, {})
    return bool(seen.get("sha256") == hashlib.sha256(text.encode()).hexdigest())


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(_GUARD):
        while not await asyncio.to_thread(holds):
            await asyncio.sleep(0.1)


@contextlib.asynccontextmanager
async def _foreground(world: World) -> AsyncIterator[asyncio.subprocess.Process]:
    """`up`, once it is attached."""
    process = await world.start("up")
    try:
        await world.until_attached(1)
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()


async def _interrupt(process: asyncio.subprocess.Process) -> str:
    """What it says after ^C."""
    process.send_signal(signal.SIGINT)
    async with asyncio.timeout(120):
        _, err = await process.communicate()
    return err.decode()


async def test_ctrl_c_brings_over_what_is_under_way_and_names_what_it_could_not(
    world: World, kubeconfig: Path
) -> None:
    node = node_of(kubeconfig)
    await world.deploy(
        container={"volumeMounts": [{"name": "data", "mountPath": "/data"}]},
        pod={"volumes": [await _claim(world)]},
    )
    _write(world, "data: {mode: sync}")
    async with _foreground(world) as process:
        for number in range(30):
            _put(world, f"/data/{number}", f"{number}")
        said = await _interrupt(process)
        assert process.returncode == 130, said
        assert "bring over the last of it" in said
    pod = await pod_files(world, node)
    assert all(_has(pod, f"/data/{number}", f"{number}") for number in range(30))

    async with _foreground(world) as process:
        (engine,) = world.containers("web", "sync")
        await asyncio.to_thread(world.engine, "pause", engine)
        _put(world, "/data/1", "mine")
        _put(world, "/data/2", "mine too")
        pod.shell("echo theirs > data/1")
        await asyncio.to_thread(world.engine, "unpause", engine)
        said = await _interrupt(process)
        assert process.returncode == 7, said
        assert "/data/1 (changed on both sides)" in said
        assert "`devcluster up` goes on with it" in said
    assert _has(pod, "/data/1", "theirs\n")
    assert _has(pod, "/data/2", "mine too")
    await world.devcluster("up", "-d")
    await world.devcluster("sync", "web", "--keep", "laptop", "/data/1")
    assert _has(pod, "/data/1", "mine")
    await world.devcluster("down")
    assert world.docker_leftovers() == []


async def test_of_several_pods_one_is_synced_and_another_when_that_goes(
    world: World, kubeconfig: Path
) -> None:
    """Its claim is the same one, its emptyDir another: what the laptop has is sent there, nothing here is
    deleted, and what the laptop wrote is not replaced by what the other pod brings along."""
    node = node_of(kubeconfig)
    mounts = [{"name": "data", "mountPath": "/data"}, {"name": "scratch", "mountPath": "/scratch"}]
    volumes = [await _claim(world), {"name": "scratch", "emptyDir": {}}]
    await world.deploy(replicas=2, container={"volumeMounts": mounts}, pod={"volumes": volumes})
    _write(world, "{data: {mode: sync}, scratch: {mode: sync}}")
    await world.devcluster("up", "-d")
    await world.until_attached(2)
    pods = await _pods(world, node)
    _put(world, "/data/a", "to the claim")
    _put(world, "/scratch/a", "to one pod")
    _put(world, "/scratch/set", "mine")
    await _until(lambda: any(_has(pod, "/scratch/set", "mine") for pod in pods.values()))
    (synced,) = (name for name, pod in pods.items() if pod.look("/scratch/a"))
    await _until(lambda: all(_has(pod, "/data/a", "to the claim") for pod in pods.values()))
    (other,) = (pod for name, pod in pods.items() if name != synced)
    other.shell("echo its own > scratch/set; echo its own > scratch/other")

    await world.cluster.delete("pod", synced, world.namespace)
    await _until(lambda: _has(other, "/scratch/a", "to one pod"))
    await world.until_attached(2)
    row = await world.until_status(lambda row: row["volumes"][1]["pending"] == 0, guard=30)
    assert [it["path"] for volume in row["volumes"] for it in volume["conflicts"]] == ["/scratch/set"]
    here = world.in_local("web", "/app", "look", "/data", "/scratch").stdout
    assert all(f'"{path}"' in here for path in ("/data/a", "/scratch/a", "/scratch/set", "/scratch/other"))
    await world.devcluster("sync", "web", "--keep", "laptop", "/scratch/set")
    assert _has(other, "/scratch/set", "mine")
    _put(world, "/data/a", "still the claim")
    await _until(lambda: _has(other, "/data/a", "still the claim"))
    await world.devcluster("down")
    assert world.docker_leftovers() == []


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder of a user who is not root."""
    with tempfile.TemporaryDirectory(prefix="devcluster-home-") as name:
        os.chown(name, _USER, _USER)
        yield Path(name)


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("setpriv") is None, reason="needs root to be another")
async def test_a_folder_of_a_user_who_is_not_root(kubeconfig: Path, app: str, home: Path) -> None:
    """`path:`: the user, and the container as its own user, both read and write what the other made."""
    shutil.copy(kubeconfig, home / "kubeconfig")
    os.chown(home / "kubeconfig", _USER, _USER)
    group = os.stat("/var/run/docker.sock").st_gid
    sees_all = (
        "--inh-caps=+dac_read_search",
        "--ambient-caps=+dac_read_search",
    )  # where Python is root's own
    user = (*_USER_WORDS, f"--groups={group}", *sees_all, "--")
    async with open_world(kubeconfig, home, app) as opened:
        nameless = ("LOGNAME", "USER", "LNAME", "USERNAME")  # as in a container
        environ = {name: value for name, value in opened.environ.items() if name not in nameless}
        environ |= {"HOME": str(home), "KUBECONFIG": str(home / "kubeconfig")}
        world = replace(opened, before=user, environ=environ)
        await _share_a_folder(world, node_of(kubeconfig), home)


async def _share_a_folder(world: World, node: str, home: Path) -> None:
    await world.deploy(
        container={
            "volumeMounts": [{"name": "data", "mountPath": "/data"}],
            "securityContext": {"runAsUser": 33, "runAsGroup": 33},
        },
        pod={"volumes": [await _claim(world)]},
    )
    pod = await pod_files(world, node)
    pod.shell("mkdir -p data/d; echo theirs > data/d/it; chmod 600 data/d/it; chown -R 33:33 data")
    _write(world, "data: {mode: sync, path: ./files}")
    await world.devcluster("up", "-d")
    pod = await pod_files(world, node)
    folder = home / "files"
    assert await _as_user(world, "cat", "files/d/it") == "theirs\n"
    await _as_user(world, "sh", "-c", "echo mine > files/d/it; echo new > files/d/new; mkdir files/d/e")
    await _until(lambda: _has(pod, "/data/d/it", "mine\n") and _has(pod, "/data/d/new", "new\n"))
    seen = pod.look("/data/d")
    assert {(it["uid"], it["gid"]) for it in seen.values()} == {(33, 33)}
    assert seen["/data/d/it"]["mode"] == "-rw-------"
    _put(world, "/data/d/new", "by the container")  # as user 33
    _put(world, "/data/d/e/deep", "by the container")
    await _until(lambda: _has(pod, "/data/d/e/deep", "by the container"))
    await _until(lambda: _has(pod, "/data/d/new", "by the container"))
    assert await _as_user(world, "cat", "files/d/new", "files/d/e/deep") == "by the container" * 2
    await _as_user(world, "sh", "-c", "echo more >> files/d/e/deep; rm files/d/new")
    await _until(lambda: not pod.look("/data/d/new"))
    pod.shell("echo again > data/d/e/deep; echo late > data/d/late; chown 33:33 data/d/late")
    await _until(lambda: (folder / "d" / "late").exists())
    await _as_user(world, "sh", "-c", "echo more >> files/d/late")
    await _until(lambda: _has(pod, "/data/d/late", "late\nmore\n"))
    assert stat.S_IMODE((folder / "d").stat().st_mode) & 0o070 == 0o070
    await world.devcluster("down")
    assert await _as_user(world, "cat", "files/d/late") == "late\nmore\n"
    await _as_user(world, "rm", "-r", "files/d")
    assert world.docker_leftovers() == []


async def _as_user(world: World, *words: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *_USER_WORDS,
        "--clear-groups",
        *words,
        cwd=world.folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


async def test_a_full_disk_in_the_pod_is_named_and_the_rest_goes_on(world: World, kubeconfig: Path) -> None:
    node = node_of(kubeconfig)
    volume = {"name": "small", "emptyDir": {"medium": "Memory", "sizeLimit": "256Ki"}}
    mounts = [{"name": "small", "mountPath": "/small"}]
    await world.deploy(container={"volumeMounts": mounts}, pod={"volumes": [volume]})
    _write(world, "small: {mode: sync}")
    await world.devcluster("up", "-d")
    pod = await pod_files(world, node)
    pod.shell("head -c 200000 /dev/urandom > small/theirs")
    await _until(lambda: "/small/theirs" in world.in_local("web", "/app", "look", "/small").stdout)
    large = "x" * 100_000
    _put(world, "/small/large", large)
    _put(world, "/small/little", "fits")
    await _until(lambda: _has(pod, "/small/little", "fits"))
    row = await world.until_status(lambda row: bool(row["volumes"][0]["problems"]), guard=30)
    full = {"path": "/small/large", "why": "no space is left in the pod"}
    assert row["volumes"][0]["problems"] == [full]
    left = await world.devcluster("sync", code=7)
    assert "/small/large (no space is left in the pod)" in left.stderr
    pod.shell("rm small/theirs")
    await _until(lambda: _has(pod, "/small/large", large))
    await world.devcluster("down")
    assert world.docker_leftovers() == []


async def test_a_rewritten_file_follows_a_service_after_leave(world: World, kubeconfig: Path) -> None:
    """Nothing is sent because of it."""
    node = node_of(kubeconfig)
    await world.deploy(
        container={"volumeMounts": [{"name": "data", "mountPath": "/data"}]},
        pod={"volumes": [await _claim(world)]},
    )
    config = "define( 'DB_HOST', 'late' );\n"
    pod = await pod_files(world, node)
    pod.shell(f'printf "{config}" > data/wp-config.php')
    _write(world, "data: {mode: sync, rewrite: [wp-config.php]}")
    await world.devcluster("up", "-d")
    pod = await pod_files(world, node)
    assert _here(world, config)
    ports = [{"name": "db", "port": 3306}]
    service: Json = {"metadata": {"name": "late"}, "spec": {"selector": {"app": "late"}, "ports": ports}}
    await world.cluster.create("service", service, world.namespace, manager="tester")
    await world.devcluster("leave")
    await world.devcluster("up", "-d")
    there = config.replace("'late'", f"'late.{world.namespace}'")
    assert _here(world, there)
    assert _has(pod, "/data/wp-config.php", config)
    _put(world, "/data/wp-config.php", there + "// mine")
    await _until(lambda: _has(pod, "/data/wp-config.php", config + "// mine"))
    await world.devcluster("leave")
    await world.cluster.delete("service", "late", world.namespace)
    await world.devcluster("up", "-d")
    assert _here(world, config + "// mine")
    await world.devcluster("down")
    assert _has(await pod_files(world, node), "/data/wp-config.php", config + "// mine")
    assert world.docker_leftovers() == []


def _here(world: World, text: str) -> bool:
    done = world.in_local("web", "/app", "look", "/data/wp-config.php")
    return hashlib.sha256(text.encode()).hexdigest() in done.stdout
