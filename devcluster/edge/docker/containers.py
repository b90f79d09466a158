"""A project's containers: which there are, how they are, what they say and how they end.

What carries our labels is ours, whatever its name.
"""

from __future__ import annotations

import signal
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from devcluster.edge.docker.call import Calls, GoneError
from devcluster.errors import EngineError
from devcluster.rules.container.docker_names import PROJECT, ROLE, WORKLOAD

_WORDS = 300  # letters of a healthcheck's output, the last ones
_LATE = -1  # what Docker notes for a check that it ended
_KILLED = 128 + signal.SIGKILL


@dataclass(frozen=True, slots=True)
class ContainerInfo:
    """``state``: Docker's word (created, running, exited …); ``health``: '' where nothing probes it;
    ``netns``: the container whose network it uses, '' for netns itself; ``image``: the image's id;
    ``starved``: None unless one of its processes was killed for lack of memory; else its limit in bytes, 0
    for none."""

    id: str
    name: str
    key: str
    role: str
    state: str
    health: str
    exit_code: int
    image: str
    netns: str
    starved: int | None

    @property
    def running(self) -> bool:
        return self.state == "running"


@dataclass(frozen=True, slots=True)
class ContainerEvent:
    """``start``, ``die`` (with its exit code, -1 where nobody knows it, and in ``words`` how it ended) or
    ``health`` (``healthy``, ``unhealthy``, ``starting``)."""

    what: Literal["start", "die", "health"]
    exit_code: int = 0
    health: str = ""
    words: str = ""


async def list_project(calls: Calls, project: str) -> tuple[ContainerInfo, ...]:
    """All containers of *project*, by name; those that vanish meanwhile are left out."""
    filters = {"label": f"{PROJECT}={project}"}
    rows = await calls.call("list containers", calls.api.containers, all=True, filters=filters)
    result = [await look(calls, row["Id"]) for row in rows]
    return tuple(sorted((item for item in result if item is not None), key=lambda item: item.name))


async def list_published(
    calls: Calls, project: str, workloads: Sequence[str] = ()
) -> frozenset[tuple[str, int]]:
    """(protocol, port of the laptop) of each port that running containers of *project* publish."""
    filters = {"label": f"{PROJECT}={project}"}
    rows = await calls.call("list containers", calls.api.containers, filters=filters)
    ports = [
        port
        for row in rows
        if not workloads or row["Labels"].get(WORKLOAD) in workloads
        for port in row.get("Ports") or ()
    ]
    return frozenset((port["Type"], port["PublicPort"]) for port in ports if port.get("PublicPort"))


async def list_projects(calls: Calls) -> tuple[str, ...]:
    """Every project that has a container, a network or a volume left."""
    filters = {"label": PROJECT}
    containers = await calls.call("list containers", calls.api.containers, all=True, filters=filters)
    networks = await calls.call("list networks", calls.api.networks, filters=filters)
    volumes = await calls.call("list volumes", calls.api.volumes, filters=filters)
    found = [*containers, *networks, *(volumes["Volumes"] or ())]
    return tuple(sorted({item["Labels"][PROJECT] for item in found}))


async def look(calls: Calls, container: str) -> ContainerInfo | None:
    """One container by id or name; None when it is not there."""
    try:
        found = await calls.call(f"inspect container {container}", calls.api.inspect_container, container)
    except GoneError:
        return None
    return _info(found)


async def tell_absence(calls: Calls, container: str) -> str:
    """Why *container* can't be running: the engine is or was away, or somebody ended it; '' if it runs."""
    try:
        await calls.knock()
        found = await look(calls, container)
    except EngineError as error:
        return str(error)
    if found is None:
        return f"container {container[:12]} was removed"
    return "" if found.running else f"container {found.name} was stopped, as a restart of the engine does"


