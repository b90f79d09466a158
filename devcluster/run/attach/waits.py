"""What the pods' applications are waited for, told while it lasts."""

from __future__ import annotations

import asyncio

from devcluster.rules.container.pod_times import render_wait
from devcluster.run.attach.links import Links
from devcluster.run.changes import Changes
from devcluster.run.turn import Turn
from devcluster.run.wanted.wanted import Wanted

_MOMENT = 3.0  # seconds; what takes no longer needs no word


def find_waits(links: Links, wanted: Wanted) -> dict[str, str]:
    """By pod."""
    waits = {it.pod.name: render_wait(it.agent_state, wanted.container, wanted.pod_spec) for it in links.live}
    return {pod: wait for pod, wait in waits.items() if wait}


async def tell_waits(links: Links, wanted: Wanted, changes: Changes, turn: Turn) -> None:
    """Until cancelled, each time that it is another."""
    await asyncio.sleep(_MOMENT)
    said: dict[str, str] = {}
    while True:
        waits = find_waits(links, wanted)
        for pod, wait in sorted(waits.items()):
            if said.get(pod) != wait:
                turn.say(wanted.workload.key, f"waiting for pod {pod}: {wait}")
        said |= waits
        await changes.until(lambda known=waits: find_waits(links, wanted) != known)  # type: ignore[misc]
