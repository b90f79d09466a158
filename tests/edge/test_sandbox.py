"""The sandbox: a real Kubernetes that starts fast, says what broke, and leaves nothing.

One sandbox serves most tests, in the order of its life: it is made, used, restarted, broken, and removed
beside another one that must not notice.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import docker
import pytest
from kubernetes import client, config

from devcluster.edge.docker.sandbox.node import container_name
from devcluster.errors import ConfigurationError, FailedError, NotFoundError
from devcluster.sandbox.base_image import BASE_IMAGE
from devcluster.sandbox.sandbox import (
    Sandbox,
    SandboxStatus,
    sandbox_down,
    sandbox_kubeconfig,
    sandbox_load,
    sandbox_status,
    sandbox_up,
)

T = TypeVar("T")
ONE, TWO = "edge-one", "edge-two"
POD = """
cat /data/kept 2>/dev/null
echo kept > /data/kept
until getent hosts kubernetes.default; do sleep 0.1; done
getent hosts kubernetes.default.svc.cluster.local
timeout 9 getent hosts nothing.example. ; echo "outside: $?"
echo started; exec sleep infinity
"""


def _routes() -> set[str]:
    """The host's, without those of Docker's own networks, which others make and remove meanwhile."""
    lines = Path("/proc/net/route").read_text().splitlines()
    return {line for line in lines if not line.startswith("br-")}


@pytest.fixture(scope="module")
def routes() -> set[str]:
    """As they were before there was a sandbox."""
    return _routes()


@pytest.fixture(scope="module")
def made(routes: set[str]) -> Iterator[Sandbox]:
    """The sandbox ONE; whatever a test did, both are gone at the end."""
    _remove()
    try:
        yield asyncio.run(sandbox_up(ONE))
    finally:
        _remove()


@pytest.fixture(scope="module")
def engine() -> Iterator[docker.DockerClient]:
    opened = docker.from_env()
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def core(made: Sandbox) -> Iterator[Any]:
    with _connected(made) as api:
        yield api


@contextmanager
def _connected(made: Sandbox) -> Iterator[Any]:
    """The API server at the address that the kubeconfig says now."""
    load: Any = config.new_client_from_config
    with load(str(made.kubeconfig), context=made.context) as api:
        yield client.CoreV1Api(api)


def _remove() -> None:
    for name in (ONE, TWO):
        asyncio.run(sandbox_down(name))


def _cli(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "devcluster", "sandbox", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)


def _until(ask: Callable[[], T], holds: Callable[[T], bool], seconds: float = 60) -> T:
    """Ask until it holds; for what has no watch."""
    deadline = time.monotonic() + seconds
    while not holds(answer := ask()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {answer}"
        time.sleep(0.1)
    return answer


def _status(name: str) -> SandboxStatus:
    return asyncio.run(sandbox_status(name))


def _in_node(name: str, *command: str) -> str:
    words = ["docker", "exec", container_name(name), *command]
    return subprocess.run(words, stdout=subprocess.PIPE, text=True, timeout=60, check=True).stdout


def _log(core: Any, pod: str) -> str:
    try:
        return str(core.read_namespaced_pod_log(pod, "default"))
    except client.ApiException as error:
        if error.status not in (400, 404, 500):  # no container yet, or kubelet not there yet
            raise
        return ""


def test_ready_means_that_it_works(made: Sandbox, core: Any) -> None:
    assert made.outcome == "created"
    print(f"sandbox created, Ready in {made.seconds:.1f} s")  # 20 s are promised
    assert made.seconds <= 60
    assert stat.S_IMODE(made.kubeconfig.stat().st_mode) == 0o600
    (node,) = core.list_node().items
    assert node.status.node_info.kubelet_version == "v1.34.4"
    assert {it.type: it.status for it in node.status.conditions}["Ready"] == "True"
    assert core.read_namespaced_service_account("default", "default")


def test_the_command_prints_the_export_and_changes_nothing_twice(made: Sandbox, routes: set[str]) -> None:
    done = _cli("up", "--name", ONE)
    assert (done.returncode, done.stdout) == (0, f"export KUBECONFIG={made.kubeconfig}\n"), done.stderr
    assert "unchanged, ready" in done.stderr
    assert _cli("kubeconfig", "--name", ONE).stdout == f"{made.kubeconfig}\n"
    assert _routes() == routes


@pytest.mark.slow
def test_images_are_loaded_once_under_their_names(made: Sandbox) -> None:
    assert asyncio.run(sandbox_load([BASE_IMAGE], ONE)) == ((BASE_IMAGE, "loaded"),)
    assert asyncio.run(sandbox_load([BASE_IMAGE], ONE)) == ((BASE_IMAGE, "unchanged"),)
    with pytest.raises(ConfigurationError, match="no image absent:1"):
        asyncio.run(sandbox_load([BASE_IMAGE, "absent:1"], ONE))


def test_a_pod_has_names_and_a_claim_of_its_own_user(made: Sandbox, core: Any) -> None:
    asyncio.run(sandbox_load([BASE_IMAGE], ONE))
    core.create_namespaced_persistent_volume_claim("default", _claim())
    core.create_namespaced_pod("default", _pod("first", mount=True))
    text = _until(lambda: _log(core, "first"), lambda text: "started" in text)
    assert text.count("10.96.0.1 ") == 2
    assert "outside: 2" in text  # not found, at once: `timeout` says 124
    claim = core.read_namespaced_persistent_volume_claim("data", "default")
    assert (claim.status.phase, claim.spec.storage_class_name) == ("Bound", "standard")


def test_admission_is_real(core: Any) -> None:
    enforce = {"pod-security.kubernetes.io/enforce": "restricted"}
    core.create_namespace({"metadata": {"name": "strict", "labels": enforce}})
    core.create_namespace({"metadata": {"name": "full"}})
    quota = {"metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}}
    core.create_namespaced_resource_quota("full", quota)
    limit = {"type": "Container", "default": {"memory": "64Mi"}}
    limits = {"metadata": {"name": "small"}, "spec": {"limits": [limit]}}
    core.create_namespaced_limit_range("default", limits)

    assert "violates PodSecurity" in _refusal(core, "strict")
    _until(lambda: _refusal(core, "full", dry_run="All"), lambda text: "exceeded quota" in text)
    pod = core.create_namespaced_pod("default", _pod("limited"), dry_run="All")
    assert pod.spec.containers[0].resources.limits == {"memory": "64Mi"}


def test_rights_are_real(core: Any) -> None:
    asked = {"verb": "list", "resource": "pods", "namespace": "default"}
    review: Any = client.AuthorizationV1Api(core.api_client).create_subject_access_review

    def may(user: str, *groups: str) -> bool:
        spec = {"user": user, "groups": list(groups), "resourceAttributes": asked}
        return bool(review({"spec": spec}).status.allowed)

    assert not may("system:serviceaccount:default:default", "system:serviceaccounts")
    assert may("system:serviceaccount:kube-system:coredns", "system:serviceaccounts")


def _refusal(core: Any, namespace: str, **options: Any) -> str:
    """Why a plain pod is refused; a namespace's account and quota appear a moment after it."""
    for _ in range(100):
        try:
            core.create_namespaced_pod(namespace, _pod("plain"), **options)
        except client.ApiException as error:
            if error.status != 403:
                raise
            if "serviceaccount" not in str(error.body):
                return str(error.body)
        time.sleep(0.1)
    return ""


