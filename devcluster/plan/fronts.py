"""Which of the pod's ports have a front, and whether the fronts that are there will do.  Pure.

A front is in the agent's settings and in the template, so another one is a roll-out.  To which of them
Services are led is a matter of the mode and of `services`, which the file may change at any time.  So the
agent gets a front for each port that some edit could lead.  The naive way, fronts for what is led now, needs
new pods for another mode.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from devcluster.rules.cluster.marks import Originals
from devcluster.rules.cluster.services import FrontPort, Route, plan_fronts
from devcluster.rules.cluster.template import find_container
from devcluster.rules.ports.ports import PortKey, container_port

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Fronts:
    """``agent``: every port as the agent and the template know it; ``led``: the same, with those fronts alone
    to which Services are led now."""

    agent: tuple[FrontPort, ...]
    led: tuple[FrontPort, ...]


def make_fronts(
    found: Collection[Route], template: Json, *, container: str, agent_port: int, first: int, front: bool
) -> Fronts:
    """As a first `up` makes them; *found*: every way into *container*."""
    made = plan_fronts(found, template, container=container, agent_port=agent_port, first=first, front=front)
    return Fronts(made, _led(made, found))


def keep_fronts(settings: Json | None, originals: Originals | None, fresh: Fronts) -> Fronts | None:
    """Those of the installed agent, if they are enough for what *fresh* is made for; *settings*: its own."""
    if settings is None or originals is None:
        return None
    before, now = (
        _names(find_container(it, originals.container)) for it in (originals.template, originals.wrapped)
    )
    there = tuple(_installed(item, before, now) for item in settings["ports"])
    if _first(fresh.agent) not in (None, _first(there)) or not _enough({it.port: it for it in there}, fresh):
        return None
    wanted = {it.port for it in fresh.led if it.front is not None}
    return Fronts(there, tuple(it if it.port in wanted else replace(it, front=None) for it in there))


def _led(made: Collection[FrontPort], found: Collection[Route]) -> tuple[FrontPort, ...]:
    wanted = {route.container_port for route in found if not route.left_alone}
    return tuple(it if it.port in wanted else replace(it, front=None) for it in made)


def _names(container: Json) -> dict[PortKey, list[str]]:
    found: dict[PortKey, list[str]] = {}
    for item in container.get("ports") or []:
        found.setdefault(container_port(item), []).append(item.get("name") or "")
    return found


def _installed(
    item: Json, before: Mapping[PortKey, list[str]], now: Mapping[PortKey, list[str]]
) -> FrontPort:
    port = PortKey(item["port"], item["protocol"])
    names = [name for name in before.get(port, ()) if name]
    staying = frozenset(names) & frozenset(now.get(port, ()))
    return FrontPort(port, item.get("front"), names[0] if names else None, staying)


def _first(fronts: Collection[FrontPort]) -> int | None:
    """By which it shows that the file wants them elsewhere."""
    return min((it.front for it in fronts if it.front is not None), default=None)


def _enough(there: Mapping[PortKey, FrontPort], fresh: Fronts) -> bool:
    """Whether each port is known, has the front that it needs now, and keeps the names that must stay."""
    for wanted in fresh.led:
        known = there.get(wanted.port)
        if known is None or (wanted.front is not None and known.front is None):
            return False
        if known.front is not None and not wanted.staying <= known.staying:
            return False
    taken = {it.port.number for it in fresh.agent}
    return not taken & {it.front for it in there.values()}
