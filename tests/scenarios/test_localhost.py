"""The pod's localhost: what its other containers offer there, and what they ask of the application there."""

from __future__ import annotations

import json

import pytest

from tests.scenarios.world import Json, World


def _beside(world: World, *serve: str, **environment: str) -> Json:
    """Another container of the pod."""
    env = [{"name": name, "value": value} for name, value in environment.items()]
    return {"name": "beside", "image": world.app, "args": ["serve", *serve], "env": env}


async def _deploy(world: World, beside: Json, web: Json, port: int) -> None:
    own = {"name": "web", "image": world.app, "env": [{"name": "IDENTITY", "value": "original"}]} | web
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [own, beside]}}
    body = {
        "metadata": {"name": "web"},
        "spec": {"selector": {"matchLabels": labels}, "template": template},
    }
    await world.cluster.create("deployment", body, world.namespace)
    spec = {"selector": labels, "ports": [{"port": 80, "targetPort": port}]}
    await world.cluster.create("service", {"metadata": {"name": "web"}, "spec": spec}, world.namespace)
    await world.available("web")
    world.write(
        f"name: shop\nnamespace: {world.namespace}\nworkloads:\n"
        "  web: {target: deployment/web/web, environment: {IDENTITY: local}, healthcheck: off}\n"
    )


def _identity(world: World, address: str) -> str:
    """Who answers the local container there."""
    done = world.in_local("web", "/app", "client", "http", "-n", "1", "-url", f"http://{address}/")
    (identity,) = json.loads(done.stdout.splitlines()[-1])["identity"]
    return str(identity)


@pytest.mark.parametrize("listens", ["127.0.0.1:5432", ":5432"])
async def test_another_container_is_at_localhost(world: World, listens: str) -> None:
    beside = _beside(world, f"http={listens}", IDENTITY="beside")
    web = {"args": ["serve", "http=:8080"], "ports": [{"containerPort": 8080}]}
    await _deploy(world, beside, web, 8080)
    await world.devcluster("up", "-d")
    assert _identity(world, "localhost:5432") == "beside"
    assert await world.who(10) == {"local": 10}
    if listens.startswith(":"):
        (pod,) = (await world.status())["pods"]
        address = (await world.cluster.get("pod", pod["name"], world.namespace))["status"]["podIP"]
        assert _identity(world, f"{address}:5432") == "beside"
    await world.devcluster("down")


@pytest.mark.parametrize("loopback", ["127.0.0.1", pytest.param("[::1]", marks=pytest.mark.slow)])
async def test_a_proxy_of_the_pod_reaches_the_application_on_loopback(world: World, loopback: str) -> None:
    """By IPv6 alone, too, as Node listens at "localhost"."""
    beside = _beside(world, "gate=:4180", BEHIND=f"{loopback}:8080")
    web = {"args": ["serve", f"http={loopback}:8080"], "ports": [{"containerPort": 8080}]}
    await _deploy(world, beside, web, 4180)
    planned = (await world.devcluster("plan")).stdout
    assert "service/web port 80 leads to port 4180, which no container declares" in planned
    await world.devcluster("up", "-d")
    assert await world.who(10) == {"local": 10}
    verified = (await world.devcluster("status", "--verify", code=None)).stdout
    assert "another container of the pods listens on port 4180" in verified, verified
    await world.devcluster("leave")
    assert await world.who(10) == {"original": 10}
    await world.devcluster("down")
