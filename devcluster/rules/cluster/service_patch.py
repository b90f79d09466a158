"""A Service whose numeric targetPort leads to the agent, and back: patch, inverse, and the note on it.  Pure.

The Secret that knows what was there goes with its workload, the Service stays.  So what a Service said before
us is written on it, in an annotation, before anything else can be lost.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from typing import Any

from devcluster.rules.cluster.identity import WorkloadRef, parse_title
from devcluster.rules.cluster.services import PortMove, TargetPort
from devcluster.rules.ports.ports import PortKey, service_port

Json = dict[str, Any]

MOVED = "devcluster/moved"
"""The annotation with a Service's original ports."""

_NOTE = f"/metadata/annotations/{MOVED.replace('/', '~1')}"


def apply_moves(service: Json, moves: Collection[PortMove], workload: WorkloadRef) -> list[Json]:
    """A JSON patch that leads *service* to the fronts of *workload*; [] where it does."""
    operations, _ = _replace(service, moves, lambda move: (move.original, move.front))
    return [*operations, *_note(service, moves, workload)] if operations else []


def undo_moves(service: Json, moves: Collection[PortMove]) -> tuple[list[Json], tuple[str, ...]]:
    """The inverse, and the ports that somebody has changed meanwhile and that are left alone.

    A port that was given another number meanwhile is known by the front that it leads to.
    """
    operations, kept = _replace(service, moves, lambda move: (move.front, move.original), renumbered=True)
    return [*operations, *_forget(service, moves)], kept


def unmoved(service: Json, moves: Collection[PortMove]) -> Json:
    """*service* as it would be without us; pure, for planning."""
    known = [move for move in (*moves, *noted_moves(service)) if move.service == service["metadata"]["name"]]
    by_front: dict[Any, TargetPort] = {(move.port.protocol, move.front): move.original for move in known}
    exact: dict[Any, TargetPort] = {(move.port, move.front): move.original for move in known}

    def back(item: Json) -> TargetPort | None:
        key, target = service_port(item), item.get("targetPort")
        return exact.get((key, target)) or by_front.get((key.protocol, target)) or target

    ports = [item | {"targetPort": back(item)} for item in service["spec"].get("ports") or []]
    return service | {"spec": service["spec"] | {"ports": ports}}


def noted_moves(service: Json) -> tuple[PortMove, ...]:
    """What the note on *service* says; () where there is none that can be read."""
    try:
        rows = json.loads(_notes(service)[MOVED])["ports"]
        name = service["metadata"]["name"]
        return tuple(
            PortMove(name, PortKey(int(port)), _target(target), int(front)) for port, target, front in rows
        )
    except (KeyError, TypeError, ValueError):
        return ()


def _target(value: TargetPort) -> TargetPort:
    return value if isinstance(value, str) else int(value)


def noted_workload(service: Json) -> WorkloadRef | None:
    """The workload to whose agent *service* is led; None where there is no note."""
    try:
        title = json.loads(_notes(service)[MOVED])["workload"]
        return parse_title(title, service["metadata"]["namespace"])
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _notes(service: Json) -> dict[str, str]:
    return service["metadata"].get("annotations") or {}


def _note(service: Json, moves: Collection[PortMove], workload: WorkloadRef) -> list[Json]:
    name = service["metadata"]["name"]
    mine = sorted((move for move in moves if move.service == name), key=lambda move: (move.port, move.front))
    ports = [[move.port.number, move.original, move.front] for move in mine]
    text = json.dumps({"workload": str(workload), "ports": ports})
    if not _notes(service):
        return [{"op": "add", "path": "/metadata/annotations", "value": {MOVED: text}}]
    return [{"op": "add", "path": _NOTE, "value": text}]


def _forget(service: Json, moves: Collection[PortMove]) -> list[Json]:
    """The note goes with the last of its ports."""
    notes, workload = _notes(service), noted_workload(service)
    if MOVED not in notes:
        return []
    if workload is not None and (left := [it for it in noted_moves(service) if it not in moves]):
        return _note(service, left, workload)
    return [{"op": "remove", "path": _NOTE if len(notes) > 1 else "/metadata/annotations"}]


def _replace(
    service: Json,
    moves: Collection[PortMove],
    pair: Callable[[PortMove], tuple[TargetPort, TargetPort]],
    *,
    renumbered: bool = False,
) -> tuple[list[Json], tuple[str, ...]]:
    operations: list[Json] = []
    kept = []
    name = service["metadata"]["name"]
    for index, item in enumerate(service["spec"].get("ports") or []):
        key, mine = service_port(item), [move for move in moves if move.service == name]
        pairs = [pair(move) for move in mine if move.port == key]
        target, path = item.get("targetPort"), f"/spec/ports/{index}/targetPort"
        others = [pair(move) for move in mine if renumbered and move.port.protocol == key.protocol]
        found = [after for before, after in (*pairs, *others) if before == target]
        if found:
            operations.append({"op": "test", "path": path, "value": target})
            operations.append({"op": "replace", "path": path, "value": found[0]})
        elif pairs and target not in [after for _, after in pairs]:
            kept.append(f"service/{name} port {key}: targetPort")
    return operations, tuple(kept)
