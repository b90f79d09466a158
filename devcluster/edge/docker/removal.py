"""Removing what a project has in Docker: containers, volumes, the network.

A removal is idempotent and names what stayed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

from devcluster.edge.docker.call import Calls, EngineRefusedError, GoneError
from devcluster.edge.docker.containers import list_project
from devcluster.edge.docker.gateway import remove_container
from devcluster.edge.docker.network import remove_network
from devcluster.errors import EngineError
from devcluster.rules.container.docker_names import PROJECT, ROLE, WORKLOAD, memory_name


async def remove_project(
    calls: Calls, project: str, workloads: Sequence[str] | None = None, *, volumes: bool
) -> tuple[str, ...]:
    """Remove containers, the network (when nothing of the project uses it any more) and, with *volumes*,
    volumes.  *workloads* None: all.  Return what is left, as ``container devcluster-…: reason``."""
    left: list[str] = []
    order = ("workload", "files", "memory", "gateway", "netns")  # whose namespace it is goes last
    found = [
        item for item in await list_project(calls, project) if workloads is None or item.key in workloads
    ]
    for item in sorted(found, key=lambda item: order.index(item.role) if item.role in order else 0):
        await _try(left, f"container {item.name}", remove_container(calls, item.id))
    if volumes:
        for name, key in await list_volumes(calls, project):
            if workloads is None or key in workloads:
                await _try(left, f"volume {name}", remove_volume(calls, name))
    if not await list_project(calls, project):
        for name in await _networks(calls, project):
            if not await remove_network(calls, name):
                left.append(f"network {name}: somebody else's container uses it")
    return tuple(left)


async def _try(left: list[str], what: str, removal: Any) -> None:
    try:
        await removal
    except EngineRefusedError as error:
        left.append(f"{what}: {error.explanation}")
    except EngineError as error:
        left.append(f"{what}: {error}")


async def list_volumes(calls: Calls, project: str) -> tuple[tuple[str, str], ...]:
    """(name, workload's key) of each volume of *project*, without those that hold the memory of another."""
    filters = {"label": f"{PROJECT}={project}"}
    found = await calls.call("list volumes", calls.api.volumes, filters=filters)
    rows = ((item["Name"], item.get("Labels") or {}) for item in found["Volumes"] or ())
    return tuple(sorted((name, ours.get(WORKLOAD, "")) for name, ours in rows if ours.get(ROLE) != "sync"))


async def remove_volume(calls: Calls, name: str) -> None:
    """Remove it with its memory; it need not exist."""
    for one in (name, memory_name(name)):
        with contextlib.suppress(GoneError):
            await calls.call(f"remove volume {one}", calls.api.remove_volume, one)


async def _networks(calls: Calls, project: str) -> tuple[str, ...]:
    filters = {"label": f"{PROJECT}={project}"}
    found = await calls.call("list networks", calls.api.networks, filters=filters)
    return tuple(item["Name"] for item in found)
