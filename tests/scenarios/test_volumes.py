"""The pod's volumes in the local container: what is copied, what is kept, what is refused."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import json
import os
import ssl
import subprocess
import tarfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import yaml

from tests.edge.cluster_world import node_of
from tests.scenarios.trees import Tree, local_look, pod_files
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


_PLANT = """
cd data
mkdir -p cache deep/er deep/sticky scratch
echo big > cache/big
echo old > scratch/old
printf "define( 'DB_HOST', 'web:80' );\\n" > wp-config.php
for name in both theirs; do echo first > $name; done
echo odd > deep/er/plain
ln deep/er/plain deep/hard
ln -s ../nowhere deep/link
chown 1001:33 deep/er/plain scratch
chown -h 7:8 deep/link
chown 12:34 deep/sticky
chmod 4750 deep/er/plain
chmod 1770 deep/sticky
chmod 2750 scratch
touch -d "2001-02-03 04:05:06.789012345" deep/er/plain deep/er
"""

_CLAIM_FILE = """name: shop
namespace: {}
workloads:
  web:
    environment: {{IDENTITY: local, LAST_WORDS: ''}}
    volumes:
      /data: {{exclude: ['cache/**'], rewrite: [wp-config.php]}}
      /scratch: {{mode: empty}}
      key: {{mode: 'off'}}
"""


async def _deploy_with_claim(world: World, node: str) -> None:
    """One that must never run twice, with a claim in which there is every kind of name; when it is asked to
    end it leaves its pod's name in ``/data/last``."""
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "64Mi"}}}
    claim: Json = {"metadata": {"name": "data"}, "spec": spec}
    await world.cluster.create("persistentvolumeclaim", claim, world.namespace, manager="tester")
    secret = {"metadata": {"name": "key"}, "stringData": {"key": "x"}}
    await world.cluster.create("secret", secret, world.namespace, manager="tester")
    mounts = [
        {"name": "data", "mountPath": "/data"},
        {"name": "data", "mountPath": "/scratch", "subPath": "scratch"},
        {"name": "key", "mountPath": "/key"},
        {"name": "inner", "mountPath": "/data/inner"},
    ]
    volumes = [
        {"name": "data", "persistentVolumeClaim": {"claimName": "data"}},
        {"name": "key", "secret": {"secretName": "key"}},
        {"name": "inner", "secret": {"secretName": "key"}},
    ]
    env = [{"name": "IDENTITY", "value": "original"}, {"name": "LAST_WORDS", "value": "/data/last"}]
    container = {"volumeMounts": mounts, "env": env}
    await world.deploy(strategy="Recreate", container=container, pod={"volumes": volumes})
    (await pod_files(world, node)).shell(_PLANT)


async def test_a_copy_is_the_claim_after_its_last_word(world: World, kubeconfig: Path) -> None:
    """Owners, modes, times, links; without what is excluded, rewritten here alone, with what the original
    wrote while it ended; then what changed on both sides."""
    node = node_of(kubeconfig)
    await _deploy_with_claim(world, node)
    before = (await pod_files(world, node)).look("/data")
    world.write(_CLAIM_FILE.format(world.namespace))
    await world.devcluster("up", "-d")

    pod = await pod_files(world, node)
    claim, copy = pod.look("/data"), await local_look(world, "/data", "/scratch", "/key")
    last = claim.pop("/data/last")
    assert last["sha256"] == _hash(pod.pod)
    assert copy.pop("/data/last") == last
    _assert_only_the_copy_is_rewritten(world, before, claim, copy)
    assert copy.pop("/scratch") == pod.look("/scratch")["/scratch"]  # and nothing in it
    assert pod.look("/key").keys() > {"/key"}
    assert "/data/cache" in copy
    assert claim.pop("/data/cache/big")["sha256"] == _hash("big\n")
    assert copy == claim  # without /key

    for name in ("both", "mine"):
        await world.devcluster("exec", "web", "--", "/app", "put", f"/data/{name}", "mine")
    await world.devcluster("leave")
    pod.shell("cd data; for name in both theirs; do echo theirs > $name; done")
    again = await world.devcluster("up", "-d")
    assert "volume /data: 1 file changed here and in the pod; your versions were kept: both" in again.stderr
    copy, claim = await local_look(world, "/data"), pod.look("/data")
    assert {name: copy[f"/data/{name}"]["sha256"] for name in ("both", "mine", "theirs")} == {
        "both": _hash("mine"),
        "mine": _hash("mine"),
        "theirs": _hash("theirs\n"),
    }
    assert claim["/data/both"]["sha256"] == _hash("theirs\n")
    assert "/data/mine" not in claim


