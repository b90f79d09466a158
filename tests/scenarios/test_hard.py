"""Clusters that forbid most things: what the agent needs is allowed everywhere."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from devcluster.edge.kube.agent import CHUNK, load_binary
from tests.edge.cluster_world import node_of
from tests.scenarios.world import World, deployment

Json = dict[str, Any]

_SECURE: Json = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "runAsUser": 10_007,
    "runAsGroup": 20_009,
    "seccompProfile": {"type": "RuntimeDefault"},
}
_ENV = [{"name": "IDENTITY", "value": "original"}, {"name": "BALLAST_MIB", "value": "54"}]


async def _fence(world: World, quota: str) -> None:
    """Everything that an operations team puts into a namespace."""
    label = {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}
    await world.cluster.patch("namespace", world.namespace, None, {"metadata": label})
    limits = {
        "type": "Container",
        "min": {"memory": "8Mi"},
        "default": {"memory": "64Mi"},
        "defaultRequest": {"memory": "16Mi"},
    }
    policy = {"podSelector": {}, "policyTypes": ["Ingress"]}
    budget = {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}
    for kind, spec in (
        ("limitrange", {"limits": [limits]}),
        ("resourcequota", {"hard": {"limits.memory": quota, "pods": "10"}}),
        ("networkpolicy", policy),
        ("poddisruptionbudget", budget),
    ):
        await world.cluster.create(kind, {"metadata": {"name": "fence"}, "spec": spec}, world.namespace)
    small = {"limits": {"memory": "32Mi"}}
    world.asker = {"securityContext": _SECURE, "resources": small}


@pytest.mark.parametrize("delivery", ["memfd", pytest.param("emptydir", marks=pytest.mark.slow)])
async def test_a_fenced_namespace_and_a_container_that_is_nearly_full(world: World, delivery: str) -> None:
    await _fence(world, "400Mi")
    container = {"securityContext": _SECURE, "env": _ENV}  # its limit is the namespace's default
    await world.deploy(container=container, pod={"automountServiceAccountToken": False})
    before = await world.template()
    world.write(
        f"name: shop\nnamespace: {world.namespace}\nagent: {{delivery: {delivery}}}\n"
        "workloads:\n  web: {environment: {IDENTITY: local, BALLAST_MIB: '1'}}\n"
    )
    await world.devcluster("up", "-d")
    assert await world.who(20) == {"local": 20}
    assert world.local_user() == "10007:20009"

    await world.devcluster("leave")
    assert await world.who(20) == {"original": 20}  # the application, full again, and the agent beside it
    (pod,) = await _pods(world)
    (target,) = pod["spec"]["containers"]
    assert target["resources"]["limits"]["memory"] == "112Mi"
    assert ("--into=/.devcluster/run/agent" in target["command"]) == (delivery == "emptydir")
    assert [one["restartCount"] for one in pod["status"]["containerStatuses"]] == [0]

    await world.devcluster("down")
    assert await world.template() == before
    (pod,) = await _pods(world)
    assert pod["spec"]["containers"][0]["resources"]["limits"]["memory"] == "64Mi"
    assert await world.who(20) == {"original": 20}
    assert await world.cluster_leftovers() == []
    assert world.docker_leftovers() == []


async def test_a_quota_without_room_is_named_and_everything_put_back(world: World) -> None:
    await _fence(world, "160Mi")  # room for the pod and who asks, not for a second one with an agent
    await world.deploy(container={"securityContext": _SECURE})
    before = await world.template()
    done = await world.devcluster("up", "-d", code=1)
    assert "exceeded quota: fence" in done.stderr
    assert await world.template() == before
    await world.available("web")
    await world.until_who("original", count=20)
    assert await world.cluster_leftovers() == []
    assert world.docker_leftovers() == []


async def test_a_machine_without_an_agent_is_refused_by_name(world: World) -> None:
    selector = {"nodeSelector": {"kubernetes.io/arch": "s390x"}}
    body = deployment("web", world.app, strategy="RollingUpdate", replicas=1, container=None, pod=selector)
    await world.cluster.create("deployment", body, world.namespace)
    done = await world.devcluster("up", "-d", code=2)
    assert "s390x (the pod's spec says so), but there is no agent for it" in done.stderr
    assert "there is one for amd64 and arm64" in done.stderr
    assert await world.cluster_leftovers() == []
    assert world.docker_leftovers() == []


async def _pods(world: World) -> list[Json]:
    items = (await world.cluster.list("pod", world.namespace, selector="app=web")).items
    return [item for item in items if not item["metadata"].get("deletionTimestamp")]


@pytest.mark.slow
@pytest.mark.parametrize(("forbidden", "works"), [(1, True), (2, False)])
def test_where_memory_may_not_be_executed(
    kubeconfig: Path, tmp_path: Path, forbidden: int, works: bool
) -> None:
    """The kernel's vm.memfd_noexec belongs to a process namespace: a container's own is set here."""
    if not Path("/proc/sys/vm/memfd_noexec").exists():
        pytest.skip("this kernel has no vm.memfd_noexec")
    _write_pieces(tmp_path)
    node = node_of(kubeconfig)
    memory = _boot(node, tmp_path, forbidden, "/pieces/boot")
    assert ("usage" in memory.stderr) is works, memory.stderr
    if not works:
        assert "agent: {delivery: emptydir}" in memory.stderr
    disk = _boot(node, tmp_path, forbidden, "/pieces/boot --into=/run/agent")
    assert "usage" in disk.stderr, disk.stderr


def _write_pieces(folder: Path) -> None:
    binary = load_binary()
    for index in range(binary.chunks):
        (folder / f"a.{index:02}").write_bytes(binary.agent[index * CHUNK : (index + 1) * CHUNK])
    (folder / "boot").write_bytes(binary.boot)
    (folder / "boot").chmod(0o755)


def _boot(node: str, pieces: Path, forbidden: int, command: str) -> subprocess.CompletedProcess[str]:
    """*command* as process 1 of a container that has a shell: the node's own image."""
    inspect = ["docker", "inspect", "--format", "{{.Image}}", node]
    image = subprocess.run(inspect, capture_output=True, text=True, check=True, timeout=30).stdout.strip()
    create = ["docker", "create", "--cap-add", "SYS_ADMIN", "--security-opt", "systempaths=unconfined"]
    create += ["--security-opt", "seccomp=unconfined", "--network", "none", "--entrypoint", "/bin/sh", image]
    create += ["-c", f"echo {forbidden} >/proc/sys/vm/memfd_noexec && exec {command} no-such-command"]
    made = subprocess.run(create, capture_output=True, text=True, check=True, timeout=60).stdout.strip()
    try:
        subprocess.run(["docker", "cp", f"{pieces}/.", f"{made}:/pieces"], check=True, timeout=60)
        start = ["docker", "start", "-a", made]
        return subprocess.run(start, capture_output=True, text=True, check=False, timeout=60)
    finally:
        subprocess.run(["docker", "rm", "-f", made], check=True, timeout=60, stdout=subprocess.DEVNULL)
