"""What an agent says of its pod: the answer to most requests of ``control``, and each state event.

It is read here and nowhere else; what an older agent does not tell yet is as if it had nothing to tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from devcluster.rules.agent.facts import Listener, parse_listeners

Route = Literal["", "child", "laptop", "queue"]
"""Where new connections go: to the original, to the laptop, or they wait."""

Child = Literal["", "waiting", "starting", "running", "stopping", "stopped"]
"""What the original does."""


@dataclass(frozen=True, slots=True)
class AgentState:
    """``epoch``: the highest that it was held by; ``holder``: who holds it, ``USER@HOST``, '' for nobody, and
    ``since``: from when, RFC 3339.  ``reason``: why the original does not start, or does not accept.
    ``lanes``: how many stand; ``lease_ms``: what is left of the holder's lease.  ``listeners``: where the
    application listens, or did before it was stopped; ``neighbours``: where the pod's other containers do.
    ``versions``: what kubelet wrote last into the volumes that it writes anew."""

    epoch: int = 0
    holder: str = ""
    since: str = ""
    route: Route = ""
    child: Child = ""
    reason: str = ""
    lanes: int = 0
    lease_ms: int = field(default=0, compare=False)  # it is another in each answer
    listeners: tuple[Listener, ...] = ()
    neighbours: tuple[Listener, ...] = ()
    versions: frozenset[str] = frozenset()


UNHEARD = AgentState()
"""Of an agent that has said nothing yet."""


def parse_state(told: Mapping[str, Any]) -> AgentState:
    """*told*: ``State`` of docs/architecture.md."""
    holder = told.get("holder")
    return AgentState(
        epoch=told.get("epoch", 0),
        holder=f"{holder['user']}@{holder['host']}" if holder else "",
        since=told.get("since", ""),
        route=told.get("route", ""),
        child=told.get("child", ""),
        reason=told.get("reason", ""),
        lanes=told.get("lanes", 0),
        lease_ms=told.get("lease_ms", 0),
        listeners=parse_listeners(told.get("listeners") or ()),
        neighbours=parse_listeners(told.get("neighbours") or ()),
        versions=frozenset(told.get("versions") or ()),
    )
