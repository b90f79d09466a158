"""Requests that go on while something happens, from a pod in the cluster, and what became of each of them.

The pod is told to stop by its deadline: kubelet sends the signal and keeps pod and log, where a deletion
would take both away before they can be read.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from tests.scenarios.world import World

Json = dict[str, Any]
_GUARD = 180.0
_KNOWN = 30.0  # seconds until a pod that is ready must be reached


@dataclass(slots=True)
class Load:
    """``report`` is filled when the block has ended (the client's JSON)."""

    report: Json = field(default_factory=dict)

    @property
    def errors(self) -> dict[str, int]:
        found: dict[str, int] = self.report["errors"]
        return found

    @property
    def identities(self) -> dict[str, int]:
        found: dict[str, int] = self.report["identity"]
        return found

    @property
    def unanswered(self) -> int:
        return int(self.report["sent"]) - int(self.report["ok"])

    def __str__(self) -> str:
        seen = self.report
        text = f"{seen['sent']} requests in {seen['seconds']:.1f} s by {seen['identity']}"
        times = f"p50 {seen['p50_ms']:.0f} ms, longest {seen['longest_ms']:.0f} ms"
        return f"{text}; {times}; failed: {seen['failed'] or 'none'}"


@contextlib.asynccontextmanager
async def steady_load(
    world: World, url: str = "http://web/", *, rate: int = 50, number: int = 100_000
) -> AsyncIterator[Load]:
    """*rate* requests a second, each on a fresh connection, for as long as the block runs."""
    async with asyncio.timeout(_KNOWN):
        while "connection refused" in await world.answered(url):  # kube-proxy learns of a pod a moment later
            await asyncio.sleep(0.2)
    words = ["client", "http", "-url", url, "-rate", str(rate), "-n", str(number), "-timeout", "5m"]
    async with loading(world, {"image": world.app, "args": words}) as load:
        yield load


@contextlib.asynccontextmanager
async def loading(world: World, container: Json) -> AsyncIterator[Load]:
    """*container* sends requests until it gets SIGTERM, and prints the report of the test application's
    client."""
    name = f"load-{secrets.token_hex(4)}"
    container = container | {"name": "load"}
    spec = {"restartPolicy": "Never", "containers": [container], "terminationGracePeriodSeconds": 90}
    await world.cluster.create("pod", {"metadata": {"name": name}, "spec": spec}, world.namespace)
    load = Load()
    try:
        await _until(world, name, lambda state: "waiting" not in state)
        yield load
        await world.cluster.patch("pod", name, world.namespace, {"spec": {"activeDeadlineSeconds": 1}})
        await _until(world, name, lambda state: "terminated" in state)
        log = await world.cluster.pod_logs(name, world.namespace, container="load", lines=1000)
        load.report = json.loads(log.splitlines()[-1])
    finally:
        await world.cluster.patch("pod", name, world.namespace, {"spec": {"activeDeadlineSeconds": 1}})
        await world.cluster.delete("pod", name, world.namespace)


async def _until(world: World, name: str, right: Callable[[Json], bool]) -> None:
    """Wait for the container's state."""
    async with asyncio.timeout(_GUARD):
        states = world.cluster.watch_all("pod", world.namespace, fields=f"metadata.name={name}")
        async with contextlib.aclosing(states):
            async for items in states:
                statuses = (items[0].get("status") or {}).get("containerStatuses") or []
                if statuses and right(statuses[0].get("state") or {}):
                    return
    raise AssertionError(f"pod/{name} is gone")
