"""``logs``, ``exec``, ``restart``: they need Docker and, for ``restart``, the host process."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from devcluster.config.model import Workload
from devcluster.edge.docker.engine import ContainerInfo, Engine, open_engine
from devcluster.errors import ConfigurationError
from devcluster.plan.serving import serving_of
from devcluster.run.commands.project import find_place
from devcluster.run.host.logs import Show, follow_container
from devcluster.run.host.socket import AbsentError, ask
from devcluster.run.place import Place
from devcluster.run.report import Report
from devcluster.run.request import Request


async def logs(request: Request, *, follow: bool, show: Show) -> None:
    """The logs of the named workloads, or else of all that have a container."""
    wanted = _with_container(request)
    place = await find_place(request)
    async with open_engine() as engine:
        here = {item.key for item in await engine.list_project(place.id) if item.role == "workload"}
        keys = [it.key for it in wanted if it.key in here or request.only or not here]
        containers = [await _container(engine, place, key) for key in keys]
        await asyncio.gather(
            *(follow_container(engine, item.id, item.key, show, follow=follow) for item in containers)
        )


async def run_command(request: Request, words: Sequence[str], *, terminal: bool) -> int:
    """Return CMD's own exit code."""
    _with_container(request)
    place = await find_place(request)
    async with open_engine() as engine:
        container = await _container(engine, place, request.only[0])
        if not container.running:
            raise ConfigurationError(
                f"the local container of {container.key} is not running ({container.state})"
            )
        return await engine.exec_in(container.id, words, tty=terminal)


async def restart(request: Request, report: Report) -> dict[str, Any]:
    _with_container(request)
    place = await find_place(request)
    try:
        return await ask(
            place.socket,
            {"do": "restart", "workload": request.only[0]},
            report,
            request.deadline,
        )
    except AbsentError as error:
        raise ConfigurationError(
            f"{request.only[0]} is not attached", hint=f"`devcluster up {request.only[0]}` starts it"
        ) from error


def _with_container(request: Request) -> tuple[Workload, ...]:
    """The workloads that are meant and run in a container.  ConfigurationError where one is named that does
    not, or where none does."""
    there = tuple(it for it in request.wanted if serving_of(it).has_container)
    others = [it.key for it in request.wanted if it not in there]
    if others and (request.only or not there):
        verb = "runs as a process" if len(others) == 1 else "run as processes"
        raise ConfigurationError(
            f"{', '.join(others)} {verb} of this laptop (`run: host`), and not in a container",
            hint="you start it, stop it and see its output where you run it",
        )
    return there


async def _container(engine: Engine, place: Place, key: str) -> ContainerInfo:
    for item in await engine.list_project(place.id):
        if item.key == key and item.role == "workload":
            return item
    raise ConfigurationError(f"{key} has no local container", hint=f"`devcluster up {key}` creates one")
