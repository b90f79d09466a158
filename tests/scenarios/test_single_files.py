"""A mount of the pod that is one file, by ``subPath``: that file here, too, and nothing beside it."""

from __future__ import annotations

import hashlib
import io
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.edge.cluster_world import node_of
from tests.scenarios.own_image import own_image
from tests.scenarios.trees import local_look, pod_files
from tests.scenarios.world import Json, World


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _container(world: World) -> str:
    """The local container that is there: another one after each start."""
    words = ["docker", "inspect", "--format", "{{.Id}}", *world.containers("web", "workload")]
    return subprocess.run(words, capture_output=True, text=True, check=True, timeout=30).stdout


@pytest.mark.slow
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


_SINGLE_FILE = """name: shop
namespace: {}
workloads:
  web:
    environment: {{IDENTITY: local}}
    volumes:
      /etc/laptop.conf: {{path: ./mine.conf}}
      /etc/empty.conf: {{mode: empty}}
      /etc/off.conf: {{mode: 'off'}}
"""


async def _deploy_with_single_files(world: World) -> None:
    """Three keys of a ConfigMap, and two files of a volume that the application may write."""
    text = "color: green\n" * 200
    names = ("laptop.conf", "empty.conf", "off.conf")
    body = {"metadata": {"name": "settings"}, "data": dict.fromkeys(names, text)}
    await world.cluster.create("configmap", body, world.namespace, manager="tester")
    mounts = [{"name": "config", "mountPath": f"/etc/{name}", "subPath": name} for name in names]
    files = ("both", "theirs")
    mounts += [{"name": "data", "mountPath": f"/etc/{name}.ini", "subPath": name} for name in files]
    seeds = [
        {
            "name": f"seed-{name}",
            "image": world.app,
            "args": ["put", f"/data/{name}", "first"],
            "volumeMounts": [{"name": "data", "mountPath": "/data"}],
        }
        for name in files
    ]
    volumes: list[Json] = [
        {"name": "config", "configMap": {"name": "settings", "defaultMode": 0o604}},
        {"name": "data", "emptyDir": {}},
    ]
    pod = {"volumes": volumes, "initContainers": seeds}
    await world.deploy(container={"volumeMounts": mounts}, pod=pod)


@pytest.mark.slow
async def test_a_single_file_in_every_mode(world: World, kubeconfig: Path) -> None:
    await _deploy_with_single_files(world)
    world.write(_SINGLE_FILE.format(world.namespace))
    await world.devcluster("up", "-d")
    pod = await pod_files(world, node_of(kubeconfig))
    theirs, here = pod.look("/etc/laptop.conf"), await local_look(world, "/etc")
    mine = world.folder / "mine.conf"
    assert mine.read_text() == "color: green\n" * 200
    assert here["/etc/laptop.conf"]["sha256"] == theirs["/etc/laptop.conf"]["sha256"]
    assert (here["/etc/empty.conf"]["sha256"], here["/etc/empty.conf"]["mode"]) == (_hash(""), "-rw----r--")
    assert "/etc/off.conf" not in here
    assert here["/etc/both.ini"]["sha256"] == here["/etc/theirs.ini"]["sha256"] == _hash("first")

    with mine.open("a") as file:
        file.write("color: mine\n")
    await world.devcluster("exec", "web", "--", "/app", "put", "/etc/both.ini", "mine")
    await world.devcluster("leave")
    pod.shell("for name in both theirs; do printf theirs > etc/$name.ini; done")
    again = await world.devcluster("up", "-d")
    assert (
        "volume /etc/both.ini: 1 file changed here and in the pod; your versions were kept: both.ini"
        in again.stderr
    )
    here = await local_look(world, "/etc")
    assert here["/etc/both.ini"]["sha256"] == _hash("mine")
    assert here["/etc/theirs.ini"]["sha256"] == _hash("theirs")
    assert here["/etc/laptop.conf"]["sha256"] == _hash("color: green\n" * 200 + "color: mine\n")
    assert pod.look("/etc/both.ini")["/etc/both.ini"]["sha256"] == _hash("theirs")

    await world.devcluster("down", "-v")
    assert world.docker_leftovers() == []
    assert mine.read_text().endswith("color: mine\n")


_LINKS = {
    "opt/link.conf": "real.conf",
    "opt/absolute": "/opt/link.conf2",
    "opt/link.conf2": "../opt/deep/er.conf",
    "opt/enabled": "/opt/available",
    "opt/out": "../../../../opt/outside.conf",
    "opt/dangling": "nowhere/at/all.conf",
}
_FILES = ("opt/real.conf", "opt/deep/er.conf", "opt/available/000.conf", "opt/outside.conf")
_MOUNTS = ("link.conf", "absolute", "enabled/000.conf", "out", "dangling")


def _layer() -> bytes:
    """What an image has where its pod mounts single files: links, to files, over a directory, to nowhere."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in _FILES:
            entry = tarfile.TarInfo(name)
            entry.size = len("the image's")
            tar.addfile(entry, io.BytesIO(b"the image's"))
        for name, target in _LINKS.items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            tar.addfile(entry)
    return buffer.getvalue()


@pytest.mark.slow
async def test_a_file_mounted_where_the_image_has_a_link_is_that_file(world: World, kubeconfig: Path) -> None:
    image = f"registry.test/links:{world.namespace}"
    with own_image(world, image, layer=_layer()):
        await _mount_over_links(world, image)
        theirs = (await pod_files(world, node_of(kubeconfig))).look("/opt")
        here = await local_look(world, "/opt")
        await world.devcluster("down")
    facts = ("mode", "link", "sha256")
    assert [{name: seen.get(name) for name in facts} for seen in here.values()] == [
        {name: seen.get(name) for name in facts} for seen in theirs.values()
    ]
    texts = {path: seen["sha256"] for path, seen in here.items() if "sha256" in seen}
    assert texts == {
        f"/opt/{path}": _hash(f"mounted at {name}")
        for path, name in {
            "real.conf": "link.conf",
            "deep/er.conf": "absolute",
            "available/000.conf": "enabled/000.conf",
            "outside.conf": "out",
            "nowhere/at/all.conf": "dangling",
        }.items()
    }
    assert {path: seen["link"] for path, seen in here.items() if "link" in seen} == {
        f"/{path}": target for path, target in _LINKS.items()
    }


async def _mount_over_links(world: World, image: str) -> None:
    keys = {name: name.replace("/", "-") for name in _MOUNTS}
    data = {key: f"mounted at {name}" for name, key in keys.items()}
    await world.cluster.create(
        "configmap", {"metadata": {"name": "settings"}, "data": data}, world.namespace, manager="tester"
    )
    mounts = [{"name": "c", "mountPath": f"/opt/{name}", "subPath": key} for name, key in keys.items()]
    container = {"image": image, "imagePullPolicy": "Never", "volumeMounts": mounts}
    await world.deploy(
        container=container, pod={"volumes": [{"name": "c", "configMap": {"name": "settings"}}]}
    )
    await world.devcluster("up", "-d")
