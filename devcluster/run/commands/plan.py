"""``plan``: what ``up`` would do, from the file, the cluster and what the host process has attached."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Sequence
from dataclasses import asdict
from typing import Any

from devcluster.config.codec import encode_project
from devcluster.config.model import Tunnel
from devcluster.deadline import Deadline
from devcluster.edge.docker.engine import open_docker
from devcluster.edge.kube.cluster import Cluster
from devcluster.plan.steps import PutBack, Step, plan_pulls, render_steps
from devcluster.plan.up import plan_up
from devcluster.rules.cluster.identity import WorkloadRef, parse_title
from devcluster.rules.container.tunnel_rewriting import LOOPBACK
from devcluster.rules.outcome import Comparison, Decision, decide, end_of
from devcluster.run.cluster.holders import own_holder
from devcluster.run.cluster.record import find_dropped
from devcluster.run.commands.project import open_meant, place_in
from devcluster.run.host.preconditions import check_before
from devcluster.run.host.socket import AbsentError, ask
from devcluster.run.local.tunnels import check_tunnels
from devcluster.run.place import Place
from devcluster.run.report import silent
from devcluster.run.request import Request
from devcluster.run.volume.measure import Measured, measure
from devcluster.run.wanted.wanted import Wanted, read_wanted

Json = dict[str, Any]


async def make_plan(request: Request) -> Json:
    """``{"text", "workloads": [{"name", "outcome", "steps", "warnings", "notes", "volumes"}]}``; changes
    nothing."""
    project = request.project
    assert project is not None
    async with open_meant(request) as cluster, open_docker() as docker:
        place = place_in(cluster, request)
        wanted = [
            await read_wanted(cluster, docker, project, workload, place.namespace)
            for workload in request.wanted
        ]
        attached, beside = await _compare(place, request)
        others = _others(attached, wanted, place.namespace) | beside
        measured = await check_before(place, cluster, docker, wanted, request.only, others, request.deadline)
        check_tunnels(await _not_ours(place, project.tunnels, request.deadline))
        for item in wanted:
            if item.workload.key not in measured:
                measured[item.workload.key] = await measure(cluster, item, request.deadline)
        put_back = [
            (name, row["title"]) for name, row in attached.items() if row["decision"]["work"] == "remove"
        ] + await _dropped(cluster, place, request, {*_held(attached, place), *beside.values()})
    planned = [_put_back(name, title) for name, title in put_back]
    planned += [_planned(it, attached.get(it.workload.key), measured[it.workload.key]) for it in wanted]
    return {"text": "\n".join(text for _, text in planned), "workloads": [row for row, _ in planned]}


def _others(attached: dict[str, Json], wanted: Sequence[Wanted], namespace: str) -> dict[str, WorkloadRef]:
    """What stays attached beside *wanted*."""
    staying = attached.keys() - {it.workload.key for it in wanted}
    return {
        key: parse_title(attached[key]["title"], namespace)
        for key in sorted(staying)
        if attached[key]["decision"]["work"] != "remove"
    }


async def _not_ours(place: Place, tunnels: Sequence[Tunnel], deadline: Deadline) -> list[Tunnel]:
    """Without those whose port the host process itself has."""
    own: set[str] = set()
    with contextlib.suppress(AbsentError):
        own = {
            it["address"] for it in (await ask(place.socket, {"do": "status"}, silent, deadline))["tunnels"]
        }
    return [tunnel for tunnel in tunnels if f"{LOOPBACK}:{tunnel.local}" not in own]


async def _compare(place: Place, request: Request) -> tuple[dict[str, Json], dict[str, WorkloadRef]]:
    """What is attached, by name, and what ``up`` would make of it; and what it would not look at.  {} where
    no host process runs."""
    assert request.project is not None
    asked = {
        "do": "compare",
        "project": encode_project(request.project),
        "only": list(request.only),
    }
    try:
        answer = await ask(place.socket, asked, silent, request.deadline)
    except AbsentError:
        return {}, {}
    beside = {key: parse_title(title, place.namespace) for key, title in answer["beside"].items()}
    return {row["name"]: row for row in answer["workloads"]}, beside


def _held(attached: dict[str, Json], place: Place) -> set[WorkloadRef]:
    return {parse_title(row["title"], place.namespace) for row in attached.values()}


async def _dropped(
    cluster: Cluster, place: Place, request: Request, held: Collection[WorkloadRef]
) -> list[tuple[str, str]]:
    """What was left, has not been put back, and has been taken out of the file."""
    if request.only or request.project is None:
        return []
    marks = await find_dropped(cluster, place.namespace, request.project, own_holder(place), held)
    return [(mark.ref.name, str(mark.ref)) for mark in marks]


def _put_back(name: str, title: str) -> tuple[Json, str]:
    return _row(name, title, end_of(removed=True), (PutBack(title),), (), ())


def _planned(wanted: Wanted, attached: Json | None, volumes: Sequence[Measured]) -> tuple[Json, str]:
    row, text = _planned_steps(wanted, attached)
    lines = "".join(f"    {volume}\n" for volume in volumes)
    return row | {"volumes": [volume.row() for volume in volumes]}, text + lines


def _planned_steps(wanted: Wanted, attached: Json | None) -> tuple[Json, str]:
    key, title = wanted.workload.key, wanted.title
    decision = Decision(**attached["decision"]) if attached is not None else decide(Comparison())
    steps = (*plan_pulls(wanted.images.absent), *plan_up(decision, wanted.install, wanted.handover))
    unknown = (wanted.unknown,) if wanted.unknown else ()
    if decision.work != "attach":
        return _row(key, title, decision.outcome, steps, (), (*wanted.install.staying, *unknown))
    cautions = tuple(wanted.cautions)
    notes = (*wanted.install.notes, *unknown)
    row, text = _row(key, title, decision.outcome, steps, [str(it) for it in cautions], notes)
    return row | {"warnings": [asdict(caution) for caution in cautions]}, text


def _row(
    name: str,
    title: str,
    outcome: str,
    steps: Sequence[Step],
    warnings: Sequence[str],
    notes: Sequence[str],
) -> tuple[Json, str]:
    """One workload as data, and as text."""
    row = {
        "name": name,
        "outcome": outcome,
        "steps": [{"step": str(step), "cause": step.cause, "undo": step.undo} for step in steps],
        "warnings": list(warnings),
        "notes": list(notes),
    }
    said = "".join(f"    warning: {it}\n" for it in warnings) + "".join(f"    note: {it}\n" for it in notes)
    if not steps:
        return row, f"{name} ({title}): {outcome}\n{said}"
    return row, f"{name} ({title}): {outcome}\n{render_steps(steps)}\n{said}"