def _assert_only_the_copy_is_rewritten(world: World, before: Tree, claim: Tree, copy: Tree) -> None:
    name = "/data/wp-config.php"
    assert claim[name] == before[name]
    here, there = copy.pop(name), claim.pop(name)
    assert here["sha256"] == _hash(f"define( 'DB_HOST', 'web.{world.namespace}:80' );\n")
    del here["sha256"], there["sha256"]
    assert here == there


async def test_a_limit_refuses_a_first_up_and_nothing_is_left(world: World) -> None:
    """Neither here nor there, also of the volumes that are within their own."""
    await _deploy(world, {"mountPath": "/etc/app"})
    before = await world.template()
    _write(world, "{config: {limit: 100KiB, path: ./config.vol}}")
    refused = await world.devcluster("up", "-d", code=1)
    assert "volume config has 878.9 KiB in 1 file; its limit is 100.0 KiB" in refused.stderr
    assert "deployment/web was put back" in refused.stderr
    assert await world.template() == before
    assert await world.cluster_leftovers() == []
    assert world.docker_leftovers() == []
    assert not (world.folder / "config.vol").exists()
    assert await world.who(5) == {"original": 5}


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
async def test_the_token_is_one_of_a_pod_that_is_there(world: World) -> None:
    """A token ends with the pod that it was made for; so the copy follows the pod that serves now."""
    await world.deploy()
    _write(world, "{}")
    await world.devcluster("up", "-d")
    (old,) = (await world.cluster.list("pod", world.namespace, selector="app=web")).items
    assert await _token_of(world) == (old["metadata"]["uid"], True)

    await world.cluster.delete("pod", old["metadata"]["name"], world.namespace)
    started = time.monotonic()
    async with asyncio.timeout(120):
        while (seen := await _token_of(world))[0] == old["metadata"]["uid"] or not seen[1]:
            await asyncio.sleep(0.5)
    print(f"another token {time.monotonic() - started:.1f} s after its pod was deleted")


@pytest.mark.slow
async def test_the_token_is_renewed_while_its_pod_stays(world: World) -> None:
    """The kubelet renews it after 80 % of its life; what stands beside it can be changed at once."""
    sources = [
        {"serviceAccountToken": {"path": "token", "expirationSeconds": 600}},
        {"configMap": {"name": "beside"}},
    ]
    beside: Json = {"metadata": {"name": "beside"}, "data": {"color": "green"}}
    await world.cluster.create("configmap", beside, world.namespace, manager="tester")
    await world.deploy(
        container={"volumeMounts": [{"name": "tokens", "mountPath": "/tokens"}]},
        pod={"volumes": [{"name": "tokens", "projected": {"sources": sources}}]},
    )
    _write(world, "{}")
    await world.devcluster("up", "-d")
    name = _container(world)
    assert _read(name, "/tokens/color") == "green"
    await world.cluster.patch("configmap", "beside", world.namespace, {"data": {"color": "red"}})
    started = time.monotonic()
    async with asyncio.timeout(3 * 180):  # the kubelet takes a minute or more, and so do we
        while _read(name, "/tokens/color") != "red":
            await asyncio.sleep(1)
    print(f"renewed after {time.monotonic() - started:.0f} s")
    assert _container(world) == name


def _read(container: str, path: str) -> str:
    """A file of the container's, through its links."""
    done = subprocess.run(["docker", "cp", "-L", f"{container}:{path}", "-"], capture_output=True, timeout=30)
    if done.returncode != 0:  # just now replaced
        return ""
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        files = [archive.extractfile(member) for member in archive.getmembers()]
        return files[0].read().decode() if files and files[0] else ""  # the same, a moment later


async def _token_of(world: World) -> tuple[str, bool]:
    """The pod that the local container's token was made for, and whether the API server knows it."""
    token = _read(_container(world), "/var/run/secrets/kubernetes.io/serviceaccount/token")
    if not token:
        return "", False
    payload = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims["kubernetes.io"]["pod"]["uid"], await asyncio.to_thread(_is_known, token)


def _is_known(token: str) -> bool:
    config = yaml.safe_load(Path(os.environ["KUBECONFIG"]).read_text())["clusters"][0]["cluster"]
    authority = base64.b64decode(config["certificate-authority-data"]).decode()
    request = urllib.request.Request(f"{config['server']}/api", headers={"Authorization": f"Bearer {token}"})  # noqa: S310
    try:
        with urllib.request.urlopen(  # noqa: S310 - the sandbox's own
            request, context=ssl.create_default_context(cadata=authority), timeout=30
        ):
            return True
    except urllib.error.HTTPError as error:
        return error.code == 403
