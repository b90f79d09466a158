"""The cluster as devcluster sees it: credentials, errors in its own words, watches, finding the workload."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import json
import os
import signal
import stat
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from devcluster.config.model import Target
from devcluster.edge.kube.cluster import Cluster, open_cluster
from devcluster.edge.kube.context import read_context
from devcluster.edge.kube.workload import find_workload
from devcluster.errors import ChangedError, ClusterError, ConfigurationError, NotFoundError
from tests.edge.cluster_world import World, deployment, open_world, token_of, write_config

Json = dict[str, Any]


@pytest.fixture
async def world(kubeconfig: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    async with open_world() as world:
        yield world


def write_plugin(path: Path, text: str) -> Json:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(stat.S_IRWXU)
    return {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": str(path),
            "interactiveMode": "Never",
        }
    }


async def test_versions_guard_writes(world: World) -> None:
    cluster, space = world.cluster, world.namespace
    made = await cluster.create("configmap", {"metadata": {"name": "a"}, "data": {"x": "1"}}, space)
    version = made["metadata"]["resourceVersion"]
    with pytest.raises(ChangedError):
        await cluster.create("configmap", {"metadata": {"name": "a"}}, space)
    changed = await cluster.patch("configmap", "a", space, {"data": {"x": "2"}}, resource_version=version)
    assert changed["data"] == {"x": "2"}
    operation = [{"op": "replace", "path": "/data/x", "value": "3"}]
    with pytest.raises(ChangedError):
        await cluster.patch("configmap", "a", space, {"data": {"x": "3"}}, resource_version=version)
    with pytest.raises(ChangedError):
        await cluster.patch("configmap", "a", space, operation, type="json-patch", resource_version=version)
    with pytest.raises(ChangedError):
        await cluster.delete("configmap", "a", space, resource_version=version)
    rehearsed = await cluster.patch("configmap", "a", space, operation, type="json-patch", dry_run=True)
    assert rehearsed["data"] == {"x": "3"}
    assert (await cluster.get("configmap", "a", space))["data"] == {"x": "2"}
    await cluster.delete("configmap", "a", space, uid=made["metadata"]["uid"])
    assert await cluster.find("configmap", "a", space) is None
    with pytest.raises(NotFoundError, match="configmaps/a in namespace"):
        await cluster.get("configmap", "a", space)


async def test_watch_tells_what_is_there_and_each_change(world: World) -> None:
    cluster, space = world.cluster, world.namespace
    await cluster.create("configmap", {"metadata": {"name": "a", "labels": {"t": "1"}}}, space)
    seen = []
    async with asyncio.timeout(20):
        states = cluster.watch_all("configmap", space, selector="t=1")
        async with contextlib.aclosing(states):
            async for items in states:
                seen.append(" ".join(f"{it['metadata']['name']}{it.get('data', '')}" for it in items))
                match len(seen):
                    case 1:
                        body = {"metadata": {"name": "b", "labels": {"t": "1"}}}
                        await cluster.create("configmap", body, space)
                    case 2:
                        await cluster.patch("configmap", "a", space, {"data": {"x": "1"}})
                    case 3:
                        await cluster.delete("configmap", "a", space)
                    case 4:
                        break
    assert seen == ["a", "a b", "a{'x': '1'} b", "b"]


async def test_a_version_that_is_too_old_is_followed_by_a_new_list(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server answers 410; what happened meanwhile must still be told."""
    cluster, space = world.cluster, world.namespace
    body: Json = {"metadata": {"name": "a", "labels": {"t": "1"}}}
    await cluster.create("configmap", body, space)
    send = cluster.transport.send
    refused: list[str] = []

    def forgetful(method: str, path: str, **words: Any) -> Any:
        if "watch=true" in path and not refused:
            refused.append(path)
            asyncio.run_coroutine_threadsafe(meanwhile(), loop).result(20)
            return send(method, path.replace("resourceVersion=", "resourceVersion=1&x="), **words)
        return send(method, path, **words)

    async def meanwhile() -> None:
        await cluster.delete("configmap", "a", space)
        await cluster.create("configmap", {"metadata": {"name": "b", "labels": {"t": "1"}}}, space)

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(cluster.transport, "send", forgetful)
    async with asyncio.timeout(30):
        states = cluster.watch_all("configmap", space, selector="t=1")
        async with contextlib.aclosing(states):
            async for items in states:
                if [item["metadata"]["name"] for item in items] == ["b"]:
                    break
    assert refused


