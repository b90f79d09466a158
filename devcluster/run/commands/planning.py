"""``plan``: what ``up`` would do, from the file, the cluster and what the host process has attached."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from devcluster.config.codec import encode_project
from devcluster.config.model import Tunnel
from devcluster.deadline import Deadline
from devcluster.edge.docker.engine import open_docker
from devcluster.edge.kube.cluster import Cluster, open_cluster
from devcluster.plan.steps import PutBack, Step, plan_pulls, render_steps
from devcluster.plan.up import plan_up
from devcluster.rules.cluster.identity import parse_title
from devcluster.rules.container.tunnel_rewriting import LOOPBACK
from devcluster.rules.outcome import Comparison, Decision, decide
from devcluster.run.cluster.holders import own_holder
from devcluster.run.cluster.laptop_ports import check_ports
from devcluster.run.cluster.record import find_dropped
from devcluster.run.cluster.wanted import Wanted, check_datagrams, check_targets, read_wanted
from devcluster.run.exports import Exports
from devcluster.run.host.socket import AbsentError, ask
from devcluster.run.local.tunnels import check_tunnels
from devcluster.run.place import Place, place_of
from devcluster.run.report import silent
from devcluster.run.request import Request
from devcluster.run.volume.folders import check_folders

Json = dict[str, Any]


async def plan(request: Request) -> Json:
    """``{"text", "workloads": [{"name", "outcome", "steps", "warnings", "notes"}]}``; changes nothing."""
    project = request.project
    assert project is not None
    async with open_cluster(request.context, timeout=request.timeout) as cluster, open_docker() as docker:
        namespace = request.namespace or cluster.namespace
        place = place_of(cluster.context, namespace, project.name, request.environ)
        wanted = [
            await read_wanted(cluster, docker, project, workload, namespace) for workload in request.wanted
        ]
        check_targets(wanted, {})
        for item in wanted:
            check_datagrams(item)
        await check_ports(docker, place.id, wanted, request.only)
        await check_folders(place, wanted)
        Exports(place).check(it.workload.env_export for it in wanted if it.workload.env_export)
        attached = await _compare(place, request)
        check_tunnels(await _not_ours(place, project.tunnels, request.deadline))
        put_back = [
            (name, row["title"]) for name, row in attached.items() if row["decision"]["work"] == "remove"
        ] + await _dropped(cluster, place, request, attached)
    planned = [_put_back(name, title) for name, title in put_back]
    planned += [_planned(it, attached.get(it.workload.key)) for it in wanted]
    return {"text": "\n".join(text for _, text in planned), "workloads": [row for row, _ in planned]}


async def _not_ours(place: Place, tunnels: Sequence[Tunnel], deadline: Deadline) -> list[Tunnel]:
    """Without those whose port the host process has itself."""
    own: set[str] = set()
    with contextlib.suppress(AbsentError):
        own = {
            it["address"] for it in (await ask(place.socket, {"do": "status"}, silent, deadline))["tunnels"]
        }
    return [tunnel for tunnel in tunnels if f"{LOOPBACK}:{tunnel.local}" not in own]


async def _compare(place: Place, request: Request) -> dict[str, Json]:
    """What is attached, by name, and what ``up`` would make of it; {} where no host process runs."""
    assert request.project is not None
    asked = {
        "do": "compare",
        "project": encode_project(request.project),
        "only": list(request.only),
    }
    try:
        answer = await ask(place.socket, asked, silent, request.deadline)
    except AbsentError:
        return {}
    return {row["name"]: row for row in answer["workloads"]}


async def _dropped(
    cluster: Cluster, place: Place, request: Request, attached: dict[str, Json]
) -> list[tuple[str, str]]:
    """What was left, not put back, and has been taken out of the file."""
    if request.only or request.project is None:
        return []
    held = [parse_title(row["title"], place.namespace) for row in attached.values()]
    marks = await find_dropped(cluster, place.namespace, request.project, own_holder(place), held)
    return [(mark.ref.name, str(mark.ref)) for mark in marks]


def _put_back(name: str, title: str) -> tuple[Json, str]:
    return _row(name, title, "put back", (PutBack(title),), (), ())


def _planned(wanted: Wanted, attached: Json | None) -> tuple[Json, str]:
    key, title = wanted.workload.key, wanted.title
    decision = Decision(**attached["decision"]) if attached is not None else decide(Comparison())
    steps = (*plan_pulls(wanted.images.absent), *plan_up(decision, wanted.install, wanted.handover))
    unknown = (wanted.unknown,) if wanted.unknown else ()
    if decision.work != "attach":
        return _row(key, title, decision.outcome, steps, (), unknown)
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
    """One workload as data, and the same as text."""
    row = {
        "name": name,
        "outcome": outcome,
        "steps": [{"step": str(step), "cause": step.cause, "undo": step.undo} for step in steps],
        "warnings": list(warnings),
        "notes": list(notes),
    }
    said = "".join(f"    warning: {it}\n" for it in warnings) + "".join(f"    note: {it}\n" for it in notes)
    if not steps:
        return row, f"{name} ({title}): {outcome}\n"
    return row, f"{name} ({title}): {outcome}\n{render_steps(steps)}\n{said}"
