"""What the host processes of this laptop say of what they hold.

Without a file `status` and `leave` mean all of it in the namespace, since `devcluster run` needs none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from devcluster.deadline import Deadline
from devcluster.edge.kube.cluster import Cluster
from devcluster.run.commands.project import open_meant
from devcluster.run.host.socket import AbsentError, EndedError, ask
from devcluster.run.place import Place, known_projects, places_of
from devcluster.run.report import Report, silent
from devcluster.run.request import Request, check_names

Json = dict[str, Any]
_PATIENCE = {"ping": 5.0, "status": 5.0, "verify": 60.0}  # seconds


@dataclass(frozen=True, slots=True)
class HostAnswer:
    """What one said, by workload; ``silence``: why it said nothing, or ''."""

    rows: dict[str, Json]
    silence: str = ""
    tunnels: tuple[Json, ...] = ()


async def ask_host(place: Place, do: str) -> HostAnswer:
    """*do*: ``status``, or ``verify`` for the routes as well."""
    try:
        await _ask_in_time(place, "ping")
        answer = await _ask_in_time(place, do)
    except (AbsentError, EndedError):
        return HostAnswer({}, "the host process is no longer running")
    except TimeoutError:
        return HostAnswer({}, "the host process does not answer")
    return HostAnswer({row["name"]: row for row in answer["workloads"]}, tunnels=tuple(answer["tunnels"]))


async def _ask_in_time(place: Place, do: str) -> Json:
    deadline = Deadline.after(_PATIENCE[do])  # `--watch` asks for ever, so it is not the command's
    async with deadline.bound():
        return await ask(place.socket, {"do": do}, silent, deadline)


async def ask_hosts(cluster: Cluster, environ: Mapping[str, str], do: str) -> dict[Place, HostAnswer]:
    """Those that hold something in the cluster's namespace."""
    places = places_of(known_projects(environ), cluster.context, (cluster.namespace,), environ)
    return {place: answer for place in places if (answer := await ask_host(place, do)).rows}


async def leave_all(request: Request, report: Report) -> Json:
    """Hand back what they hold, or of that what is named; no workloads where they hold nothing."""
    async with open_meant(request) as cluster:
        hosts = await ask_hosts(cluster, request.environ, "status")
    if hosts:
        check_names(request.only, {key for host in hosts.values() for key in host.rows}, "this laptop")
    answers: list[Json] = []
    for place, host in hosts.items():
        if only := [key for key in host.rows if not request.only or key in request.only]:
            answers.append(await ask(place.socket, {"do": "leave", "only": only}, report, request.deadline))
    return {part: [row for answer in answers for row in answer[part]] for part in ("workloads", "notes")}
