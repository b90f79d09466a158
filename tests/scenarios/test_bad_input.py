"""Bad input: the message says what is wrong and the way on, the exit code whose fault it is, and nothing has
changed anywhere: not in the namespace, not in Docker, not on the laptop's disk.

One namespace serves all: each case is judged against what stood there before the first of them.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml

from tests.edge.cluster_world import token_of, write_config
from tests.scenarios.laptops import host_processes
from tests.scenarios.world import World, open_world

pytestmark = pytest.mark.asyncio(loop_scope="module")

_KINDS = ("deployment", "service", "secret", "configmap", "replicaset", "pod")
_NOBODY = "127.0.0.1:1"  # tcpmux: nobody listens there
_SIDECAR = {"name": "sidecar", "args": ["serve", "http=:9090"]}


@dataclass(frozen=True, slots=True)
class Scene:
    """``before``: what stood in the namespace; ``weak``: a kubeconfig that may not patch Deployments."""

    world: World
    before: tuple[str, ...]
    weak: Path
    unreachable: Path


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def opened(
    kubeconfig: Path, app: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Scene]:
    """`web` with one container and `pair` with two."""
    folder = tmp_path_factory.mktemp("bad-input")
    async with open_world(kubeconfig, folder, app) as world:
        await world.deploy()
        sidecar = _SIDECAR | {"image": app}
        main = (await world.template())["spec"]["containers"][0] | {"name": "pair"}
        await world.deploy("pair", pod={"containers": [main, sidecar]})
        weak = await _weak(world, kubeconfig)
        unreachable = folder / "unreachable"
        write_config(unreachable, kubeconfig, {"token": "x"}, server=f"https://{_NOBODY}")
        yield Scene(world, await _standing(world), weak, unreachable)


@pytest.fixture
def scene(opened: Scene, tmp_path: Path) -> Scene:
    """With a project folder and a state folder of the case's own."""
    environ = opened.world.environ | {"XDG_STATE_HOME": str(tmp_path / "state")}
    return replace(opened, world=replace(opened.world, folder=tmp_path, environ=environ))


async def _weak(world: World, kubeconfig: Path) -> Path:
    role, _ = yaml.safe_load_all((await world.devcluster("role")).stdout)
    for rule in role["rules"]:
        if "deployments" in rule["resources"]:
            rule["verbs"] = [verb for verb in rule["verbs"] if verb != "patch"]
    path = world.folder / "weak"
    write_config(path, kubeconfig, {"token": await token_of(world, *role["rules"])})
    return path


async def _standing(world: World) -> tuple[str, ...]:
    """Every object of the namespace in its version, which whoever writes to it raises."""
    found = []
    for kind in _KINDS:
        for item in (await world.cluster.list(kind, world.namespace, metadata_only=True)).items:
            meta = item["metadata"]
            version = "" if meta["name"] == "token" else meta["resourceVersion"]  # its use is noted in it
            found.append(f"{kind}/{meta['name']} {meta['uid']} {meta.get('generation')} {version}")
    return tuple(sorted(found))


async def _assert_nothing_changed(scene: Scene) -> None:
    world = scene.world
    assert await _standing(world) == scene.before
    assert world.docker_leftovers() == []
    async with asyncio.timeout(20):
        while host_processes(world):  # it has told the error, and ends as it has nothing to hold
            await asyncio.sleep(0.05)
    state = world.folder / "state"
    assert [path.name for path in state.rglob("*") if path.is_socket()] == []


@dataclass(frozen=True, slots=True)
class Case:
    """``workloads``: the file's, or the whole file where it is a text; ``says``: parts of what is told."""

    code: int
    says: tuple[str, ...]
    workloads: Any = None
    words: tuple[str, ...] = ("up", "-d")
    environ: tuple[tuple[str, str], ...] = ()


