"""``examples/hello``, as its README says it: the laptop answers for the Service, and the pod goes on."""

from __future__ import annotations

import asyncio
import functools
import re
import subprocess
from typing import Any

from tests.scenarios.forking import ROOT
from tests.scenarios.world import World

_README = (ROOT / "examples" / "hello" / "README.md").read_text()
_GET = """
import json, sys, time, urllib.error, urllib.request

def get(url):  # a pod without a probe counts as ready before it listens
    for _ in range(150):
        try:
            return urllib.request.urlopen(url, timeout=20).read().decode()
        except urllib.error.URLError:
            time.sleep(0.2)

print(json.dumps({url: get(url) for url in sys.argv[1:]}))
"""


async def _pod(world: World) -> dict[str, Any]:
    (pod,) = (await world.cluster.list("pod", world.namespace, selector="app=hello")).items
    return dict(pod)


async def _ask(world: World) -> tuple[str, str]:
    """What a pod gets from the Service, and at the pod's own address."""
    pod = await _pod(world)
    image = pod["spec"]["containers"][0]["image"]
    urls = ("http://hello/", f"http://{pod['status']['podIP']}:8080/it")
    answers = await world.ask("python3", "-c", _GET, *urls, image=image)
    return answers[urls[0]], answers[urls[1]]


def _written(world: World, language: str, start: str) -> str:
    """The README's block that starts so, in this scenario's namespace and with the project's name."""
    (block,) = re.findall(rf"```{language}\n({re.escape(start)}.*?)```", _README, re.DOTALL)
    names = (("name: hello\n", "name: shop\n"), ("namespace: default\n", f"namespace: {world.namespace}\n"))
    return functools.reduce(lambda text, pair: text.replace(*pair), names, str(block))


async def test_the_readme_as_written(world: World) -> None:
    await world.devcluster("example", "hello", "up", "-n", world.namespace)
    before = await world.template("hello")
    pod = await _pod(world)
    assert await _ask(world) == tuple(
        f"hello from {pod['metadata']['name']}: {path}\n" for path in ("/", "/it")
    )
    build = _written(world, "console", "$ docker build").removeprefix("$ ").split()
    await asyncio.to_thread(subprocess.run, build, cwd=ROOT, check=True, timeout=300, capture_output=True)
    world.write(_written(world, "yaml", "# devcluster.yaml"))

    await world.devcluster("up", "-d")
    name = (await _pod(world))["metadata"]["name"]
    by_service, by_address = await _ask(world)
    assert "Welcome to nginx!" in by_service
    assert by_address == f"hello from {name}: /it\n"
    assert (await world.status("hello"))["mode"] == "intercept"

    await world.devcluster("down")
    name = (await _pod(world))["metadata"]["name"]
    assert await _ask(world) == (f"hello from {name}: /\n", f"hello from {name}: /it\n")
    assert await world.template("hello") == before
    assert await world.cluster_leftovers() == world.docker_leftovers() == []

    await world.devcluster("example", "hello", "down", "-n", world.namespace)
    assert await world.cluster.find("deployment", "hello", world.namespace) is None
    assert await world.cluster.find("service", "hello", world.namespace) is None
