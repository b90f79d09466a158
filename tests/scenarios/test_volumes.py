"""The pod's volumes in the local container: what is copied, what is kept, what is refused."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

from tests.edge.cluster_world import node_of
from tests.scenarios.trees import local_look, pod_files
from tests.scenarios.world import Json, World


def _config_map(name: str, mount: Json) -> tuple[Json, Json]:
    """The container's and the pod's part for a ConfigMap that is mounted so."""
    return (
        {"volumeMounts": [{"name": "config", **mount}]},
        {"volumes": [{"name": "config", "configMap": {"name": name}}]},
    )


async def _deploy(world: World, mount: Json) -> None:
    data = {"config.yaml": "color: green\n" * 200_000 if "subPath" not in mount else "color: green\n"}
    data = {name: text[:900_000] for name, text in data.items()}
    body = {"metadata": {"name": "settings"}, "data": data}
    await world.cluster.create("configmap", body, world.namespace, manager="tester")
    container, pod = _config_map("settings", mount)
    await world.deploy(container=container, pod=pod)


def _container(world: World) -> str:
    """The local container that runs: another one after each start."""
    labels = ("label=devcluster.role=workload", f"label=devcluster.project={world.project}")
    return _docker("ps", "-q", "--no-trunc", *(word for label in labels for word in ("--filter", label)))


def _docker(*words: str) -> str:
    done = subprocess.run(["docker", *words], capture_output=True, text=True, check=True, timeout=30)
    return done.stdout.strip()


def _write(world: World, volumes: str) -> None:
    world.write(
        f"name: shop\nnamespace: {world.namespace}\nworkloads:\n"
        f"  web:\n    environment: {{IDENTITY: local}}\n    volumes: {volumes}\n"
    )


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


async def test_single_files_are_the_pods(world: World, kubeconfig: Path) -> None:
    """A key of a ConfigMap and one of a Secret by ``subPath``: content, owner, mode, time, and nothing beside
    them.  The pod's user is not their owner, so that nobody has these by default."""
    for kind, name, data in (("configmap", "settings", "data"), ("secret", "keys", "stringData")):
        body = {"metadata": {"name": name}, data: {"wanted": f"{name}\n", "other": "x"}}
        await world.cluster.create(kind, body, world.namespace, manager="tester")
    files = ("/etc/app/app.conf", "/run/secrets/token")
    mounts = [
        {"name": name, "mountPath": path, "subPath": "wanted"}
        for name, path in zip(("config", "keys"), files, strict=True)
    ]
    volumes: list[Json] = [
        {"name": "config", "configMap": {"name": "settings"}},
        {"name": "keys", "secret": {"secretName": "keys", "defaultMode": 0o440}},
    ]
    context = {"runAsUser": 1001, "runAsGroup": 1001, "fsGroup": 2001}
    await world.deploy(
        container={"volumeMounts": mounts}, pod={"volumes": volumes, "securityContext": context}
    )
    await world.devcluster("up", "-d")
    theirs = (await pod_files(world, node_of(kubeconfig))).look(*files)
    assert [(seen["sha256"], seen["mode"], seen["gid"]) for seen in theirs.values()] == [
        (_hash("settings\n"), "-rw-r--r--", 2001),
        (_hash("keys\n"), "-r--r-----", 2001),
    ]
    folders = ("/etc/app", "/run/secrets")
    found = await local_look(world, *folders)
    assert {path: seen for path, seen in found.items() if path not in folders} == theirs
    rows = {row["path"]: row for row in (await world.status())["volumes"]}
    assert [(rows[path]["mode"], rows[path]["files"], rows[path]["bytes"]) for path in files] == [
        ("copy", 1, 9),
        ("copy", 1, 5),
    ]

    container = _container(world)
    again = await world.devcluster("up", "-d")
    assert "unchanged" in again.stdout
    assert _container(world) == container
    await world.devcluster("restart", "web")
    assert await local_look(world, *files) == theirs
    await world.devcluster("down")
    assert world.docker_leftovers() == []
    assert await world.cluster_leftovers() == []


async def test_a_limit_is_checked_on_an_edit_while_the_former_serves(world: World) -> None:
    await _deploy(world, {"mountPath": "/etc/app"})
    await world.devcluster("up", "-d")
    (row,) = [row for row in (await world.status())["volumes"] if row["name"] == "config"]
    assert (row["mode"], row["bytes"]) == ("copy", 900_000)
    former = _container(world)

    _write(world, "{config: {limit: 100KiB}}")
    refused = await world.devcluster("up", "-d", code=2)
    assert "volume config has 878.9 KiB" in refused.stderr
    assert "limit: 1MiB" in refused.stderr
    assert _container(world) == former
    assert await world.who(10) == {"local": 10}


async def test_a_folder_has_the_files_and_down_leaves_it(world: World) -> None:
    """``path:``: what is changed there stays through the next ``up`` and through ``down -v``."""
    await _deploy(world, {"mountPath": "/etc/app"})
    _write(world, "{config: {path: ./config.vol}}")
    await world.devcluster("up", "-d")
    copied = world.folder / "config.vol" / "config.yaml"
    assert copied.read_text() == ("color: green\n" * 200_000)[:900_000]

    copied.unlink()
    copied.write_text("color: mine\n")
    await world.devcluster("leave")
    await world.devcluster("up", "-d")
    assert copied.read_text() == "color: mine\n"

    await world.devcluster("down", "-v")
    assert copied.read_text() == "color: mine\n"
    assert world.docker_leftovers() == []


async def test_down_keeps_a_changed_copy_and_names_it(world: World) -> None:
    pod: Json = {"volumes": [{"name": "data", "emptyDir": {}}]}
    await world.deploy(container={"volumeMounts": [{"name": "data", "mountPath": "/data"}]}, pod=pod)
    await world.devcluster("up", "-d")
    names = _docker("inspect", "--format", "{{range .Mounts}}{{.Name}} {{end}}", _container(world)).split()
    source = world.folder / "mine.txt"
    source.write_text("mine\n")
    _docker("cp", str(source), f"{_container(world)}:/data/mine.txt")

    done = await world.devcluster("down")
    (kept,) = world.docker_leftovers()
    name = kept.removeprefix("volume ")
    assert name in names
    assert name in done.stdout + done.stderr

    await world.devcluster("down", "-v")
    assert world.docker_leftovers() == []
