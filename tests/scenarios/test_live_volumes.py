"""Volumes that are kept the same here and in the pod (`mode: sync`)."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.edge.cluster_world import node_of
from tests.scenarios.fire import kill_host
from tests.scenarios.trees import PodFiles, Tree, pod_files
from tests.scenarios.world import Json, World

_GUARD = 10.0  # seconds for a change that is promised within one


async def _deploy(world: World, node: str, *, strategy: str = "RollingUpdate") -> PodFiles:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "64Mi"}}}
    claim: Json = {"metadata": {"name": "data"}, "spec": spec}
    await world.cluster.create("persistentvolumeclaim", claim, world.namespace, manager="tester")
    container = {
        "volumeMounts": [
            {"name": "data", "mountPath": "/data"},
            {"name": "data", "mountPath": "/shown", "readOnly": True, "subPath": "shown"},
        ],
        "env": [{"name": "IDENTITY", "value": "original"}],
    }
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    await world.deploy(strategy=strategy, container=container, pod={"volumes": volumes})
    pod = await pod_files(world, node)
    pod.shell(
        "mkdir -p data/deep data/shown; for n in 1 2 3 4; do echo $n > data/deep/$n; done; echo a > data/both"
    )
    pod.shell("printf \"define( 'DB_HOST', 'web:80' );\\n\" > data/wp-config.php")
    return pod


def _write(world: World, *, force: bool = False) -> None:
    world.write(
        f"name: shop\nnamespace: {world.namespace}\nworkloads:\n  web:\n"
        "    environment: {IDENTITY: local}\n"
        "    volumes:\n"
        f"      data: {{mode: sync, rewrite: [wp-config.php], force: {str(force).lower()}}}\n"
    )


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(_GUARD):
        while not holds():
            await asyncio.sleep(0.1)


def _put(world: World, path: str, text: str) -> None:
    done = world.in_local("web", "/app", "put", path, text)
    assert done.returncode == 0, done.stderr


def _digest(tree: Tree, path: str) -> str:
    """'' where there is no such file."""
    return str(tree.get(path, {}).get("sha256", ""))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _here(world: World) -> Tree:
    done = world.in_local("web", "/app", "look", "/data")
    assert done.returncode == 0, done.stderr
    return _comparable(json.loads(done.stdout))


def _comparable(tree: Tree) -> Tree:
    """Without times and counts of folders, which are each side's own."""
    mine = {"links", "mtime_ns", "size"}
    return {
        path: {key: value for key, value in it.items() if key not in mine or not it["mode"].startswith("d")}
        for path, it in tree.items()
    }


