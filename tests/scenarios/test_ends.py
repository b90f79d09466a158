"""A process that ends with 0 by design, in the local container: started again as its pod would start it."""

from __future__ import annotations

import asyncio
import contextlib
import urllib.request

import pytest

from tests.scenarios.python_world import get, serve
from tests.scenarios.world import Json, World

_QUITS = """
import threading
BORN = str(__import__("time").time_ns())
def page(request):
    if request.path == "/quit":
        threading.Timer(0.1, os._exit, (0,)).start()
    return 200, {"who": os.environ["WHO"], "born": BORN}
serve(8080)
"""


async def _deploy(world: World, image: str, program: str, extra: str = "") -> None:
    await serve(world, "web", image, program, env={"WHO": "original"})
    world.write(
        f"name: shop\nnamespace: {world.namespace}\n"
        f"workloads: {{web: {{environment: {{WHO: local}}{extra}}}}}\n"
    )


async def _quit(world: World) -> str:
    """The local server's word before it ends, by its port on the laptop."""
    (port,) = (await world.status())["ports"]

    def ask() -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{port['host']}/quit", timeout=20) as answer:
            return str(answer.read())

    return await asyncio.to_thread(ask)


async def test_one_that_ends_with_0_is_started_again(world: World, python: str) -> None:
    """At once, then after ten seconds, in which connections wait; and not for ever."""
    await _deploy(world, python, _QUITS)
    await world.devcluster("up", "-d")

    first = await _quit(world)
    row = await world.until_status(lambda it: it["state"] == "attached" and "once" in it["reason"])
    assert row["reason"] == "the local container was started again once after it had ended with 0"
    found = await get(world, python, "http://web:8080/")
    assert found["who"] == "local"
    assert found["born"] not in first

    await _quit(world)
    row = await world.until_state("starting")
    assert "ended with 0; it is started again in" in row["reason"]
    assert "connections wait in the pods" in row["reason"]
    waited = await get(world, python, "http://web:8080/")
    assert waited["who"] == "local"
    assert waited["born"] != found["born"]

    async with asyncio.timeout(180):
        while (await world.until_status(_settled))["state"] != "failed":
            with contextlib.suppress(OSError):
                await _quit(world)
    assert "ended with exit code 0, three times in a row within 10 s" in (await world.status())["reason"]
    assert (await get(world, python, "http://web:8080/"))["who"] == "original"
    await world.devcluster("down")


def _settled(row: Json) -> bool:
    return row["state"] in ("attached", "failed")


@pytest.mark.slow
async def test_one_that_ends_with_0_before_it_serves(world: World, python: str) -> None:
    """As some do who prepare their files at a first start."""
    program = (
        """
if not os.path.exists("/state/done"):
    open("/state/done", "w").close()
    sys.exit(0)
"""
        + _QUITS
    )
    state: Json = {"name": "state", "emptyDir": {}}
    mount = {"name": "state", "mountPath": "/state"}
    await serve(
        world,
        "web",
        python,
        program,
        env={"WHO": "original"},
        container={"volumeMounts": [mount]},
        pod={"volumes": [state]},
    )
    head = f"name: shop\nnamespace: {world.namespace}\n"
    world.write(head + "workloads: {web: {environment: {WHO: local}, volumes: {state: {mode: empty}}}}\n")
    done = await world.devcluster("up", "-d")
    assert "ended with 0: starting it again" in done.stderr
    assert (await get(world, python, "http://web:8080/"))["who"] == "local"

    world.write(head + 'workloads: {web: {entrypoint: [python3, -c, "print(7 * 6)"]}}\n')
    done = await world.devcluster("up", "-d", code=1)
    assert "ended with exit code 0, three times in a row within 10 s of its start" in done.stderr
    assert "42" in done.stderr
    assert done.stderr.count("three times in a row") == 1, done.stderr
    assert (await get(world, python, "http://web:8080/"))["who"] == "original"
    await world.devcluster("down")