def test_it_survives_a_restart(made: Sandbox, core: Any, engine: docker.DockerClient) -> None:
    before = made.kubeconfig.read_bytes()
    engine.containers.get(container_name(ONE)).restart(timeout=15)
    again = asyncio.run(sandbox_up(ONE))
    assert again.kubeconfig.read_bytes() == before
    print(f"sandbox Ready again in {again.seconds:.1f} s")
    assert again.seconds <= 60
    text = _until(lambda: _log(core, "first"), lambda text: text.startswith("kept\n") and "started" in text)
    assert text.count("10.96.0.1 ") == 2
    (endpoint,) = core.read_namespaced_endpoints("kubernetes", "default").subsets[0].addresses
    (node,) = core.list_node().items
    assert endpoint.ip == node.status.addresses[0].address


@pytest.mark.slow
def test_another_port_where_its_own_is_taken(made: Sandbox, core: Any, engine: docker.DockerClient) -> None:
    core.create_namespace({"metadata": {"name": "kept"}})
    port = _status(ONE).port
    engine.containers.get(container_name(ONE)).stop(timeout=15)
    assert _status(ONE).state == "stopped"
    for words in (("load", BASE_IMAGE), ("kubeconfig",)):
        made.kubeconfig.unlink(missing_ok=True)
        done = _cli(*words, "--name", ONE)
        assert (done.returncode, done.stdout) == (1, "")
        assert "sandbox edge-one is not running\n  devcluster sandbox up --name edge-one\n" in done.stderr
    with socket.create_server(("127.0.0.1", port)):
        assert asyncio.run(sandbox_up(ONE)).outcome == "started"
        assert _status(ONE).port != port
        with _connected(made) as again:
            assert again.read_namespace("kept")