async def test_what_is_written_on_one_side_is_on_the_other(world: World, kubeconfig: Path) -> None:
    """Both ways, with a file that is rewritten here; a conflict that keeps both and is decided; and what is
    under way when it is handed back arrives."""
    node = node_of(kubeconfig)
    await _deploy(world, node)
    _write(world)
    up = await world.devcluster("up", "-d")
    assert "syncing /data, " in up.stderr
    pod = await pod_files(world, node)
    wanted = _comparable(pod.look("/data"))
    plain = wanted.pop("/data/wp-config.php")
    here = _here(world)
    assert here.pop("/data/wp-config.php")["sha256"] != plain["sha256"]
    assert here == wanted

    _put(world, "/data/from-here", "mine")
    await _until(lambda: _digest(pod.look("/data"), "/data/from-here") == _hash("mine"))
    pod.shell("echo theirs > data/from-there; rm data/deep/1")
    await _until(lambda: _digest(_here(world), "/data/from-there") == _hash("theirs\n"))
    await _until(lambda: "/data/deep/1" not in _here(world))
    row = await world.until_status(lambda row: row["volumes"][0]["pending"] == 0, guard=30)
    (row,) = [it for it in row["volumes"] if it["name"] == "/data"]
    assert (row["mode"], row["conflicts"]) == ("sync", [])
    assert row["last_sent"]
    assert row["last_received"]

    (synced,) = (await world.devcluster("sync", "-o", "json")).json["workloads"]
    assert (synced["name"], synced["outcome"]) == ("web", "synced")
    await world.devcluster("leave")
    pod.shell("echo later > data/later")
    await world.devcluster("up", "-d")
    assert _digest(_here(world), "/data/later") == _hash("later\n")

    await _change_both(world, pod)
    await world.until_status(lambda row: bool(row["volumes"][0]["conflicts"]), guard=30)
    text = (await world.devcluster("status")).stdout
    assert "/data/both: conflict: " in text
    assert "devcluster sync web --keep laptop|pod /data/both" in text
    left = await world.devcluster("leave", code=7)
    assert "/data/both" in left.stderr
    assert _digest(pod.look("/data"), "/data/both") == _hash("theirs\n")
    await world.devcluster("up", "-d")
    assert _digest(_here(world), "/data/both") == _hash("mine")
    unknown = await world.devcluster("sync", "web", "--keep", "pod", "/data/later", code=2)
    assert "nothing to decide about /data/later" in unknown.stderr
    assert "conflicts: /data/both" in unknown.stderr
    await world.devcluster("sync", "web", "--keep", "laptop", "/data/both")
    assert _digest(pod.look("/data"), "/data/both") == _hash("mine")

    _put(world, "/data/last", "word")
    await world.devcluster("down")
    pod = await pod_files(world, node)
    assert _digest(pod.look("/data"), "/data/last") == _hash("word")
    assert _digest(pod.look("/data"), "/data/wp-config.php") == plain["sha256"]
    assert world.docker_leftovers() == []


async def _change_both(world: World, pod: PodFiles) -> None:
    """The same file, on both sides, while nobody looks."""
    engine = next(name for name in world.containers("web", "sync") if "shown" not in name)
    await asyncio.to_thread(world.engine, "pause", engine)
    _put(world, "/data/both", "mine")
    pod.shell("echo theirs > data/both")
    await asyncio.to_thread(world.engine, "unpause", engine)


@pytest.mark.slow
async def test_a_folder_of_the_laptop_and_a_process_that_is_killed(world: World, kubeconfig: Path) -> None:
    """`run: host`: the folder is a live volume, too.  A host process that is killed brings nothing over;
    what is in the copy stays, and the next `up` goes on with it."""
    node = node_of(kubeconfig)
    await _deploy(world, node)
    world.write(
        f"name: shop\nnamespace: {world.namespace}\nworkloads:\n  web:\n"
        "    mode: intercept\n    run: host\n"
        f"    volumes:\n      /data: {{mode: sync, path: ./mine}}\n"
    )
    await world.devcluster("up", "-d")
    pod, mine = await pod_files(world, node), world.folder / "mine"
    assert (mine / "deep" / "4").read_text() == "4\n"
    (mine / "note").write_text("from the laptop")
    await _until(lambda: _digest(pod.look("/data"), "/data/note") == _hash("from the laptop"))
    await asyncio.to_thread(kill_host, world)
    (mine / "note").write_text("while nobody looked")
    pod.shell("echo new > data/new")
    await world.devcluster("up", "-d")
    await _until(lambda: _digest(pod.look("/data"), "/data/note") == _hash("while nobody looked"))
    assert (mine / "new").read_text() == "new\n"
    await asyncio.to_thread(kill_host, world)
    (mine / "note").write_text("and again")
    left = await world.devcluster("down", code=7)
    assert f"folder {mine} may hold what is not in the pod" in left.stderr
    assert "`devcluster up` and `devcluster down` again bring it over" in left.stderr
    await world.devcluster("up", "-d")
    await world.devcluster("down")
    pod = await pod_files(world, node)
    assert _digest(pod.look("/data"), "/data/note") == _hash("and again")
    assert (mine / "new").read_text() == "new\n"  # `path` folders stay
    assert world.docker_leftovers() == []


