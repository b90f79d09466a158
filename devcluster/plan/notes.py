"""What `plan` notes of the traffic: what bypasses the agent, what stays with the original, and whom that
sees.  Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from devcluster.plan.serving import Serving
from devcluster.rules.cluster.services import Route, passing

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Notes:
    """``every``: all of them, in words; ``staying``: what the original answers while the laptop is attached,
    which is a part of it."""

    every: tuple[str, ...]
    staying: tuple[str, ...]


def make_notes(
    found: Sequence[Route], services: Sequence[Json], base: Json, container: str, serving: Serving
) -> Notes:
    """*found*: every way to *container*; *base*: the template without us."""
    lasting = tuple(_lasting(found, serving))
    every = (*lasting, *_masked(found, serving), *_beside(services, base, container, serving))
    return Notes(every, () if serving.original_stops else lasting)


def _beside(services: Sequence[Json], base: Json, container: str, serving: Serving) -> list[str]:
    """What leads to other containers of the pod, which go on in the cluster."""
    asks = "reaches the laptop" if serving.original_stops else "stays with the original"
    others = "another container that listens there goes on in the cluster"
    if not serving.in_pod_network and serving.led != "nothing":
        others = "it comes to the laptop, whoever listens there in the pod"
    notes = []
    for it in passing(services, base, container=container):
        leads = f"service/{it.service} port {it.port} leads to"
        if it.container:
            goes_on = f"which goes on in the cluster; what that asks of 127.0.0.1 {asks}"
            notes.append(f"{leads} container {it.container} of the pod (port {it.number}), {goes_on}")
        else:
            where = f"port {it.number}, which no container declares: it is taken for {container}'s"
            notes.append(f"{leads} {where}; {others}")
    return notes


def _lasting(found: Sequence[Route], serving: Serving) -> list[str]:
    """What is true for as long as the laptop is attached."""
    alone = [it for it in found if it.left_alone and (it.port.led or serving.services_only)]
    bypassing = [
        f"service/{it.service} port {it.port} {serving.bypass.format(why=it.left_alone)}" for it in alone
    ]
    return [*(bypassing if serving.led == "fronted" else ()), *serving.notes]


def _masked(found: Sequence[Route], serving: Serving) -> list[str]:
    """When the original does not see who calls it: what passes the agent comes from the agent."""
    if not serving.fronts or not any(it.port.led and not it.left_alone for it in found):
        return []
    when = "while nobody holds the workload" if serving.led == "fronted" else "until `down`"
    return [f"{when}, the application sees the pod's own address as its caller"]
