"""An original that can't start twice in one container: its pod is replaced, and no request fails."""

from __future__ import annotations

import asyncio
import signal

import pytest

from tests.scenarios.load import steady_load
from tests.scenarios.python_world import serve
from tests.scenarios.world import Json, World

_FOLDER = """
def page(request):
    return 200, {"identity": os.environ["IDENTITY"], "id": request.headers.get("x-request-id", "")}
if os.environ["IDENTITY"] == "original":
    os.mkdir("/tmp/once")
serve(8080)
"""
_PID_FILE = """
import atexit
if os.path.exists("/run/web.pid"):
    sys.exit("it runs already, says /run/web.pid")
open("/run/web.pid", "w").write(str(os.getpid()))
""" + _FOLDER.replace('if os.environ["IDENTITY"] == "original":\n    os.mkdir("/tmp/once")\n', "")


async def _deploy(world: World, image: str, program: str, pods: int = 1, grace: int = 1) -> None:
    """*grace*: as a first process it takes no notice of its stop signal, and lasts as long as that."""
    container: Json = {"readinessProbe": {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1}}
    spec: Json = {"terminationGracePeriodSeconds": grace}
    await serve(world, "web", image, program, env={"IDENTITY": "original"}, container=container, pod=spec)
    if pods > 1:
        await world.cluster.patch("deployment", "web", world.namespace, {"spec": {"replicas": pods}})
        await world.available("web")
    head = f"name: shop\nnamespace: {world.namespace}\n"
    world.write(head + "workloads: {web: {environment: {IDENTITY: local}}}\n")


@pytest.mark.parametrize("grace", [1, pytest.param(40, marks=pytest.mark.slow)])
async def test_leave_replaces_the_pod_while_the_laptop_serves(world: World, python: str, grace: int) -> None:
    """Also while the pod from before `up` still ends."""
    await _deploy(world, python, _FOLDER, grace=grace)
    await world.devcluster("up", "-d")
    (pod,) = (await world.status())["pods"]
    async with steady_load(world, "http://web:8080/", rate=20) as load:
        done = await world.devcluster("leave")
        assert f"pod {pod['name']} is replaced, while the laptop serves on" in done.stderr
        assert f"pod {pod['name']} was replaced" in done.stdout
        await world.devcluster("up", "-d")
    assert (load.errors, load.unanswered) == ({}, 0), load
    assert (await world.status())["pods"][0]["name"] != pod["name"]
    await world.devcluster("down")
    assert await world.cluster_leftovers() == []


@pytest.mark.slow
async def test_each_of_two_pods_and_by_an_interrupt(world: World, python: str) -> None:
    await _deploy(world, python, _PID_FILE, pods=2)
    process = await world.start("up")
    await world.until_attached(2)
    async with steady_load(world, "http://web:8080/", rate=20) as load:
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(120):
            _, said = await process.communicate()
        assert process.returncode == 130, said
        assert said.count(b"while the laptop serves on") == 2, said
    assert (load.errors, load.unanswered) == ({}, 0), load
    assert load.identities["original"] > 0
    await world.devcluster("down")
    assert await world.cluster_leftovers() == []
