"""What a session sees of the cluster, as data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AgentPod:
    """A pod of the workload with an agent in it.  ``image_id``: digest of the target container's image;
    ``ending``: it was told to stop, and serves on until nobody is sent to it any more."""

    name: str
    uid: str
    ip: str
    ready: bool
    phase: str
    image_id: str
    ending: bool = False
