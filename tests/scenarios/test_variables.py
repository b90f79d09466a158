"""Whose variable it is: the image's or the pod's, and the memory that Kubernetes tells an application.

Asked are the processes themselves: each server answers with its own environment.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.scenarios.python_world import ANSWER, Json, build_image, get, serve
from tests.scenarios.world import World

_HERE = "import json,urllib.request as u;print(json.dumps(json.load(u.urlopen('http://127.0.0.1:8080/'))))"


async def _local(world: World) -> dict[str, str]:
    """The environment of the local container's process."""
    done = await world.devcluster("exec", "web", "--", "python3", "-c", _HERE)
    found: dict[str, str] = json.loads(done.stdout)
    return found


def _image(kubeconfig: Path, folder: Path, name: str, base: str, *lines: str) -> str:
    folder.mkdir()
    (folder / "serve").write_text(f"#!/usr/bin/python3 -u\n{ANSWER}\nserve(8080)\n")
    (folder / "serve").chmod(0o755)
    program = f"COPY serve /opt/{name}/bin/serve"
    (folder / "Dockerfile").write_text("\n".join([f"FROM {base}", program, *lines, ""]))
    return build_image(kubeconfig, folder, name)


async def test_another_image_keeps_its_own_variables(
    world: World, python: str, kubeconfig: Path, tmp_path: Path
) -> None:
    tools = "ENV PATH=/opt/{0}/bin:/usr/bin:/bin TOOL_HOME=/opt/{0} SHARED=image DECLARED=prod FROM_MAP=prod"
    prod = _image(kubeconfig, tmp_path / "prod", "prod", python, tools.format("prod"), "ENV ONLY_PROD=1")
    dev = _image(
        kubeconfig, tmp_path / "dev", "dev", python, tools.format("dev"), "ENV ONLY_DEV=1 LEVEL=debug"
    )
    settings = {"metadata": {"name": "settings"}, "data": {"FROM_MAP": "prod", "LEVEL": "info"}}
    await world.cluster.create("configmap", settings, world.namespace)
    container = {"command": ["serve"], "envFrom": [{"configMapRef": {"name": "settings"}}]}
    env: dict[str, str | Json] = {"DECLARED": "prod", "SHARED": "pod"}
    await serve(world, "web", prod, "", env=env, container=container)
    head = f"name: shop\nnamespace: {world.namespace}\nworkloads:\n  web:\n    image: {dev}\n"
    world.write(f"{head}    entrypoint: [serve]\n")
    await world.devcluster("up", "-d")

    here = await _local(world)
    assert here["PATH"] == "/opt/dev/bin:/usr/bin:/bin"
    assert (here["TOOL_HOME"], here["ONLY_DEV"]) == ("/opt/dev", "1")
    assert "ONLY_PROD" not in here
    # what the pod's spec says wins, with the image's value too
    assert (here["DECLARED"], here["FROM_MAP"], here["SHARED"], here["LEVEL"]) == (
        "prod",
        "prod",
        "pod",
        "info",
    )
    shown = json.loads((await world.devcluster("env", "web", "--format", "json")).stdout)
    assert {"PATH", "TOOL_HOME", "ONLY_PROD"} & shown.keys() == set()
    assert shown["FROM_MAP"] == "prod"

    world.write(f"{head}    entrypoint: [serve]\n    env: {{exclude: [SHARED, LEVEL, WEB_*]}}\n")
    await world.devcluster("up", "-d")
    here = await _local(world)
    assert (here["SHARED"], here["LEVEL"]) == ("image", "debug")
    assert not any(name.startswith("WEB_") for name in here)


def _memory(divisor: str, resource: str = "limits.memory") -> Json:
    return {"resourceFieldRef": {"resource": resource, "divisor": divisor}}


_WITH_FILE = """
def page(request):
    told = open("/etc/pod/memory").read()
    return 200, dict(os.environ, FILE=told, ARGUMENT=sys.argv[1])
serve(8080)
"""


async def test_a_memory_limit_is_told_as_it_was(world: World, python: str) -> None:
    env: dict[str, str | Json] = {"MEM": _memory("1Mi"), "BYTES": _memory("1"), "OPTS": "-Xmx$(MEM)m"}
    field = {"containerName": "web", "resource": "limits.memory", "divisor": "1Mi"}
    api = {"items": [{"path": "memory", "resourceFieldRef": field}]}
    container = {
        "args": ["$(MEM)"],
        "resources": {"limits": {"memory": "256Mi"}, "requests": {"memory": "32Mi"}},
        "volumeMounts": [{"name": "pod", "mountPath": "/etc/pod"}],
    }
    volumes = {"volumes": [{"name": "pod", "downwardAPI": api}]}
    before = await serve(world, "web", python, _WITH_FILE, env=env, container=container, pod=volumes)
    told = {"MEM": "256", "BYTES": str(256 << 20), "OPTS": "-Xmx256m", "ARGUMENT": "256"}
    url = "http://web:8080/"
    there = await get(world, python, url)
    assert {name: there[name] for name in told} == told

    world.write(
        f"name: shop\nnamespace: {world.namespace}\nworkloads:\n  web: {{environment: {{HERE: 1}}}}\n"
    )
    await world.devcluster("up", "-d")
    here = await _local(world)
    assert {name: here[name] for name in (*told, "FILE")} == told | {"FILE": "256"}
    raw = json.loads((await world.devcluster("env", "web", "--raw", "--format", "json")).stdout)
    assert {name: raw[name] for name in ("MEM", "BYTES", "OPTS")} == {
        name: told[name] for name in ("MEM", "BYTES", "OPTS")
    }

    await world.devcluster("leave")
    there = await get(world, python, url)
    assert "HERE" not in there
    assert {name: there[name] for name in told} == told
    await world.devcluster("down", "-v")
    assert await world.template() == before["spec"]["template"]


@pytest.mark.slow
async def test_a_limit_that_admission_gives_is_told_as_it_was(world: World, python: str) -> None:
    """The template says nothing of memory; and a request that is equal to its limit grows with it."""
    limits = [{"type": "Container", "default": {"memory": "192Mi"}, "defaultRequest": {"memory": "192Mi"}}]
    given = {"metadata": {"name": "given"}, "spec": {"limits": limits}}
    await world.cluster.create("limitrange", given, world.namespace)
    env: dict[str, str | Json] = {
        "GOMEMLIMIT": _memory("1"),
        "REQUEST": _memory("1Mi", "requests.memory"),
        "HEAP": "$(REQUEST)m $$(REQUEST)",
    }
    before = await serve(world, "web", python, "serve(8080)", env=env)
    told = {"GOMEMLIMIT": str(192 << 20), "REQUEST": "192", "HEAP": "192m $(REQUEST)"}
    there = await get(world, python, "http://web:8080/")
    assert {name: there[name] for name in told} == told
    world.write(f"name: shop\nnamespace: {world.namespace}\nworkloads:\n  web: {{}}\n")
    await world.devcluster("up", "-d")
    here = await _local(world)
    assert {name: here[name] for name in told} == told
    await world.devcluster("leave")
    there = await get(world, python, "http://web:8080/")
    assert {name: there[name] for name in told} == told
    await world.devcluster("down")
    assert await world.template() == before["spec"]["template"]
