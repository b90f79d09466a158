"""``sync``: bring over what is under way in live volumes, and decide what both sides changed.

Only the host process knows them; without one nothing is under way.
"""

from __future__ import annotations

from typing import Any

from devcluster.errors import ConfigurationError
from devcluster.run.commands.project import find_place
from devcluster.run.host.socket import AbsentError, ask
from devcluster.run.report import Report
from devcluster.run.request import Request

Json = dict[str, Any]


async def sync(request: Request, report: Report, *, side: str = "", paths: tuple[str, ...] = ()) -> Json:
    """Make both sides alike.  Before that, *side* (`laptop` or `pod`) decides for *paths*, as the container
    of the one workload that is meant sees them.  RemainsError names what can't be made alike."""
    place = await find_place(request)
    message = {"do": "sync", "only": list(request.only), "side": side, "paths": list(paths)}
    try:
        return await ask(place.socket, message, report, request.deadline)
    except AbsentError as error:
        named = ", ".join(request.only)
        raise ConfigurationError(
            f"{named} is not attached" if named else "nothing is attached",
            hint=f"`devcluster up {named}".rstrip() + "` attaches it",
        ) from error
