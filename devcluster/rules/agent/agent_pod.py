"""A pod with an agent, as data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AgentPod:
    """A pod of the workload with an agent in it.  ``ending``: it is being deleted, and serves until no more
    connections are sent to it; ``ready``: Services lead to it."""

    name: str
    uid: str
    ip: str
    phase: str
    ending: bool = False
    ready: bool = False