def test_a_program_that_ended_is_named_with_its_last_lines(
    made: Sandbox, engine: docker.DockerClient
) -> None:
    board = json.loads(_in_node(ONE, "node", "status"))
    (scheduler,) = [unit for unit in board["units"] if unit["name"] == "kube-scheduler"]
    _in_node(ONE, "kill", "-KILL", str(scheduler["pid"]))

    def unit() -> tuple[int, str]:
        (found,) = [unit for unit in _status(ONE).units if unit.name == "kube-scheduler"]
        return found.restarts, found.state

    _until(unit, lambda found: found == (1, "running"))
    done = _cli("status", "--name", ONE)
    assert done.returncode == 0, done.stdout
    assert re.search(r"kube-scheduler +running +ended 1 time, last: signal: killed", done.stdout)
    assert "last lines of kube-scheduler" in done.stdout
    assert (
        "kube-scheduler: ended (signal: killed)" in engine.containers.get(container_name(ONE)).logs().decode()
    )


def test_up_gives_up_on_a_program_that_never_runs(made: Sandbox) -> None:
    script = (
        "mv /usr/bin/containerd /usr/bin/kept && cp /bin/false /usr/bin/containerd && pkill -x containerd"
    )
    _in_node(ONE, "sh", "-c", script)
    try:
        _until(lambda: _status(ONE).state, lambda state: state == "failed")
        with pytest.raises(
            FailedError, match=r"sandbox edge-one: containerd ended \(exit status 1\) without output"
        ):
            asyncio.run(sandbox_up(ONE))
        assert _cli("status", "--name", ONE).returncode == 1
    finally:
        _in_node(ONE, "mv", "/usr/bin/kept", "/usr/bin/containerd")
    assert asyncio.run(sandbox_up(ONE)).name == ONE


def test_two_live_side_by_side_and_down_leaves_nothing(made: Sandbox, engine: docker.DockerClient) -> None:
    other = asyncio.run(sandbox_up(TWO))
    assert _status(TWO).port != _status(ONE).port
    assert other.kubeconfig != made.kubeconfig
    groups = _in_node(ONE, "sh", "-c", "find /sys/fs/cgroup -maxdepth 2 -name 'devcluster-sandbox-edge-*'")
    assert {Path(line).name for line in groups.split()} == {f"devcluster-sandbox-{it}" for it in (ONE, TWO)}

    done = _cli("down", "--name", TWO)
    assert done.returncode == 0, done.stderr
    label = {"label": f"devcluster.sandbox={TWO}"}
    assert engine.containers.list(all=True, filters=label) == []
    assert engine.volumes.list(filters=label) == []
    assert not other.kubeconfig.parent.exists()
    assert _in_node(ONE, "sh", "-c", f"find /sys/fs/cgroup -maxdepth 3 -name '*{TWO}*'") == ""
    assert _cli("down", "--name", TWO).returncode == 0
    assert _status(TWO).state == "absent"
    with pytest.raises(NotFoundError, match=f"no sandbox named {TWO}"):
        asyncio.run(sandbox_kubeconfig(TWO))
    with _connected(made) as core:
        assert core.list_namespaced_pod("default").items


def test_a_name_is_checked() -> None:
    with pytest.raises(ConfigurationError, match="can't be a sandbox's name"):
        asyncio.run(sandbox_status("../x"))


def _claim() -> dict[str, Any]:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    return {"metadata": {"name": "data"}, "spec": spec}


def _pod(name: str, *, mount: bool = False) -> dict[str, Any]:
    """As uid 1001; with *mount* the claim's folder ``sub`` at /data."""
    container: dict[str, Any] = {"name": "app", "image": BASE_IMAGE, "command": ["sh", "-c", POD]}
    container["securityContext"] = {"runAsUser": 1001}
    spec: dict[str, Any] = {"containers": [container], "terminationGracePeriodSeconds": 0}
    if mount:
        container["volumeMounts"] = [{"name": "data", "mountPath": "/data", "subPath": "sub"}]
        spec["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    return {"metadata": {"name": name}, "spec": spec}
