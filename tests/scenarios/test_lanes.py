"""Lanes where the straight way is closed: no right to the pod proxy, or an HTTP proxy before the cluster."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import yaml

from tests.edge.cluster_world import token_of, write_config
from tests.scenarios.world import World

_ALL = ["get", "list", "watch", "create", "update", "patch", "delete"]
# Everything in the namespace except pods/proxy.
_RULES = (
    {"apiGroups": ["apps", "batch", "autoscaling", "policy"], "resources": ["*"], "verbs": _ALL},
    {
        "apiGroups": [""],
        "resources": ["configmaps", "events", "pods", "pods/log", "pods/portforward", "secrets", "services"],
        "verbs": _ALL,
    },
)


async def test_port_forward_carries_everything(world: World, kubeconfig: Path) -> None:
    limited = world.folder / "kubeconfig"
    write_config(limited, kubeconfig, {"token": await token_of(world, *_RULES)})
    world.environ["KUBECONFIG"] = str(limited)
    await world.deploy()
    before = await world.template()

    done = await world.devcluster("up", "-d")
    assert "connecting by port-forward" in done.stderr, done.stderr
    assert "cannot get pods/proxy" in done.stderr
    assert {pod["lane"] for pod in (await world.status())["pods"]} == {"port-forward"}

    assert await world.who(100) == {"local": 100}
    echoed = await world.ask("client", "echo", "-parallel", "8", "-mib", "4", "-address", "web:7000")
    assert (echoed["ok"], echoed["errors"]) == (8, {})
    assert (await world.ask("client", "halfclose", "-address", "web:7000"))["ok"]

    await world.devcluster("down")
    assert await world.who(20) == {"original": 20}
    assert await world.template() == before
    assert world.docker_leftovers() == []


@pytest.mark.slow
async def test_everything_goes_through_the_kubeconfigs_proxy(world: World, kubeconfig: Path) -> None:
    server = yaml.safe_load(kubeconfig.read_text())["clusters"][0]["cluster"]["server"]
    async with _http_proxy() as (address, asked):
        config = yaml.safe_load(kubeconfig.read_text())
        config["clusters"][0]["cluster"]["proxy-url"] = address
        path = world.folder / "kubeconfig"
        path.write_text(yaml.safe_dump(config))
        world.environ["KUBECONFIG"] = str(path)
        await world.deploy()
        await world.devcluster("up", "-d")
        assert await world.who() == {"local": 20}
        assert set(asked) == {server.removeprefix("https://")}
        assert len(asked) >= 4  # requests, control, two lanes
        await world.devcluster("down")


@contextlib.asynccontextmanager
async def _http_proxy() -> AsyncIterator[tuple[str, list[str]]]:
    """An HTTP proxy that knows CONNECT alone: its URL, and what it was asked for."""
    asked: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        method, target, _ = head.decode().split(" ", 2)
        assert method == "CONNECT", head
        asked.append(target)
        there = await asyncio.open_connection(*target.split(":"))
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await asyncio.gather(_copy(reader, there[1]), _copy(there[0], writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", asked
    finally:
        server.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()
