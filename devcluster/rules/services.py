"""Which Services lead to a workload, and how their connections are led to the agent first.

A Service sends to a port *name* or a port *number* of the pod.  A name simply moves, in the pod's
template, to the agent's front port: kube-proxy follows pod by pod, so no connection is lost during the
roll-out.  A number stands in the Service itself; it is changed after the roll-out and changed back before
the roll-out of ``down``, so that at each moment the port that the Service names is open.

Left alone, with a reason: a numeric port of a Service that selects pods of other workloads too (they have
no agent), of a headless Service (its clients connect to the pod's own port), and whatever is not TCP.

Source: https://kubernetes.io/docs/reference/kubernetes-api/service-resources/service-v1/#ServiceSpec
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
Target = int | str

# On a Service that was changed, what stood there: the Secret goes with its workload, the Service stays.
MOVED = "devcluster/moved"
_NOTE = f"/metadata/annotations/{MOVED.replace('/', '~1')}"
_FIRST_FRONT = 9901


@dataclass(frozen=True, slots=True)
class Route:
    """One TCP port of a Service that leads to *container_port*.

    ``target``: targetPort as it stands.  ``left_alone``: why the Service is not patched, or ''.
    """

    service: str
    port: int
    target: Target
    container_port: int
    left_alone: str = ""

    @property
    def named(self) -> bool:
        return isinstance(self.target, str)


@dataclass(frozen=True, slots=True)
class PortMove:
    """A numeric targetPort and what stands in its place while the agent is installed."""

    service: str
    port: int
    original: int
    front: int


@dataclass(frozen=True, slots=True)
class FrontPort:
    """A TCP port of the application; ``front`` None: connections to it don't pass the agent."""

    port: int
    front: int | None = None
    name: str | None = None


def selects(service: Json, labels: Mapping[str, str]) -> bool:
    """Whether *service* sends to pods with *labels*.  No selector: to none that it knows."""
    selector = service["spec"].get("selector") or {}
    return bool(selector) and all(labels.get(key) == value for key, value in selector.items())


def serving_containers(spec: Json) -> list[Json]:
    """All that run beside each other, sidecars included.

    Source: https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/
    """
    sidecars = [it for it in spec.get("initContainers") or [] if it.get("restartPolicy") == "Always"]
    return [*spec["containers"], *sidecars]


def tcp_ports(item: Json) -> list[Json]:
    """Of a container, or of a Service's spec."""
    return [port for port in item.get("ports") or [] if port.get("protocol", "TCP") == "TCP"]


def routes(
    services: Sequence[Json],
    template: Json,
    *,
    container: str,
    others: Sequence[Mapping[str, str]] = (),
) -> tuple[Route, ...]:
    """Every way into *container*; *others*: labels of pods that are not the workload's."""
    labels = template.get("metadata", {}).get("labels") or {}
    found = []
    for service in sorted(services, key=lambda item: str(item["metadata"]["name"])):
        if not selects(service, labels):
            continue
        shared = any(selects(service, other) for other in others)
        for port in tcp_ports(service["spec"]):
            found += _route(service, port, template, container, shared)
    return tuple(found)


def _route(service: Json, port: Json, template: Json, container: str, shared: bool) -> list[Route]:
    target: Target = port.get("targetPort") or port["port"]
    number = _number(target, template, container)
    if number is None:
        return []
    reason = ""
    if not isinstance(target, str):
        if service["spec"].get("clusterIP") == "None":
            reason = "it is headless: its clients connect to the pod's own port"
        elif shared:
            reason = "it also selects pods of other workloads"
    return [Route(service["metadata"]["name"], port["port"], target, number, reason)]


def _number(target: Target, template: Json, container: str) -> int | None:
    """The port of *container* that *target* means; None where it is another one's or nobody's."""
    name, number = resolve_target(target, template["spec"], container)
    return number if name == container else None


def resolve_target(target: Target, spec: Json, container: str) -> tuple[str, int | None]:
    """The container of a pod (*spec*: its own or its template's) that *target* means, and the port.

    Of several containers that have a port of one name the first is meant, sidecars last.  A number leads to
    the pod, whoever listens there: to *container* where it, or nobody, declares it.  ('', None): a name that
    no port has.
    Source: k8s.io/kubernetes pkg/api/v1/pod/util.go, FindPort
    """
    declared = [(item["name"], port) for item in serving_containers(spec) for port in tcp_ports(item)]
    if isinstance(target, str):
        named = [(name, int(port["containerPort"])) for name, port in declared if port.get("name") == target]
        return named[0] if named else ("", None)
    owners = [name for name, port in declared if port["containerPort"] == target]
    return (container if container in owners or not owners else owners[0]), target