def _info(found: dict[str, Any]) -> ContainerInfo:
    state, ours = found["State"], found["Config"].get("Labels") or {}
    mode = str(found["HostConfig"].get("NetworkMode") or "")
    health = (state.get("Health") or {}).get("Status", "")
    return ContainerInfo(
        id=found["Id"],
        name=found["Name"].lstrip("/"),
        key=ours.get(WORKLOAD, ""),
        role=ours.get(ROLE, ""),
        state=state["Status"],
        health="" if health == "none" else health,
        exit_code=state["ExitCode"],
        image=found["Image"],
        netns=mode.partition("container:")[2],
        starved=int(found["HostConfig"].get("Memory") or 0) if state.get("OOMKilled") else None,
    )


async def watch_container(calls: Calls, container: str) -> AsyncGenerator[ContainerEvent, None]:
    """What is already the case (ended, or a health), and then what happens.  It subscribes first and looks
    second, so nothing is missed in between."""
    filters = {"container": container, "type": "container"}

    def open_() -> Any:
        return calls.api.events(filters=filters, decode=True)

    what = f"watch container {container}"
    events = await calls.call(what, open_)
    now = await look(calls, container)
    if now is None:
        yield ContainerEvent("die", exit_code=-1, words="was removed")
    elif now.state in ("exited", "dead"):
        yield ContainerEvent("die", now.exit_code, words=describe_end(now.exit_code, now.starved))
    elif now.health:
        yield ContainerEvent("health", health=now.health)
    async for event in calls.items(what, events):
        if (told := _event(event)) is not None and told.what == "die":
            now = await look(calls, container)  # the event itself does not say of what it died
            starved = now.starved if now is not None else None
            yield replace(told, words=describe_end(told.exit_code, starved))
        elif told is not None:
            yield told


@dataclass(frozen=True, slots=True)
class HealthWords:
    """What a container's own healthcheck said last, '' for nothing.  ``late``: it did not answer in time."""

    text: str = ""
    late: bool = False


async def tell_health(calls: Calls, container: str) -> HealthWords:
    """By Docker's record of it; nothing where there is none."""
    try:
        found = await calls.call(f"inspect container {container}", calls.api.inspect_container, container)
    except EngineError:
        return HealthWords()
    log = (found["State"].get("Health") or {}).get("Log") or []
    last = log[-1] if log else {}
    return HealthWords(str(last.get("Output") or "").strip()[-_WORDS:], last.get("ExitCode") == _LATE)


async def is_stopped(calls: Calls, container: str) -> bool:
    """Whether a process of it is stopped by a signal or by a debugger; False where the engine can't tell."""
    try:
        found = await calls.call(f"look into {container}", calls.api.top, container, "-o pid,stat")
    except EngineError:
        return False
    column = found["Titles"].index("STAT") if "STAT" in found["Titles"] else -1
    return any(row[column].upper().startswith("T") for row in found["Processes"] or ())


def describe_end(exit_code: int, starved: int | None) -> str:
    """How a container ended.  *starved*: as in ``ContainerInfo``."""
    if starved is None:
        return f"ended with exit code {exit_code}"
    limit = f" (its limit is {starved / (1 << 20):.0f} MiB)" if starved else ""
    if exit_code == _KILLED:
        return f"was killed: out of memory{limit}"
    return f"ended with exit code {exit_code} after one of its processes was killed: out of memory{limit}"


def _event(event: dict[str, Any]) -> ContainerEvent | None:
    action, _, rest = str(event.get("Action", "")).partition(": ")
    attributes = (event.get("Actor") or {}).get("Attributes") or {}
    match action:
        case "start":
            return ContainerEvent("start")
        case "die":
            return ContainerEvent("die", int(attributes.get("exitCode", 0)))
        case "health_status":
            return ContainerEvent("health", health=rest)
    return None


async def follow_logs(
    calls: Calls, container: str, *, follow: bool = True, tail: int | None = None, since: float | None = None
) -> AsyncGenerator[bytes, None]:
    """The container's output as it comes, stdout and stderr as one; ends with the container."""
    options = {"tail": "all" if tail is None else tail, "since": since}

    def open_() -> Any:
        return calls.api.logs(container, stdout=True, stderr=True, stream=True, follow=follow, **options)

    async for part in calls.stream(f"read the log of {container}", open_):
        yield part
