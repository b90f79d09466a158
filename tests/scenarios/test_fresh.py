"""What kubelet writes anew in a running pod, on the laptop: whole, soon, and as a watch sees it there."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.edge.cluster_world import node_of
from tests.scenarios.python_world import serve
from tests.scenarios.world import Json, World

_GUARD = 30.0  # seconds from the pod to here: three times the promise
_KUBELET = 180.0  # seconds for kubelet by itself

_WATCH = r"""
import ctypes, json, os, struct, sys, threading, time
_libc = ctypes.CDLL(None, use_errno=True)
_kinds = {0x40: "from", 0x80: "to", 0x100: "+", 0x200: "-"}
def say(**what):
    with open(where, "a") as out:
        out.write(json.dumps({"at": time.time()} | what) + "\n")
def follow(folder):
    watcher = _libc.inotify_init()
    assert _libc.inotify_add_watch(watcher, folder.encode(), 0x3C0) > 0
    say(folder=folder, watched=True)
    while True:
        data = os.read(watcher, 65536)
        while data:
            _, mask, _, size = struct.unpack("iIII", data[:16])
            name = data[16:16 + size].rstrip(b"\0").decode()
            say(folder=folder, event=_kinds[mask & 0xFFF] + " " + name)
            data = data[16 + size:]