_CASES = {
    "unknown key": Case(
        2,
        ("devcluster.yaml:4:9: workloads.web.imgae: unknown key", "did you mean image?", "  web: {imgae: x}"),
        "web: {imgae: x}",
    ),
    "wrong types, all at once": Case(
        2,
        (
            'devcluster.yaml:4:15: workloads.web.mode: expected replace, intercept or ingest, got "steal"',
            "devcluster.yaml:5:16: workloads.pair.cpus: expected a number",
            "                 ^",
        ),
        "web: {mode: steal}\n  pair: {cpus: many}",
    ),
    "a value of the environment is not shown": Case(
        2, ("devcluster.yaml:4:", "workloads.web.environment"), "web: {environment: {IDENTITY: [planted-9]}}"
    ),
    "not built yet": Case(2, ("workloads.web.platform", "not built yet"), "web: {platform: linux/arm64}"),
    "no file": Case(2, ("devcluster.yaml",), words=("up", "-d", "-f", "elsewhere/devcluster.yaml")),
    "a workload that the cluster does not have": Case(
        2,
        ("no workload wbe in namespace NAMESPACE", "looked for: deployment", "did you mean deployment/web?"),
        "wbe: {}",
    ),
    "a workload that the file does not have": Case(
        2, ("devcluster.yaml has no workload 'wbe'", "did you mean web?"), words=("up", "-d", "wbe")
    ),
    "two containers": Case(
        2,
        (
            "deployment/pair in namespace NAMESPACE has several containers: pair, sidecar",
            "`target: deployment/pair/pair`",
        ),
        "pair: {}",
        ("up",),
    ),
    "a container that is not there": Case(
        2,
        ("has no container sidecra", "it has: pair, sidecar"),
        "pair: {target: deployment/pair/sidecra}",
        ("up",),
    ),
    "a good one beside a bad one": Case(2, ("no workload wbe",), "web: {}\n  wbe: {}"),
    "a namespace that is not there": Case(
        2, ("namespace nosuch-NAMESPACE does not exist",), words=("up", "-d", "-n", "nosuch-NAMESPACE")
    ),
    "a context that is not there": Case(
        4, ("no usable context nosuch", "it has: ", "--context"), words=("up", "-d", "--context", "nosuch")
    ),
    "no kubeconfig": Case(
        4,
        ("no kubeconfig: ", "`devcluster sandbox up`"),
        environ=(("KUBECONFIG", "/nonexistent/kubeconfig"),),
    ),
    "no cluster": Case(
        4, (f"at https://{_NOBODY} can't be reached", "VPN"), environ=(("KUBECONFIG", "UNREACHABLE"),)
    ),
    "no cluster, in the foreground": Case(
        4,
        (f"at https://{_NOBODY} can't be reached",),
        words=("up",),
        environ=(("KUBECONFIG", "UNREACHABLE"),),
    ),
    "forbidden": Case(
        4,
        ("cannot patch deployments in namespace NAMESPACE", "`devcluster role`"),
        environ=(("KUBECONFIG", "WEAK"),),
    ),
    "no Docker": Case(
        5,
        ("Docker", "/nonexistent/docker.sock"),
        environ=(("DOCKER_HOST", "unix:///nonexistent/docker.sock"),),
    ),
    "no Docker, in the foreground": Case(
        5,
        ("Docker", "/nonexistent/docker.sock"),
        words=("up",),
        environ=(("DOCKER_HOST", "unix:///nonexistent/docker.sock"),),
    ),
    "an image that can't be pulled": Case(
        2,
        (f"image {_NOBODY}/none:1 can be neither found nor pulled: ", "refused", "`image:`", "`build:`"),
        f"web: {{image: '{_NOBODY}/none:1'}}",
    ),
    "an image with a name that none can have": Case(
        2,
        ("image WordPress:dev can be neither found nor pulled: ", "`image:`"),
        "web: {image: 'WordPress:dev'}",
    ),
    "a Service to rewrite that is not there": Case(
        2,
        ("workloads.web.rewrite.services: namespace", "has no Service wep", "did you mean web?"),
        "web: {rewrite: {environment: false, services: [wep]}}",
        ("up", "-d"),
    ),
    "a folder that can't be made": Case(
        2,
        (
            "workloads.web.mounts: ",
            "/devcluster.yaml/src can't be made: ",
            "/devcluster.yaml is not a folder",
        ),
        "web: {mounts: ['./devcluster.yaml/src:/src']}",
    ),
    "a folder with files of one's own": Case(
        2,
        ("holds files that did not come from this volume", "choose another `path`"),
        "web: {volumes: {service-account-token: {path: .}}}",
        ("up",),
    ),
    "two names of one workload": Case(
        2,
        ("workloads.two: deployment/web is the target of web already",),
        "web: {}\n  two: {target: deployment/web}",
    ),
    "two volumes in one folder": Case(
        2,
        (
            "devcluster.yaml:5:79: workloads.two.volumes.service-account-token.path: shares the folder ",
            "with workloads.web.volumes.service-account-token.path",
        ),
        "web: {volumes: {service-account-token: {path: ./copy}}}\n"
        "  two: {target: deployment/pair/pair, volumes: {service-account-token: {path: ./copy/two}}}",
    ),
    "an address that the laptop does not have": Case(
        2,
        ("192.0.2.1 under `ports` is not an address of this laptop",),
        "web: {ports: ['192.0.2.1:8099:80']}",
    ),
    "an image that must not be pulled": Case(
        2,
        ("can be neither found nor pulled: ", "never"),
        f"web: {{image: '{_NOBODY}/none:1', pull_policy: never}}",
        ("up",),
    ),
}


