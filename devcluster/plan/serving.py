"""What one workload asks of the rest of devcluster, as a value: of its image, ports, volumes and notes.

A mode, a take and a run mean something in many places: to whoever chooses an image, publishes a port, copies
a volume or writes a note.  The naive way asks ``run == "host"`` in each; then nobody can say what a process
needs without reading fourteen files, and another thing that serves is a change in all of them.  So this
module alone asks, as ``handover`` does for the order of things.  The others read a field.

A field has its reader's words, so several are equal today: a process has no container, needs no image and
publishes no port.  What serves next need not have all three.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from devcluster.config.model import Mode, Run, Take, Workload
from devcluster.rules.advice.datagrams import Datagrams
from devcluster.rules.cluster.services import FrontPort, Route
from devcluster.rules.ports.ports import PortKey

Led = Literal["fronted", "every", "nothing"]
"""Which of the pod's ports lead to the laptop: those that have a front, all that it has, or none."""
ServicePort = tuple[str, PortKey]
"""A Service's name and one of its ports."""


@dataclass(frozen=True, slots=True)
class Serving:
    """``fronts``: Services are led to ports of the agent, and not to the application's own.
    ``original_stops``: no two of it run; ``services_only``: nothing but what comes through a Service reaches
    the laptop.  ``notes``: what the user loses in any case; ``bypass``: what becomes of a Service's port that
    can't be led, with ``{why}``; ``datagrams``: of those that do not speak TCP.

    ``local``: what serves, in words.  ``has_container``: it has logs, takes commands and can be restarted.
    ``needs_engine``: nothing works without Docker; ``needs_image``: it runs one; ``needs_program``: the lanes
    end in a program of the laptop; ``publishes``: its ports are published.  ``copies_in``: where the pod's
    volumes are copied to.  ``in_pod_network``: the pod's names and addresses hold for it; otherwise only what
    a tunnel leads to can be reached.  ``exports_always``: its environment is written to a file unasked.
    """

    led: Led
    fronts: bool
    original_stops: bool
    services_only: bool
    notes: tuple[str, ...]
    bypass: str
    datagrams: Datagrams
    local: str
    has_container: bool
    needs_engine: bool
    needs_image: bool
    needs_program: bool
    publishes: bool
    copies_in: Literal["volumes", "folder"]
    in_pod_network: bool
    exports_always: bool


def plan_serving(mode: Mode, take: Take, run: Run) -> Serving:
    """What is asked of each part; *take* `direct` does not go with `intercept` (``config`` refuses it)."""
    stops, beside, container = mode == "replace", mode == "intercept", run == "container"
    return Serving(
        led=_led(mode, take),
        fronts=take == "front",
        original_stops=stops,
        services_only=beside,
        notes=_notes(mode, take),
        bypass="stays with the original ({why})" if beside else _GAP,
        datagrams=_datagrams(mode, run),
        local="local container" if container else "process",
        has_container=container,
        needs_engine=container,
        needs_image=container,
        needs_program=not container,
        publishes=container,
        copies_in="volumes" if container else "folder",
        in_pod_network=container,
        exports_always=not container,
    )


def serving_of(workload: Workload, take: Take | None = None) -> Serving:
    """As the file says; *take*: what was chosen where it leaves that open."""
    return plan_serving(workload.mode, workload.take or take or "front", workload.run)


def find_staying(found: Collection[Route], serving: Serving) -> dict[ServicePort, str]:
    """Service ports that the original answers while the laptop is attached, and why."""
    if serving.led == "nothing":
        return {(it.service, it.port): "the mode is ingest" for it in found}
    alone = found if serving.services_only else ()
    return {(it.service, it.port): it.left_alone for it in alone if it.left_alone}


def entrances(serving: Serving, fronts: Sequence[FrontPort]) -> frozenset[PortKey]:
    """Every port of the pod whose connections come to the laptop."""
    if serving.led == "nothing":
        return frozenset()
    return frozenset(key for it in fronts for key in (it.entrance if serving.services_only else it.keys))


def led_ports(led: Led, fronts: Sequence[FrontPort]) -> tuple[PortKey, ...]:
    """Those of the pod's ports whose connections come to the laptop; *fronts*: all that it has."""
    if led == "nothing":
        return ()
    return tuple(it.port for it in fronts if led == "every" or it.front is not None)


_GAP = "bypasses the agent ({why}): connections may be refused while the original starts again"


def _led(mode: Mode, take: Take) -> Led:
    if mode == "ingest":
        return "nothing"
    return "fronted" if take == "front" else "every"


def _datagrams(mode: Mode, run: Run) -> Datagrams:
    """A process' user chose its ports, so that none must be missed without a word."""
    if mode == "ingest":
        return "kept"
    if run == "host":
        return "refused"
    return "told" if mode == "replace" else "kept"


def _notes(mode: Mode, take: Take) -> tuple[str, ...]:
    if mode == "ingest":
        return ("every connection stays with the original (mode: ingest)",)
    if take == "direct":
        return ("connections may be refused while the original stops or starts (take: direct)",)
    if mode == "intercept":
        return ("what calls the pod's own address, or 127.0.0.1 inside the pod, stays with the original",)
    return ()
