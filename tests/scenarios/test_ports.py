"""A port that stands in the file and is taken: found before anything is changed; our own is never "taken"."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tests.scenarios.world import Json, World


@pytest.fixture
def taken() -> Iterator[int]:
    """A port of the laptop on which somebody else listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield int(listener.getsockname()[1])


def _free() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _file(world: World, **ports: str) -> None:
    workloads = "".join(
        f'  {key}: {{ports: ["{written}"], environment: {{IDENTITY: local}}}}\n'
        for key, written in ports.items()
    )
    world.write(f"name: shop\nnamespace: {world.namespace}\nworkloads:\n{workloads}")


def _published(port: int, host: int) -> Json:
    return {"container": port, "protocol": "TCP", "host": host, "address": "127.0.0.1"}


async def test_a_taken_port_stops_up_before_the_first_change(world: World, taken: int) -> None:
    before = await world.deploy()
    _file(world, web=f"{taken}:8080")
    for words in (("up", "-d"), ("up",), ("plan",)):
        done = await world.devcluster(*words, code=2)
        assert f"port {taken} of the laptop is taken" in done.stderr
        assert f'"{taken + 1}:8080"' in done.stderr
    after = await world.cluster.get("deployment", "web", world.namespace)
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
    assert await world.cluster_leftovers() == world.docker_leftovers() == []


async def test_two_workloads_cannot_write_the_same_port(world: World) -> None:
    await world.deploy()
    await world.deploy("api")
    port = _free()
    _file(world, web=f"{port}:8080", api=f"{port}:7000")
    done = await world.devcluster("up", "-d", code=2)
    assert f"port {port} of the laptop is under `ports` twice: web and api" in done.stderr
    assert await world.cluster_leftovers() == world.docker_leftovers() == []


async def test_one_number_of_tcp_and_udp_is_two_ports(world: World) -> None:
    """Both are published; the agent leads the first, the second is named and stays as it is."""
    await world.deploy(
        container={
            "args": ["serve", "http=:8080", "datagrams=:8080", "echo=:7000", "reset=:7003"],
            "ports": [
                {"name": "udp", "containerPort": 8080, "protocol": "UDP"},
                {"name": "http", "containerPort": 8080},
                {"name": "echo", "containerPort": 7000},
                {"name": "reset", "containerPort": 7003},
            ],
        }
    )
    ports = [
        {"name": "one", "port": 80, "targetPort": "http"},
        {"name": "two", "port": 80, "targetPort": "udp", "protocol": "UDP"},
    ]
    body = {"metadata": {"name": "both"}, "spec": {"selector": {"app": "web"}, "ports": ports}}
    await world.cluster.create("service", body, world.namespace, manager="tester")
    head = f"name: shop\nnamespace: {world.namespace}\n"
    world.write(head + "workloads: {web: {environment: {IDENTITY: local}}}\n")
    done = await world.devcluster("up", "-d")
    assert "service/both port 80/UDP" in done.stderr

    verified = await world.devcluster("status", "--verify", "-o", "json")
    (row,) = verified.json["workloads"]
    routes = {(it["port"], it["protocol"]): it["state"] for it in row["routes"] if it["service"] == "both"}
    assert routes == {(80, "TCP"): "proven", (80, "UDP"): "skipped"}
    assert await world.who(5, "both") == {"local": 5}
    published = {(it["container"], it["protocol"]): it["host"] for it in row["ports"]}
    assert published.keys() == {(8080, "TCP"), (8080, "UDP"), (7000, "TCP"), (7003, "TCP")}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(10)
        client.sendto(b"ping", ("127.0.0.1", published[8080, "UDP"]))
        assert client.recv(100) == b"ping"

    await world.devcluster("down")
    template = await world.template()
    assert template["spec"]["containers"][0]["ports"][0]["name"] == "udp"


@pytest.mark.slow
async def test_what_the_project_itself_publishes_is_not_taken(world: World, taken: int) -> None:
    """Unchanged, edited, moved to a workload under another name, after `leave`: the same port each time."""
    await world.deploy()
    port = _free()
    _file(world, web=f"{port}:8080")
    await world.devcluster("up", "-d")
    again = await world.devcluster("up", "-d", "-o", "json")
    assert [row["outcome"] for row in again.json["workloads"]] == ["unchanged"]

    _file(world, web=f"{taken}:8080")  # an edit that can't be: what runs goes on running
    await world.devcluster("up", "-d", code=2)
    assert _published(8080, port) in (await world.status())["ports"]
    assert await world.who() == {"local": 20}

    await world.devcluster("leave")
    _file(world, web=f"{port}:7000")
    await world.devcluster("up", "-d")
    assert _published(7000, port) in (await world.status())["ports"]

    text = f'frontend: {{target: deployment/web, ports: ["{port}:8080"], environment: {{IDENTITY: local}}}}'
    world.write(f"name: shop\nnamespace: {world.namespace}\nworkloads:\n  {text}\n")
    renamed = await world.devcluster("up", "-d", "-o", "json")
    outcomes = {row["name"]: row["outcome"] for row in renamed.json["workloads"]}
    assert outcomes == {"web": "put back", "frontend": "created"}
    assert await world.who() == {"local": 20}