@pytest.mark.parametrize("name", _CASES)
async def test_bad_input_changes_nothing(scene: Scene, name: str) -> None:
    case, world = _CASES[name], scene.world
    world.write(f"name: shop\nnamespace: {world.namespace}\nworkloads:\n  {case.workloads or 'web: {}'}\n")
    fill = {"NAMESPACE": world.namespace, "UNREACHABLE": str(scene.unreachable), "WEAK": str(scene.weak)}
    environ = {key: fill.get(value, value) for key, value in case.environ}
    words = [_filled(word, world) for word in case.words]
    done = await world.devcluster(*words, code=case.code, environ=environ)
    for part in case.says:
        assert _filled(part, world) in done.stderr
    assert done.stdout == ""
    assert "planted-9" not in done.stderr
    assert "Traceback" not in done.stderr
    await _assert_nothing_changed(scene)


@pytest.mark.slow
async def test_what_docker_refuses_is_put_back(world: World) -> None:
    """Only the engine knows what it can't do, and only once everything else is there."""
    await world.deploy()
    before = (await world.template())["spec"]
    for setting, says in (
        ("devices: [/dev/nope]", "/dev/nope"),
        ("sysctls: {kernel.nope: 1}", "kernel.nope"),
        ("working_dir: /dev/null/x", "/dev/null"),
    ):
        world.write(f"name: shop\nnamespace: {world.namespace}\nworkloads:\n  web: {{{setting}}}\n")
        done = await world.devcluster("up", "-d", code=1)
        assert says in done.stderr
        assert "deployment/web was put back" in done.stderr
        assert (await world.template())["spec"] == before
        assert (world.docker_leftovers(), await world.cluster_leftovers()) == ([], [])


def _filled(text: str, world: World) -> str:
    return text.replace("NAMESPACE", world.namespace)


@pytest.mark.parametrize(("code", "variable"), [(4, "KUBECONFIG"), (5, "DOCKER_HOST")])
async def test_a_refusal_is_one_document(scene: Scene, code: int, variable: str) -> None:
    world = scene.world
    world.write(f"name: shop\nnamespace: {world.namespace}\nworkloads: {{web: {{}}}}\n")
    value = str(scene.weak) if code == 4 else "unix:///nonexistent/docker.sock"
    done = await world.devcluster("up", "-d", "-o", "json", code=code, environ={variable: value})
    error = json.loads(done.stdout)["error"]
    assert error["exit_code"] == code
    assert ("cannot patch deployments" if code == 4 else "/nonexistent/docker.sock") in error["message"]
    assert error["hint"]
    await _assert_nothing_changed(scene)


@pytest.mark.parametrize("words", [("list",), ("status",), ("plan",)])
async def test_a_namespace_that_is_not_there_is_no_empty_one(scene: Scene, words: tuple[str, ...]) -> None:
    world = scene.world
    world.write(f"name: shop\nnamespace: nosuch-{world.namespace}\nworkloads: {{web: {{}}}}\n")
    done = await world.devcluster(*words, code=2)
    assert f"namespace nosuch-{world.namespace}" in done.stderr
    assert "does not exist" in done.stderr
    assert "kubectl get namespaces" in done.stderr
    await _assert_nothing_changed(scene)


async def test_an_empty_namespace_says_that_it_is(scene: Scene) -> None:
    """By rights that don't tell whether it is there at all: an empty list, and why it is empty."""
    world = scene.world
    name = f"empty-{world.namespace}"
    await world.cluster.create("namespace", {"metadata": {"name": name}})
    try:
        done = await world.devcluster("list", "-n", name)
        assert f"no workloads in namespace {name}" in done.stderr
        assert (await world.devcluster("list", "-n", name, "-o", "json")).json == {"workloads": []}
    finally:
        await world.cluster.delete("namespace", name)


async def test_status_says_why_a_workload_is_absent(scene: Scene) -> None:
    world = scene.world
    world.write(f"name: shop\nnamespace: {world.namespace}\nworkloads: {{wbe: {{}}}}\n")
    (row,) = (await world.devcluster("status", "-o", "json")).json["workloads"]
    assert (row["state"], row["pods_wanted"]) == ("absent", 0)
    assert f"no workload wbe in namespace {world.namespace}" in row["reason"]
