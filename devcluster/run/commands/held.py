"""What this laptop holds in a namespace.  Without a file `status` and `leave` mean that, since
`devcluster run` needs none."""

from __future__ import annotations

from typing import Any

from devcluster.deadline import Deadline
from devcluster.run.commands.project import open_meant
from devcluster.run.host.socket import AbsentError, EndedError, ask
from devcluster.run.place import Place, known_places
from devcluster.run.report import Report, silent
from devcluster.run.request import Request, check_names

Json = dict[str, Any]
_PATIENCE = 5.0  # seconds


async def find_held(request: Request) -> dict[Place, tuple[str, ...]]:
    """The keys that each project of the request's context and namespace holds; none without a key."""
    async with open_meant(request) as cluster:
        places = known_places(cluster.context, cluster.namespace, request.environ)
    held = {place: await _keys(place) for place in places}
    return {place: keys for place, keys in held.items() if keys}


async def leave_held(request: Request, report: Report) -> Json:
    """Hand back what is held, or of that what is named."""
    held = await find_held(request)
    check_names(request.only, {key for keys in held.values() for key in keys}, "this laptop")
    answers: list[Json] = []
    for place, keys in held.items():
        if only := [key for key in keys if not request.only or key in request.only]:
            answers.append(await ask(place.socket, {"do": "leave", "only": only}, report, request.deadline))
    return {part: [row for answer in answers for row in answer[part]] for part in ("workloads", "notes")}


async def _keys(place: Place) -> tuple[str, ...]:
    deadline = Deadline.after(_PATIENCE)
    try:
        async with deadline.bound():
            answer = await ask(place.socket, {"do": "status"}, silent, deadline)
    except (AbsentError, EndedError, TimeoutError):
        return ()
    return tuple(row["name"] for row in answer["workloads"])