async def test_forbidden_names_verb_resource_and_namespace(
    world: World, kubeconfig: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = await token_of(world, {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get"]})
    write_config(tmp_path / "config", kubeconfig, {"token": token})
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    await world.cluster.create("deployment", deployment("web", "Recreate"), world.namespace)
    async with open_cluster() as limited:
        assert (await limited.get("deployment", "web", world.namespace))["spec"]
        with pytest.raises(ClusterError) as caught:
            await limited.patch("deployment", "web", world.namespace, {"spec": {"paused": True}})
        assert caught.value.message == f"cannot patch deployments in namespace {world.namespace}"
        assert "devcluster role" in caught.value.hint
        assert not await limited.may("patch", "apps", "deployments", world.namespace)
        assert await limited.may("get", "apps", "deployments", world.namespace)
        with pytest.raises(ClusterError, match="cannot get pods/log in namespace"):
            await limited.pod_logs("x", world.namespace, container="web")


async def test_unreachable_names_the_server(
    kubeconfig: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    write_config(tmp_path / "config", kubeconfig, {}, server=f"https://127.0.0.1:{port}")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    async with open_cluster() as cluster:
        with pytest.raises(ClusterError, match=rf"https://127.0.0.1:{port} can't be reached: .*refused"):
            await cluster.list("pod", "default")


async def test_no_kubeconfig_and_no_context(
    kubeconfig: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    with pytest.raises(ClusterError, match="no usable context nope") as caught:
        async with open_cluster("nope"):
            pass
    assert "it has: " in caught.value.hint
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "absent"))
    with pytest.raises(ClusterError, match="absent does not exist"):
        async with open_cluster():
            pass


async def test_a_failed_plugin_is_an_error_with_its_last_line(
    kubeconfig: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = write_plugin(tmp_path / "login", "echo first >&2; echo 'your login has expired' >&2; exit 1")
    write_config(tmp_path / "config", kubeconfig, user)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    async with open_cluster() as cluster:  # who only needs to know which cluster it is runs no plugin
        for _ in range(2):
            with pytest.raises(ClusterError, match="login gave no credentials: your login has expired"):
                await cluster.ping()
        (tmp_path / "login").unlink()
        with pytest.raises(ClusterError, match="gave no credentials"):
            await cluster.ping()


async def test_of_several_files_the_first_that_says_it_wins(
    kubeconfig: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with kubectl; each context keeps its own credentials."""
    theirs = {"current-context": "theirs", "contexts": [], "clusters": [], "users": []}
    (tmp_path / "theirs").write_text(json.dumps(theirs))
    monkeypatch.setenv("KUBECONFIG", f"{kubeconfig}{os.pathsep}{tmp_path / 'theirs'}")
    async with open_cluster() as cluster:
        assert cluster.context == read_context(str(kubeconfig), None).name  # type: ignore[union-attr]
        assert (await cluster.ping()).version


async def test_a_plugins_token_is_fetched_anew_when_it_expires(
    world: World, kubeconfig: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = await token_of(world, {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]})
    soon = (datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=5)).isoformat()
    status = f'{{"token": "{token}", "expirationTimestamp": "{soon}"}}'
    answer = (
        f'{{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {status}}}'
    )
    user = write_plugin(tmp_path / "login", f"echo run >>{tmp_path}/runs; echo '{answer}'")
    write_config(tmp_path / "config", kubeconfig, user)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    async with open_cluster() as cluster:
        assert (await cluster.list("pod", world.namespace)).items == ()
        target = await cluster.upgrade_target()
        assert dict(target.headers)["Authorization"] == f"Bearer {token}"
        assert token not in repr(target)
    assert len((tmp_path / "runs").read_text().split()) >= 3


async def test_a_process_that_is_killed_leaves_no_key(world: World, tmp_path: Path) -> None:
    """The test cluster's kubeconfig holds its client's key, as most do."""
    asking = f"""
import asyncio, os, signal
from devcluster.edge.kube.cluster import open_cluster
async def ask():
    async with open_cluster(None) as cluster:
        await cluster.list("configmap", {world.namespace!r})
        os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(ask())
"""
    environ = os.environ | {"TMPDIR": str(tmp_path)}
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", asking, env=environ)
    assert await process.wait() == -signal.SIGKILL
    assert list(tmp_path.iterdir()) == []


async def test_a_raw_connection_with_what_upgrade_target_says(world: World) -> None:
    target = await world.cluster.upgrade_target()
    reader, writer = await asyncio.open_connection(
        target.host, target.port, ssl=target.ssl, server_hostname=target.server_name
    )
    headers = "".join(f"{name}: {value}\r\n" for name, value in target.headers)
    request = f"GET {target.prefix}/api/v1/nodes HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n"
    writer.write(request.encode())
    assert (await reader.read()).startswith(b"HTTP/1.1 200")
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def refused(cluster: Cluster, target: Target, namespace: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        await find_workload(cluster, target, namespace)
    return f"{caught.value.message} / {caught.value.hint}"


async def test_finding_the_workload(world: World) -> None:
    cluster, space = world.cluster, world.namespace
    body = deployment("wordpress", "Recreate")
    await cluster.create("deployment", body, space)
    found = await find_workload(cluster, Target("wordpress"), space)
    assert (str(found.ref), found.container) == ("deployment/wordpress", "web")
    assert "app=wordpress" in found.selector

    text = await refused(cluster, Target("wordpres"), space)
    assert "no workload wordpres in namespace" in text
    assert "did you mean deployment/wordpress?" in text
    assert "there are: deployment/wordpress" in await refused(cluster, Target("zzz"), space)
    text = await refused(cluster, Target("wordpress", container="php"), space)
    assert "has no container php / it has: web" in text
    assert "does not exist" in await refused(cluster, Target("wordpress"), "kubeh-nowhere")


async def test_workloads_that_are_refused(world: World) -> None:
    cluster, space = world.cluster, world.namespace
    two = deployment("two", "Recreate")
    two["spec"]["template"]["spec"]["containers"].append({"name": "side", "image": "side"})
    await cluster.create("deployment", two, space)
    text = await refused(cluster, Target("two"), space)
    assert "has several containers: web, side / say which: `target: deployment/two/web`" in text
    assert (await find_workload(cluster, Target("two", container="side"), space)).container == "side"

    none = deployment("none", "Recreate")
    none["spec"]["replicas"] = 0
    await cluster.create("deployment", none, space)
    text = await refused(cluster, Target("none"), space)
    assert "has 0 replicas" in text
    assert f"kubectl scale --replicas=1 deployment/none -n {space}" in text

    stateful = deployment("db", "Recreate")
    del stateful["spec"]["strategy"]
    await cluster.create("statefulset", stateful, space)
    assert str((await find_workload(cluster, Target("db"), space)).ref) == "statefulset/db"
    pod = {"metadata": {"name": "bare"}, "spec": {"containers": [{"name": "web", "image": "x"}]}}
    await cluster.create("pod", pod, space)
    assert "pod/bare in namespace" in await refused(cluster, Target("bare"), space)
