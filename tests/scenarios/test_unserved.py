"""An original that does not serve again in time: who hands back is told so, why, and when it will."""

from __future__ import annotations

import pytest

from tests.scenarios.python_world import get, serve
from tests.scenarios.world import Json, World

_AGAIN = """
import time
again = os.environ["WHO"] == "original" and os.path.exists("/state/once")
open("/state/once", "w").close()
def page(request):
    return 200, {"who": os.environ["WHO"]}
"""
_SLOW = _AGAIN + "time.sleep(12 if again else 0)\nserve(8080)\n"
_CLOSED = (
    _AGAIN
    + """
opens = time.monotonic() + (15 if again else 0)
def page(request):
    return (200 if time.monotonic() > opens else 503), {"who": os.environ["WHO"]}
serve(8080)
"""
)
_ASK: Json = {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1}


async def _deploy(world: World, image: str, program: str, **container: Json) -> None:
    mount = [{"name": "state", "mountPath": "/state"}]
    pod: Json = {"volumes": [{"name": "state", "emptyDir": {}}]}
    own: Json = {"readinessProbe": _ASK, "volumeMounts": mount} | container
    await serve(world, "web", image, program, env={"WHO": "original"}, container=own, pod=pod)
    head = f"name: shop\nnamespace: {world.namespace}\n"
    world.write(head + "workloads: {web: {environment: {WHO: local}}}\n")


async def test_a_slow_start_is_told_with_its_own_figures(world: World, python: str) -> None:
    startup: Json = {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1, "failureThreshold": 90}
    await _deploy(world, python, _SLOW, startupProbe=startup)
    await world.devcluster("up", "-d")
    done = await world.devcluster("--timeout", "4s", "leave", code=1)
    assert "deployment/web was handed back, but does not serve" in done.stderr
    assert "the application starts, for which its startup probe allows 90 s" in done.stderr
    assert (await get(world, python, "http://web:8080/"))["who"] == "original"  # by itself

    await world.devcluster("up", "-d")
    done = await world.devcluster("leave")
    assert "waiting for pod" in done.stderr
    assert (await get(world, python, "http://web:8080/"))["who"] == "original"
    await world.devcluster("down")


@pytest.mark.slow
async def test_a_readiness_probe_that_fails_has_the_word(world: World, python: str) -> None:
    await _deploy(world, python, _CLOSED)
    await world.devcluster("up", "-d")
    done = await world.devcluster("--timeout", "5s", "leave", code=1)
    assert "the application does not accept connections yet: readiness probe: " in done.stderr
    assert "503" in done.stderr
    await world.devcluster("down")
    assert await world.cluster_leftovers() == []


_GATE = """
def page(request):
    opened = os.environ["WHO"] == "local" or os.environ["GATE"] == "open"
    return (200 if opened else 503), {"who": os.environ["WHO"]}
serve(8080)
"""


@pytest.mark.slow
async def test_down_tells_of_an_original_that_does_not_serve(world: World, python: str) -> None:
    """Its new pod is not ready, by what somebody changed meanwhile: nothing of ours is left, so no 7."""
    gate: Json = {"metadata": {"name": "gate"}, "data": {"GATE": "open"}}
    await world.cluster.create("configmap", gate, world.namespace)
    whose: Json = {"configMapKeyRef": {"name": "gate", "key": "GATE"}}
    own: Json = {"readinessProbe": _ASK}
    await serve(world, "web", python, _GATE, env={"WHO": "original", "GATE": whose}, container=own)
    alone: Json = {"spec": {"strategy": {"type": "Recreate", "rollingUpdate": None}}}
    await world.cluster.patch("deployment", "web", world.namespace, alone)
    before = await world.template()
    world.write(
        f"name: shop\nnamespace: {world.namespace}\nworkloads: {{web: {{environment: {{WHO: local}}}}}}\n"
    )
    await world.devcluster("up", "-d")
    await world.cluster.patch("configmap", "gate", world.namespace, {"data": {"GATE": "closed"}})

    done = await world.devcluster("--timeout", "20s", "down", code=1)
    (error,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "deployment/web was handed back, but does not serve" in error
    assert "its container web is not ready" in error
    assert "503" in error  # the probe's own words
    assert "as soon as it is ready, it serves" in error
    assert await world.template() == before
    assert (await world.cluster_leftovers(), world.docker_leftovers()) == ([], [])
    await world.devcluster("down")  # there is nothing to do any more
