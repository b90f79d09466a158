"""What a session sees of the cluster, as data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AgentPod:
    """A pod of the workload with an agent in it.  ``ending``: it was told to stop, and serves until nobody is
    sent to it any more; ``ready``: Services lead to it."""

    name: str
    uid: str
    ip: str
    phase: str
    ending: bool = False
    ready: bool = False