def read(folder):
    try:
        at = os.open(os.path.join(folder, "..data"), os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return "no ..data"
    try:
        return {name: text(at, name) for name in sorted(os.listdir(at))}
    except FileNotFoundError:  # removed after it was opened: as in the pod
        return read(folder)
    finally:
        os.close(at)
def text(at, name):
    with open(os.open(name, os.O_RDONLY, dir_fd=at)) as file:
        return file.read()
def poll(folder):
    last = None
    while True:
        seen = read(folder)
        if seen != last:
            say(folder=folder, set=seen)
            last = seen
        time.sleep(0.005)
def watch(*folders):
    for folder in folders:
        for work in (follow, poll):
            threading.Thread(target=work, args=(folder,), daemon=True).start()
"""
"""Writes into the file ``where`` each set of files that a folder has, and each name that comes or goes."""

_MAIN = 'where = "/tmp/seen"\nwatch("/etc/config", "/etc/keys")\nserve(8080)\n'
_ALONE = _WATCH + "where = sys.argv[1]\nwatch(*sys.argv[2:])\nthreading.Event().wait()\n"

_MOUNTS: Json = {
    "volumeMounts": [
        {"name": "config", "mountPath": "/etc/config"},
        {"name": "keys", "mountPath": "/etc/keys"},
        {"name": "config", "mountPath": "/etc/fixed", "subPath": "a"},
    ]
}
_VOLUMES: Json = {
    "volumes": [
        {"name": "config", "configMap": {"name": "config", "defaultMode": 0o640}},
        {"name": "keys", "secret": {"secretName": "keys", "defaultMode": 0o400}},
    ]
}


async def _write(world: World, number: int, *, first: bool = False, gone: bool = False) -> None:
    """The ConfigMap and the Secret, whose keys say the same number each."""
    text = str(number)
    data: dict[str, str | None] = {"a": text, "b": text, "url": f"DB_HOST=db\nNUMBER={text}\n"}
    if gone:
        data["b"] = None
    secret = base64.b64encode(text.encode()).decode()
    keys = {"user": secret, "password": secret}
    if first:
        body = {"metadata": {"name": "config"}, "data": data}
        await world.cluster.create("configmap", body, world.namespace, manager="tester")
        body = {"metadata": {"name": "keys"}, "data": keys}
        await world.cluster.create("secret", body, world.namespace, manager="tester")
        return
    await world.cluster.patch("configmap", "config", world.namespace, {"data": data})
    await world.cluster.patch("secret", "keys", world.namespace, {"data": keys})


async def _the_pod(world: World) -> Json:
    """The one that stays."""
    pods = (await world.cluster.list("pod", world.namespace, selector="app=web")).items
    (pod,) = (pod for pod in pods if not pod["metadata"].get("deletionTimestamp"))
    found: Json = pod
    return found


async def _hurry(world: World) -> None:
    """kubelet looks after a pod at once that was changed in any way; else up to a minute later."""
    pod = await _the_pod(world)
    note = {"metadata": {"annotations": {"test/look": os.urandom(4).hex()}}}
    await world.cluster.patch("pod", pod["metadata"]["name"], world.namespace, note)


class _Node:
    """kubelet's own folders of the pod."""

    def __init__(self, node: str, uid: str) -> None:
        self._node = node
        volumes = f"/var/lib/sandbox/kubelet/pods/{uid}/volumes"
        self.config = f"{volumes}/kubernetes.io~configmap/config"
        self.keys = f"{volumes}/kubernetes.io~secret/keys"

    async def until(self, file: str, text: str, guard: float) -> float:
        """The time of the epoch at which *file* said *text*, looked at twenty times a second."""
        script = f'until [ "$(cat {file} 2>/dev/null)" = "{text}" ]; do sleep 0.05; done; date +%s.%N'
        process = await asyncio.create_subprocess_exec(
            "docker", "exec", self._node, "timeout", str(guard), "sh", "-c", script, stdout=subprocess.PIPE
        )
        output, _ = await process.communicate()
        assert process.returncode == 0, f"kubelet did not write {text} within {guard:.0f} s"
        return float(output)

    def tree(self, folder: str) -> list[str]:
        return _tree(["docker", "exec", self._node], folder)


def _tree(before: list[str], folder: str) -> list[str]:
    """Kind, mode, owner, name and link of all that is in it; sizes where nothing is rewritten."""
    command = [*before, "find", folder, "-mindepth", "1", "-printf", "%y %m %U:%G %P %l\n"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    return sorted(done.stdout.splitlines())


async def _until_set(read: Any, folder: str, wanted: Json, guard: float) -> list[Json]:
    """All that was seen in *folder*, once it had the set *wanted*."""
    async with asyncio.timeout(guard):
        while True:
            lines = [line for line in read() if line["folder"] == folder]
            if any(line.get("set") == wanted for line in lines):
                return lines
            await asyncio.sleep(0.1)


def _assert_swapped(lines: list[Json], sets: list[Json]) -> None:
    """One whole set after the other, and nothing in between."""
    assert [line["set"] for line in lines if "set" in line] == sets


def _local(world: World) -> list[Json]:
    done = world.in_local("web", "cat", "/tmp/seen")  # noqa: S108 - in the container
    return [json.loads(line) for line in done.stdout.splitlines()]


def _config(number: int, namespace: str) -> Json:
    text = str(number)
    return {"a": text, "b": text, "url": f"DB_HOST=db.{namespace}\nNUMBER={text}\n"}


def _keys(number: int) -> Json:
    return {"password": str(number), "user": str(number)}


async def _set_up(world: World, python: str, kubeconfig: Path) -> _Node:
    service = {"metadata": {"name": "db"}, "spec": {"ports": [{"port": 3306}], "selector": {"app": "db"}}}
    await world.cluster.create("service", service, world.namespace, manager="tester")
    await _write(world, 0, first=True)
    await serve(world, "web", python, _WATCH + _MAIN, container=_MOUNTS, pod=_VOLUMES)
    return _Node(node_of(kubeconfig), "")


async def test_a_watching_container_sees_the_swap(world: World, python: str, kubeconfig: Path) -> None:
    """A ConfigMap, of which one file is rewritten and a key goes away, in a Docker volume; a Secret in a
    folder."""
    await _set_up(world, python, kubeconfig)
    world.write(
        f"name: shop\nnamespace: {world.namespace}\nworkloads:\n"
        "  web: {volumes: {config: {rewrite: [url]}, keys: {path: ./keys.vol}}}\n"
    )
    await world.devcluster("up", "-d")
    node = _Node(node_of(kubeconfig), (await _the_pod(world))["metadata"]["uid"])
    sets = [_config(0, world.namespace)]
    await _until_set(lambda: _local(world), "/etc/config", sets[0], _GUARD)

    await _write(world, 1)
    await _hurry(world)
    written = await node.until(f"{node.config}/a", "1", _KUBELET)
    sets.append(_config(1, world.namespace))
    lines = await _until_set(lambda: _local(world), "/etc/config", sets[1], _GUARD)
    took = next(line["at"] for line in lines if line.get("set") == sets[1]) - written
    keys = await _until_set(lambda: _local(world), "/etc/keys", _keys(1), _GUARD)
    late = next(line["at"] for line in keys if line.get("set") == _keys(1)) - written
    print(f"a ConfigMap {took:.1f} s, a Secret {late:.1f} s after they were written in the pod")
    _assert_swapped(lines, sets)
    _assert_swapped(keys, [_keys(0), _keys(1)])
    assert (world.folder / "keys.vol" / "user").read_text() == "1"
    for seen in (lines, keys):
        events = [line["event"].split(" ") for line in seen if "event" in line]
        names = [kind if name.startswith("..2") else f"{kind} {name}" for kind, name in events]
        assert names == ["+", "+ ..data_tmp", "from ..data_tmp", "to ..data", "-"]

    await _write(world, 2, gone=True)
    await _hurry(world)
    await node.until(f"{node.config}/a", "2", _KUBELET)
    sets.append({key: text for key, text in _config(2, world.namespace).items() if key != "b"})
    lines = await _until_set(lambda: _local(world), "/etc/config", sets[2], _GUARD)
    _assert_swapped(lines, sets)
    for folder, theirs in (("/etc/config", node.config), ("/etc/keys", node.keys)):
        await _until_alike(world, node, folder, theirs)
    assert world.in_local("web", "cat", "/etc/fixed").stdout == "0"  # never, as in the pod


async def _until_alike(world: World, node: _Node, folder: str, theirs: str) -> None:
    """Names, modes and owners; what goes last goes a moment later."""
    before = ["docker", "exec", *world.containers("web", "workload")]
    async with asyncio.timeout(_GUARD):
        with contextlib.suppress(AssertionError):
            while _tree(before, folder) != node.tree(theirs):
                await asyncio.sleep(0.2)
    assert _tree(before, folder) == node.tree(theirs)


@pytest.mark.slow
async def test_a_process_sees_it_at_kubelets_own_pace(
    world: World, python: str, kubeconfig: Path, tmp_path: Path
) -> None:
    await _set_up(world, python, kubeconfig)
    world.write(
        f"name: shop\nnamespace: {world.namespace}\nworkloads:\n"
        "  web: {run: host, mode: ingest, volumes: {config: {rewrite: [url]}}}\n"
    )
    await world.devcluster("up", "-d")
    node = _Node(node_of(kubeconfig), (await _the_pod(world))["metadata"]["uid"])
    (folder,) = (tmp_path / "state").rglob("root/etc/config")
    seen = tmp_path / "seen"
    seen.touch()
    watcher = await asyncio.create_subprocess_exec(sys.executable, "-c", _ALONE, str(seen), str(folder))

    def read() -> list[Json]:
        return [json.loads(line) for line in seen.read_text().splitlines()]

    try:
        sets = [_config(0, world.namespace), _config(1, world.namespace)]
        await _until_set(read, str(folder), sets[0], _GUARD)
        await _write(world, 1)
        written = await node.until(f"{node.config}/a", "1", _KUBELET)
        lines = await _until_set(read, str(folder), sets[1], _GUARD)
        took = next(line["at"] for line in lines if line.get("set") == sets[1]) - written
        print(f"a ConfigMap {took:.1f} s after it was written in the pod")
        _assert_swapped(lines, sets)
    finally:
        watcher.kill()
        await watcher.wait()