@pytest.mark.slow
async def test_a_copy_stays_where_it_may_hold_what_is_not_in_the_pod(world: World, kubeconfig: Path) -> None:
    """The host process is killed, and the container goes on writing: `down` names its volume, also with `-v`,
    and the next `up` brings it over."""
    node = node_of(kubeconfig)
    await _deploy(world, node)
    _write(world)
    await world.devcluster("up", "-d")
    await asyncio.to_thread(kill_host, world)
    _put(world, "/data/late", "nobody looked")
    left = await world.devcluster("down", "-v", code=7)
    assert "may hold what is not in the pod" in left.stderr
    assert "__data" in left.stderr
    assert await world.cluster_leftovers() == []
    await world.devcluster("up", "-d")
    pod = await pod_files(world, node)
    assert _digest(pod.look("/data"), "/data/late") == _hash("nobody looked")
    await world.devcluster("down")
    assert world.docker_leftovers() == []


@pytest.mark.slow
async def test_what_can_not_be_synced_is_refused_by_name(world: World, kubeconfig: Path) -> None:
    """A database's data folder, unless it is forced; and a write in a mount that the pod has read-only
    stays in nobody's way."""
    node = node_of(kubeconfig)
    pod = await _deploy(world, node)
    pod.shell("mkdir data/pg; echo 17 > data/pg/PG_VERSION")
    _write(world)
    refused = await world.devcluster("up", "-d", code=None)
    assert refused.code in (1, 2)
    assert "data folder of PostgreSQL (pg/PG_VERSION)" in refused.stderr
    assert "`mode: copy` with `order: stop-first`" in refused.stderr
    assert world.docker_leftovers() == []
    _write(world, force=True)
    await world.devcluster("up", "-d")
    pod = await pod_files(world, node)
    pod.shell("echo seen > data/shown/it")
    await _until(lambda: '"/shown/it"' in world.in_local("web", "/app", "look", "/shown").stdout)
    refusal = world.in_local("web", "/app", "put", "/shown/mine", "x")
    assert "read-only file system" in refusal.stderr
    await world.devcluster("down")
    assert world.docker_leftovers() == []


@pytest.mark.slow
async def test_another_pod_is_another_emptydir(world: World, kubeconfig: Path) -> None:
    """Nothing is deleted here because it is missing in a new pod: it gets what the laptop has.  Many
    deletions at once are held back until somebody decides."""
    node = node_of(kubeconfig)
    container = {"volumeMounts": [{"name": "scratch", "mountPath": "/data"}]}
    await world.deploy(container=container, pod={"volumes": [{"name": "scratch", "emptyDir": {}}]})
    pod = await pod_files(world, node)
    pod.shell("for n in $(seq 20); do echo $n > data/$n; done")
    world.write(
        f"name: shop\nnamespace: {world.namespace}\nworkloads:\n  web:\n"
        "    environment: {IDENTITY: local}\n    volumes: {scratch: {mode: sync}}\n"
    )
    await world.devcluster("up", "-d")
    pod = await pod_files(world, node)
    pod.shell("for n in $(seq 20); do echo $n > data/$n; done")  # the agent's pod is a new one, too
    await _until(lambda: "/data/20" in _here(world))
    await world.cluster.delete("pod", pod.pod, world.namespace)
    await world.until_attached(1)
    pod = await pod_files(world, node)
    await _until(lambda: "/data/20" in pod.look("/data"))
    assert {f"/data/{n}" for n in range(1, 21)} <= _here(world).keys()

    pod.shell("rm data/*")
    row = await world.until_status(lambda row: bool(row["volumes"][0]["held_back"]), guard=60)
    assert row["volumes"][0]["held_back"][0]["deleted_on"] == "pod"
    assert "/data/20" in _here(world)
    await world.devcluster("sync", "web", "--keep", "laptop", "/data")
    assert "/data/20" in pod.look("/data")
    await world.devcluster("down")
    assert world.docker_leftovers() == []
