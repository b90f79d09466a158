"""What a pod keeps in memory is here in memory, with what was put there before the application started; and
what can't be copied is left out by name."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.edge.cluster_world import node_of
from tests.scenarios.python_world import serve
from tests.scenarios.trees import local_look, pod_files
from tests.scenarios.world import Json, World

_CHECKED = r"""
if not os.path.getsize("/secrets/db"):
    sys.exit(1)
serve(8080)
"""
_RENDER = "umask 077; echo pw > /secrets/db"
_ODD = (
    "import os, socket; socket.socket(socket.AF_UNIX).bind('/data/run.sock'); os.mkdir('/data/shut');"
    "os.mknod('/data/null', 0o20666, os.makedev(1, 3)); os.chmod('/data/shut', 0o700);"
    "open('/data/plain', 'w').write('plain'); os.chmod('/data', 0o777)"
)
_FACTS = (
    "stat -f -c %T /secrets; df -k --output=size /secrets | tail -1; "
    "stat -c '%a %u:%g' /secrets/db; cat /secrets/db"
)


async def _deploy(world: World, image: str, *, user: int = 0) -> None:
    """An init container renders a secret into memory; another one leaves odd things on a disk."""
    mounts: list[Json] = [
        {"name": "secrets", "mountPath": "/secrets"},
        {"name": "data", "mountPath": "/data"},
    ]
    secure = {"securityContext": {"runAsUser": user}}
    inits = [
        {"name": "render", "image": image, "command": ["sh", "-c", _RENDER], "volumeMounts": mounts} | secure,
        {"name": "odd", "image": image, "command": ["python3", "-c", _ODD], "volumeMounts": mounts},
    ]
    volumes = [
        {"name": "secrets", "emptyDir": {"medium": "Memory", "sizeLimit": "2Mi"}},
        {"name": "data", "emptyDir": {}},
    ]
    await serve(
        world,
        "web",
        image,
        _CHECKED,
        container={"volumeMounts": mounts} | secure,
        pod={"initContainers": inits, "volumes": volumes},
    )


async def test_what_an_init_container_put_into_memory(world: World, python: str) -> None:
    await _deploy(world, python, user=1001)
    world.write(f"name: shop\nnamespace: {world.namespace}\nworkloads: {{web: {{}}}}\n")
    assert "volume secrets (/secrets): memory\n" in (await world.devcluster("plan")).stdout
    attached = await world.devcluster("up", "-d")
    named = "volume data: 3 entries were not copied: null (device), run.sock (socket), shut (unreadable)"
    assert named in attached.stderr
    assert (await world.devcluster("exec", "web", "--", "cat", "/secrets/db")).stdout == "pw\n"
    seen = world.in_local("web", "sh", "-c", _FACTS).stdout.split()
    assert seen == ["tmpfs", "2048", "600", "1001:0", "pw"]
    told = (await world.devcluster("status")).stdout
    assert "secrets(memory, 3 B)" in told
    assert "web: volume data: left out: null (device), run.sock (socket), shut (unreadable)" in told
    planned = (await world.devcluster("plan")).stdout
    assert "volume secrets (/secrets): memory, 3 B in 1 file\n" in planned
    assert "volume data (/data): copy, 5 B in 1 file, without null (device)" in planned

    world.in_local("web", "sh", "-c", "echo mine > /secrets/mine")
    await world.devcluster("restart", "web")
    assert world.in_local("web", "cat", "/secrets/mine", "/secrets/db").stdout == "mine\npw\n"
    await world.devcluster("leave")
    await world.devcluster("up", "-d")
    assert world.in_local("web", "ls", "/secrets").stdout == "db\n"
    await world.devcluster("down")
    assert world.docker_leftovers() == []
    assert await world.cluster_leftovers() == []


@pytest.mark.slow
async def test_a_limit_is_known_before_a_roll_out_where_a_pod_can_tell(world: World, python: str) -> None:
    """The agent that is installed must be another one, and its pod says how much there is."""
    await _deploy(world, python)
    world.write(f"name: shop\nnamespace: {world.namespace}\nworkloads: {{web: {{}}}}\n")
    await world.devcluster("up", "-d")
    await world.devcluster("leave")
    pods = await _pods(world)
    world.write(
        f"name: shop\nnamespace: {world.namespace}\nagent: {{port: 9911}}\n"
        "workloads: {web: {volumes: {secrets: {limit: 2B}}}}\n"
    )
    for words in (("plan",), ("up", "-d")):
        refused = await world.devcluster(*words, code=2)
        assert "volume secrets has 3 B in 1 file; its limit is 2 B" in refused.stderr
    assert await _pods(world) == pods
    await world.devcluster("down")


async def _pods(world: World) -> set[str]:
    listing = await world.cluster.list("pod", world.namespace, selector="app=web")
    return {pod["metadata"]["uid"] for pod in listing.items}


@pytest.mark.slow
async def test_memory_that_the_engine_lost_is_filled_again(world: World, python: str) -> None:
    """As after a restart of the engine: what runs is started again, with the secret that it looks for."""
    await _deploy(world, python)
    world.write(f"name: shop\nnamespace: {world.namespace}\nworkloads: {{web: {{}}}}\n")
    await world.devcluster("up", "-d")
    roles = ("workload", "memory", "gateway", "netns")
    names = [name for role in roles for name in world.containers("web", role)]
    assert len(names) == len(roles)
    subprocess.run(["docker", "kill", *names], check=True, capture_output=True, timeout=60)  # noqa: ASYNC221
    await world.until_state("attached")
    assert world.in_local("web", "cat", "/secrets/db").stdout == "pw\n"
    await world.devcluster("down")


@pytest.mark.slow
async def test_files_that_come_into_memory_later_are_here_at_the_next_start(
    world: World, kubeconfig: Path
) -> None:
    """Empty memory is the container's own, writable by everybody; filled memory is a copy."""
    mounts = [{"name": "scratch", "mountPath": "/scratch"}, {"name": "shm", "mountPath": "/dev/shm"}]  # noqa: S108
    volumes = [
        {"name": "scratch", "emptyDir": {"medium": "Memory"}},
        {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
    ]
    await world.deploy(
        container={"volumeMounts": mounts, "securityContext": {"runAsUser": 1001}}, pod={"volumes": volumes}
    )
    await world.devcluster("up", "-d")
    assert world.containers("web", "memory") == []
    for place in ("/scratch/x", "/dev/shm/y"):  # noqa: S108
        await world.devcluster("exec", "web", "--", "/app", "put", place, "mine")
    await world.devcluster("leave")
    (await pod_files(world, node_of(kubeconfig))).shell("echo late > scratch/late")
    await world.devcluster("up", "-d")
    assert {"/scratch", "/scratch/late"} == (await local_look(world, "/scratch")).keys()
    await world.devcluster("down")


_ODD_MOUNTS: list[Json] = [
    {"name": "engine", "mountPath": "/run/engine.sock"},
    {"name": "node-name", "mountPath": "/etc/node-name"},
    {"name": "cgroup", "mountPath": "/host/cgroup"},
    {"name": "keys", "mountPath": "/keys/one", "subPath": "one"},
    {"name": "keys", "mountPath": "/keys/folder", "subPath": "folder"},
    {"name": "shut", "mountPath": "/shut"},
]
_ODD_VOLUMES: list[Json] = [
    {"name": "engine", "hostPath": {"path": "/run/containerd/containerd.sock", "type": "Socket"}},
    {"name": "node-name", "hostPath": {"path": "/etc/hostname", "type": "File"}},
    {"name": "cgroup", "hostPath": {"path": "/sys/fs/cgroup"}},
    {"name": "keys", "emptyDir": {"medium": "Memory"}},
    {"name": "shut", "emptyDir": {}},
]


@pytest.mark.slow
async def test_mounts_of_every_odd_kind(world: World, python: str) -> None:
    """A socket, a node's file, the kernel's folder, parts of a volume in memory, a folder that is shut."""
    fill = (
        "echo 1 > /keys/one; mkdir /keys/folder; echo 2 > /keys/folder/two; chmod 700 /shut; echo x > /shut/x"
    )
    whole = [{"name": name, "mountPath": f"/{name}"} for name in ("keys", "shut")]
    init = {"name": "fill", "image": python, "command": ["sh", "-ec", fill], "volumeMounts": whole}
    container = {"volumeMounts": _ODD_MOUNTS, "securityContext": {"runAsUser": 1001}}
    pod = {"volumes": _ODD_VOLUMES, "initContainers": [init]}
    await serve(world, "web", python, "serve(8080)\n", container=container, pod=pod)
    world.write(f"name: shop\nnamespace: {world.namespace}\nworkloads: {{web: {{}}}}\n")
    attached = await world.devcluster("up", "-d")
    for told in (
        "engine: left out: socket",
        "cgroup: left out: the node's /sys",
        "shut: 1 entry was not copied: . (unreadable)",
    ):
        assert f"volume {told}" in attached.stderr, attached.stderr
    look = (
        "stat -f -c %T /keys/one /keys/folder; cat /keys/one /keys/folder/two; "
        "test -s /etc/node-name && echo named; ls /run/engine.sock /host; ls /shut"
    )
    seen = world.in_local("web", "sh", "-c", look)
    assert seen.stdout.split() == ["tmpfs", "tmpfs", "1", "2", "named"]
    rows = {row["path"]: row for row in (await world.status())["volumes"]}
    assert rows["/run/engine.sock"]["left_out"] == [{"path": ".", "reason": "socket"}]
    assert [rows[path]["mode"] for path in ("/keys/one", "/keys/folder", "/host/cgroup")] == [
        "memory",
        "memory",
        "off",
    ]
    assert (await world.devcluster("up", "-d")).stdout.split()[1] == "unchanged"
    await world.devcluster("down")
    assert world.docker_leftovers() == []
