"""A container of the pod that wants a port of the agent's: named, and put back."""

from __future__ import annotations

import pytest

from tests.scenarios.python_world import serve
from tests.scenarios.world import Json, World


@pytest.mark.parametrize("port", [47100, pytest.param(9900, marks=pytest.mark.slow)])
async def test_a_port_that_the_agent_has(world: World, port: int) -> None:
    beside: Json = {"name": "beside", "image": world.app, "args": ["serve", f"http=:{port}"]}
    await world.deploy(numeric=True)
    add = [{"op": "add", "path": "/spec/template/spec/containers/-", "value": beside}]
    await world.cluster.patch("deployment", "web", world.namespace, add, type="json-patch")
    await world.available("web")
    before = await world.template()
    head = f"name: shop\nnamespace: {world.namespace}\n"
    world.write(head + "workloads: {web: {target: deployment/web/web}}\n")
    done = await world.devcluster("up", "-d", code=1)
    assert f"port {port} is the agent's in this pod" in done.stderr, done.stderr
    assert "container beside of pod" in done.stderr or port == 9900
    assert "was put back" in done.stderr
    assert done.stderr.count("does not run any more") <= 1, done.stderr
    assert await world.template() == before
    assert await world.cluster_leftovers() == world.docker_leftovers() == []

    world.write(
        head
        + "agent: {port: 9800, fronts: 48000}\n"
        + "workloads: {web: {target: deployment/web/web, environment: {IDENTITY: local}}}\n"
    )
    await world.devcluster("up", "-d")
    assert await world.who(5) == {"local": 5}
    await world.devcluster("down")


_TWO_PORTS = """
import socket
beside = socket.socket()
beside.bind(("", 47100))
beside.listen()
serve(8080)
"""


@pytest.mark.slow
async def test_a_port_that_the_application_itself_wants(world: World, python: str) -> None:
    """Its last words don't say which; it ran until the agent came."""
    before = await serve(world, "web", python, _TWO_PORTS)
    world.write(f"name: shop\nnamespace: {world.namespace}\nworkloads: {{web: {{}}}}\n")
    done = await world.devcluster("up", "-d", code=1)
    assert "the agent listens on 9900, 47100 in this pod; if the container wants one of them" in done.stderr
    assert (await world.template(), await world.cluster_leftovers()) == (before["spec"]["template"], [])