def plan_fronts(
    found: Collection[Route], template: Json, *, container: str, agent_port: int, front: bool = True
) -> tuple[FrontPort, ...]:
    """A front for each port that a Service leads to; the others as they are.  By port number."""
    spec = next(item for item in template["spec"]["containers"] if item["name"] == container)
    names: dict[int, str | None] = {}
    for port in tcp_ports(spec):
        names[port["containerPort"]] = names.get(port["containerPort"]) or port.get("name")
    wanted = {route.container_port for route in found if front and not route.left_alone}
    used = {
        port["containerPort"]
        for item in serving_containers(template["spec"])
        for port in item.get("ports") or []
    }
    used |= {agent_port} | {route.container_port for route in found}
    result, number_of_front = [], _FIRST_FRONT
    for number in sorted(set(names) | {route.container_port for route in found}):
        if number not in wanted:
            result.append(FrontPort(number, None, names.get(number)))
            continue
        while number_of_front in used:
            number_of_front += 1
        result.append(FrontPort(number, number_of_front, names.get(number)))
        number_of_front += 1
    return tuple(result)


def plan_moves(found: Collection[Route], fronts: Collection[FrontPort]) -> tuple[PortMove, ...]:
    """The Services that must be patched; a name has moved in the template already."""
    by_port = {item.port: item.front for item in fronts}
    moves = []
    for route in found:
        front = by_port.get(route.container_port)
        if isinstance(route.target, int) and not route.left_alone and front is not None:
            moves.append(PortMove(route.service, route.port, route.target, front))
    return tuple(sorted(moves, key=lambda move: (move.service, move.port)))


def apply_moves(service: Json, moves: Collection[PortMove], workload: str) -> list[Json]:
    """A JSON patch that leads *service* to the fronts of *workload* (``kind/name``); [] where it does."""
    operations, _ = _replace(service, moves, lambda move: (move.original, move.front))
    return [*operations, *_note(service, moves, workload)] if operations else []


def undo_moves(service: Json, moves: Collection[PortMove]) -> tuple[list[Json], tuple[str, ...]]:
    """The inverse, and the ports that somebody has changed meanwhile and that are left alone.

    A port that was given another number meanwhile is known by the front that it leads to.
    """
    operations, kept = _replace(service, moves, lambda move: (move.front, move.original), renumbered=True)
    return [*operations, *_forget(service)], kept


def unmoved(service: Json, moves: Collection[PortMove]) -> Json:
    """*service* as it would be without us; pure, for planning."""
    known = [move for move in (*moves, *noted_moves(service)) if move.service == service["metadata"]["name"]]
    by_front: dict[Any, int] = {move.front: move.original for move in known}
    exact: dict[Any, int] = {(move.port, move.front): move.original for move in known}

    def back(port: Json) -> Target | None:
        target: Target | None = port.get("targetPort")
        if port.get("protocol", "TCP") != "TCP":
            return target
        return exact.get((port["port"], target)) or by_front.get(target) or target

    ports = [port | {"targetPort": back(port)} for port in service["spec"].get("ports") or []]
    return service | {"spec": service["spec"] | {"ports": ports}}


def noted_moves(service: Json) -> tuple[PortMove, ...]:
    """What the note on *service* says; () where there is none that can be read."""
    try:
        rows = json.loads(_notes(service)[MOVED])["ports"]
        name = service["metadata"]["name"]
        return tuple(PortMove(name, int(port), int(original), int(front)) for port, original, front in rows)
    except (KeyError, TypeError, ValueError):
        return ()


def noted_workload(service: Json) -> tuple[str, str] | None:
    """(kind, name) of the workload to whose agent *service* is led; None where there is no note."""
    try:
        kind, _, name = json.loads(_notes(service)[MOVED])["workload"].partition("/")
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    return kind, name


def _notes(service: Json) -> dict[str, str]:
    return service["metadata"].get("annotations") or {}


def _note(service: Json, moves: Collection[PortMove], workload: str) -> list[Json]:
    name = service["metadata"]["name"]
    ports = sorted([move.port, move.original, move.front] for move in moves if move.service == name)
    text = json.dumps({"workload": workload, "ports": ports})
    if not _notes(service):
        return [{"op": "add", "path": "/metadata/annotations", "value": {MOVED: text}}]
    return [{"op": "add", "path": _NOTE, "value": text}]


def _forget(service: Json) -> list[Json]:
    notes = _notes(service)
    if MOVED not in notes:
        return []
    return [{"op": "remove", "path": _NOTE if len(notes) > 1 else "/metadata/annotations"}]


def _replace(
    service: Json,
    moves: Collection[PortMove],
    pair: Callable[[PortMove], tuple[int, int]],
    *,
    renumbered: bool = False,
) -> tuple[list[Json], tuple[str, ...]]:
    operations: list[Json] = []
    kept = []
    name = service["metadata"]["name"]
    for index, port in enumerate(service["spec"].get("ports") or []):
        if port.get("protocol", "TCP") != "TCP":
            continue
        pairs = [pair(move) for move in moves if (move.service, move.port) == (name, port["port"])]
        target, path = port.get("targetPort"), f"/spec/ports/{index}/targetPort"
        others = [pair(move) for move in moves if move.service == name] if renumbered else []
        found = [after for before, after in (*pairs, *others) if before == target]
        if found:
            operations.append({"op": "test", "path": path, "value": target})
            operations.append({"op": "replace", "path": path, "value": found[0]})
        elif pairs and target not in [after for _, after in pairs]:
            kept.append(f"service/{name} port {port['port']}: targetPort")
    return operations, tuple(kept)
