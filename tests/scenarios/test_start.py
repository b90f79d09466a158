"""How the application is started: its words arrive as its image and its pod say them, on both sides; an init
that must be process 1 is refused by name.

Words are read where the kernel keeps them, so nothing that prints them can bend them.  (That the stop signal
of an image is honoured is shown with the example's Apache, in test_wordpress.)
"""

from __future__ import annotations

import contextlib
import json
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from devcluster.rules.container.docker_names import container_name
from tests.edge.cluster_world import node_of
from tests.scenarios.load import steady_load
from tests.scenarios.python_world import get, serve
from tests.scenarios.world import World

_ODD = (
    "$HOME",
    "$(HOME)",
    "$$(HOME)",
    "$$",
    "it's",
    '"quoted"',
    "two\nlines",
    "",
    " ",
    "ünï",
    "\\n",
    "${X:-y}",
)
_SERVE = ("http", ":8080")


@contextlib.contextmanager
def _image(kubeconfig: Path, folder: Path, *lines: str) -> Iterator[str]:
    """An image of these lines, here and in the cluster's node; removed at the end."""
    tag = f"devcluster-test/start:{secrets.token_hex(6)}"
    (folder / "Dockerfile").write_text("".join(f"{line}\n" for line in lines))
    node, here = ["docker", "exec", "-i", node_of(kubeconfig), "ctr", "-n", "k8s.io", "images"], ["docker"]
    _run([*here, "build", "-q", "-t", tag, str(folder)])
    try:
        archive = _run([*here, "save", tag])
        _run([*node, "import", "-"], archive)
        yield tag
        _run([*node, "rm", f"docker.io/{tag}"])
    finally:
        _run([*here, "rmi", "-f", tag])


def _run(words: list[str], given: bytes | None = None) -> bytes:
    return subprocess.run(words, input=given, capture_output=True, check=True, timeout=120).stdout


def _running(marker: str) -> dict[int, tuple[str, ...]]:
    """The application's processes with *marker* among their words: process id to all words."""
    found = {}
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            raw = (folder / "cmdline").read_bytes() if folder.name.isdigit() else b""
            words = tuple(raw.decode().split("\0")[:-1])
            if words[:1] == ("/app",) and marker in words:
                found[int(folder.name)] = words
    return found


def _local_process(world: World, key: str) -> int:
    """The only child of the container's init."""
    name = container_name(world.project, key)
    first = int(_run(["docker", "inspect", "-f", "{{.State.Pid}}", name]))
    (child,) = Path(f"/proc/{first}/task/{first}/children").read_text().split()
    return int(child)


@pytest.fixture
def marker() -> str:
    return secrets.token_hex(8)


@pytest.mark.slow
async def test_odd_words_arrive_as_they_are(
    world: World, kubeconfig: Path, tmp_path: Path, marker: str
) -> None:
    """`web` has them in its image, `api` in its pod, where Kubernetes puts variables into `$(NAME)`."""
    home = {"env": [{"name": "IDENTITY", "value": "original"}, {"name": "HOME", "value": "/pod"}]}
    command = (*_SERVE, marker, *_ODD)
    expected = {
        "web": ("/app", *command),
        "api": ("/app", *_SERVE, f"api-{marker}", "/pod", "$(HOME)", "$HOME", "'"),
    }
    with _image(kubeconfig, tmp_path, f"FROM {world.app}", f"CMD {json.dumps(command)}") as image:
        await world.deploy(container={"image": image, "args": []} | home)
        args = [*_SERVE, f"api-{marker}", "$(HOME)", "$$(HOME)", "$HOME", "'"]
        await world.deploy("api", container={"args": args} | home)
        world.write(
            f"name: shop\nnamespace: {world.namespace}\nworkloads:\n"
            "  web: {environment: {IDENTITY: local, HOME: /local}}\n  api: {environment: {IDENTITY: local}}\n"
        )
        marks = {"web": marker, "api": f"api-{marker}"}
        there = {key: _running(mark) for key, mark in marks.items()}
        assert {key: list(found.values()) for key, found in there.items()} == _alone(expected)

        await world.devcluster("up", "-d")
        assert await world.who(5) == {"local": 5}
        here = {key: {_local_process(world, key): expected[key]} for key in marks}
        assert {key: _running(mark) for key, mark in marks.items()} == here

        await world.devcluster("leave")
        assert await world.who(5) == {"original": 5}
        again = {key: _running(mark) for key, mark in marks.items()}
        assert {key: list(found.values()) for key, found in again.items()} == _alone(expected)
        assert all(again[key].keys().isdisjoint(here[key]) for key in marks)
        await world.devcluster("down", "--volumes")


def _alone(words: dict[str, tuple[str, ...]]) -> dict[str, list[tuple[str, ...]]]:
    return {key: [said] for key, said in words.items()}


async def test_an_init_that_must_be_process_1_is_refused_by_name(
    world: World, kubeconfig: Path, tmp_path: Path
) -> None:
    lines = (
        "FROM scratch",
        f"COPY --from={world.app} /app /init",
        f"COPY --from={world.app} /app /lib/systemd/systemd",
        'ENTRYPOINT ["/init"]',
        f"CMD {json.dumps(_SERVE)}",
    )
    with _image(kubeconfig, tmp_path, *lines) as image:
        await world.deploy(container={"image": image, "args": []})
        command = {"command": ["/lib/systemd/systemd"], "args": list(_SERVE)}
        await world.deploy("api", container={"image": image} | command)
        before = [await world.template(name) for name in ("web", "api")]
        world.write(f"name: shop\nnamespace: {world.namespace}\nworkloads: {{web: {{}}, api: {{}}}}\n")
        for name, init in (("web", "s6-overlay's /init"), ("api", "systemd")):
            done = await world.devcluster("up", "-d", name, code=2)
            assert f"container {name} is started by {init}, which must be process 1" in done.stderr
            assert "`command`" in done.stderr
        assert [await world.template(name) for name in ("web", "api")] == before
        assert await world.cluster_leftovers() == world.docker_leftovers() == []


_LATE = """
import time
time.sleep(float(os.environ.get("LATE", "0")))
def page(request):
    return 200, {"identity": os.environ["WHO"], "id": request.headers["X-Request-Id"]}
serve(8080)
"""


@pytest.mark.slow
async def test_one_that_listens_late_at_a_port_that_nobody_declares(world: World, python: str) -> None:
    """As `kubectl create deployment` and `kubectl expose` leave it: only the Service knows the port."""
    await serve(world, "web", python, _LATE, env={"WHO": "original"})
    target = [{"op": "replace", "path": "/spec/ports/0/targetPort", "value": 8080}]
    await world.cluster.patch("service", "web", world.namespace, target, type="json-patch")
    where = "/spec/template/spec/containers/0"
    bare = [{"op": "remove", "path": f"{where}/{key}"} for key in ("ports", "readinessProbe")]
    await world.cluster.patch("deployment", "web", world.namespace, bare, type="json-patch")
    await world.available("web")
    world.write(
        f"name: shop\nnamespace: {world.namespace}\n"
        "workloads: {web: {mode: intercept, environment: {WHO: local, LATE: '8'}}}\n"
    )
    await world.devcluster("up", "-d")
    await world.devcluster("leave")
    async with steady_load(world, "http://web:8080/", rate=20) as load:
        await world.devcluster("up", "-d")
        assert (await get(world, python, "http://web:8080/"))["identity"] == "local"
    print(f"up with a local container that listens after 8 s: {load}")
    assert load.unanswered == 0
    (port,) = (await world.status())["ports"]
    assert port["container"] == 8080
