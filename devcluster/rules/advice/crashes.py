"""A container of the pod that does not run any more since the agent is there.

The agent listens on ports of the pod, which all of its containers share.  They avoid every declared port;
who listens on one without declaring it ends as soon as it is started.  kubelet says that, and with which
code; the reason is in the container's log, where our port is looked for by its number alone: what is done
does not depend on it.

A container that ended before us, too, is not ours to judge.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from devcluster.rules.cluster.template import is_wrapped
from devcluster.rules.kinds.pods import last_end

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Crash:
    """A container that ended by itself, with ``code``; ``down``: it does not run at this moment."""

    pod: str
    container: str
    code: int
    restarts: int
    down: bool

    def __str__(self) -> str:
        return (
            f"container {self.container} of pod {self.pod} does not run any more since the agent is there: "
            f"it ended with exit code {self.code}"
        )


def find_weak(pods: Iterable[Json]) -> frozenset[str]:
    """Names of containers that end by themselves as it is."""
    return frozenset(
        item["name"]
        for pod in pods
        for item in _statuses(pod)
        if item.get("restartCount", 0) or "running" not in (item.get("state") or {})
    )


def find_crashes(pods: Iterable[Json], container: str, weak: Collection[str]) -> tuple[Crash, ...]:
    """Of the containers beside *container* in pods with an agent that are not told to end."""
    found = []
    for pod in pods:
        if not is_wrapped(pod) or pod["metadata"].get("deletionTimestamp"):
            continue
        for item in _statuses(pod):
            code = _exit_code(item)
            if not code or item["name"] == container or item["name"] in weak:
                continue
            name, restarts = pod["metadata"]["name"], item.get("restartCount", 0)
            down = "running" not in (item.get("state") or {})
            found.append(Crash(name, item["name"], code, restarts, down))
    return tuple(found)


def has_crashed(pod: Json, container: str, weak: Collection[str]) -> bool:
    """Whether *container* itself has ended with a failure, and did not before the agent was there."""
    mine = (item for item in _statuses(pod) if item["name"] == container)
    return container not in weak and any(_exit_code(item) for item in mine)


def render_collision(log: str, ports: Collection[int], *, certain: bool) -> str:
    """Which of the agent's *ports* a container may have wanted, that has said *log* last; '' for none.
    *certain*: it ended since the agent is there."""
    said = [port for port in sorted(ports) if re.search(rf"(?<!\d){port}(?!\d)", log)]
    way = "`agent: {port: …, fronts: …}` in devcluster.yaml moves them"
    if said:
        named = " and ".join(map(str, said))
        return f"port {named} is the agent's in this pod; {way}"
    listed = ", ".join(map(str, sorted(ports)))
    return (
        f"the agent listens on {listed} in this pod; if the container wants one of them, {way}"
        if certain
        else ""
    )


def _exit_code(item: Json) -> int:
    """How a container ended last; 0 where it did not, or well."""
    return int(last_end(item).get("exitCode") or 0)


def _statuses(pod: Json) -> list[Json]:
    found: list[Json] = (pod.get("status") or {}).get("containerStatuses") or []
    return found
