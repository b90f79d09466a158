"""``examples/hello``, as its README says it: the laptop answers for the Service, and the pod goes on."""

from __future__ import annotations

import asyncio
import functools
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import yaml

from tests.scenarios.forking import ROOT
from tests.scenarios.laptops import host_processes
from tests.scenarios.test_host import free_port, until_listening
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
    pods = (await world.cluster.list("pod", world.namespace, selector="app=hello")).items
    (pod,) = (pod for pod in pods if "deletionTimestamp" not in pod["metadata"])
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


async def test_a_process_as_the_readme_says_it(world: World) -> None:
    """In one line, without a file; nothing names the namespace but the kubeconfig."""
    await world.devcluster("example", "hello", "up", "-n", world.namespace)
    (world.folder / "devcluster.yaml").unlink()
    (world.folder / "a-file-of-the-laptop").touch()
    port = free_port()
    line = _written(world, "console", "$ devcluster run").splitlines()[0]
    assert line == "$ devcluster run hello --port 8080 -- python3 -m http.server 8080"
    words = line.replace("8080", str(port)).split()[2:]
    process = await world.start(*words, environ={"KUBECONFIG": str(_in_namespace(world))})
    await until_listening(port)
    by_service, by_address = await _ask(world)
    assert "a-file-of-the-laptop" in by_service
    (row,) = (await world.devcluster("status", "--verify", "-n", world.namespace, "-o", "json")).json[
        "workloads"
    ]
    assert (row["name"], row["state"], row["mode"]) == ("hello", "attached", "intercept")
    assert [route["state"] for route in row["routes"]] == ["proven"]
    name = (await _pod(world))["metadata"]["name"]
    assert by_address == f"hello from {name}: /it\n"
    process.send_signal(signal.SIGINT)
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    assert process.returncode == 0, err.decode()  # the server's own
    assert b"hello" not in out  # so is this
    assert await _ask(world) == (f"hello from {name}: /\n", f"hello from {name}: /it\n")
    pod = await _pod(world)
    assert (pod["metadata"]["name"], pod["status"]["containerStatuses"][0]["restartCount"]) == (name, 0)
    assert host_processes(world) == []
    await _leave_from_elsewhere(world, words)
    await world.devcluster("down", "-n", world.namespace)
    assert await world.cluster_leftovers() == []
    await world.devcluster("example", "hello", "down", "-n", world.namespace)


async def _leave_from_elsewhere(world: World, words: list[str]) -> None:
    """Another terminal hands it back, without a file, too; the command goes on."""
    process = await world.start(*words, environ={"KUBECONFIG": str(_in_namespace(world))})
    await until_listening(int(words[3]))
    left = await world.devcluster("leave", "hello", "-n", world.namespace)
    assert left.stdout == "hello  left  deployment/hello\n"
    assert "hello from" in (await _ask(world))[0]
    assert process.returncode is None
    process.send_signal(signal.SIGINT)
    async with asyncio.timeout(60):
        await process.communicate()
    nothing = await world.devcluster("status", "-n", world.namespace, code=2)
    assert "there is no devcluster.yaml" in nothing.stderr


def _in_namespace(world: World) -> Path:
    """The kubeconfig, as `kubectl config set-context --current --namespace` leaves it."""
    config = yaml.safe_load(Path(world.environ["KUBECONFIG"]).read_text())
    (context,) = (it for it in config["contexts"] if it["name"] == config["current-context"])
    context["context"]["namespace"] = world.namespace
    target = world.folder / "kubeconfig"
    target.write_text(yaml.safe_dump(config))
    return target


async def test_a_container_as_the_readme_says_it(world: World) -> None:
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
