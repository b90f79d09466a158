"""``list``: the workloads of a namespace, and who holds them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from devcluster.edge.kube.cluster import Cluster
from devcluster.edge.kube.workload import check_namespace, list_all
from devcluster.rules.cluster.identity import WorkloadRef
from devcluster.rules.cluster.service_patch import unmoved
from devcluster.rules.cluster.services import known_ports
from devcluster.rules.ports.ports import PortKey, declared_ports
from devcluster.run.cluster.quietly import list_quietly
from devcluster.run.cluster.record import Mark, holder_row, list_marks
from devcluster.run.commands.project import open_meant
from devcluster.run.request import Request

Json = dict[str, Any]


async def list_workloads(request: Request) -> tuple[str, list[Json]]:
    """The namespace, and for every workload ``kind``, ``name``, ``state``, ``holder`` (as in ``status``, or
    None) and ``ports``."""
    async with open_meant(request) as cluster:
        namespace = cluster.namespace
        marks = {mark.ref: mark for mark in await list_marks(cluster, namespace)}
        found = await list_all(cluster, namespace)
        services = await list_quietly(cluster, "service", namespace)
        rows = [_list_row(ref, item, services, marks.get(ref)) for ref, item in found]
        if not rows:
            await check_namespace(cluster, namespace)
    return namespace, rows


async def list_titles(cluster: Cluster, namespace: str) -> list[str]:
    """KIND/NAME of every workload that may be listed."""
    return [str(ref) for ref, _ in await list_all(cluster, namespace)]


def _list_row(ref: WorkloadRef, item: Json, services: Sequence[Json], mark: Mark | None) -> Json:
    template = item["spec"]["template"]
    fronts = _fronts(mark) if mark is not None else frozenset()
    moves = mark.originals.moves if mark is not None else ()
    known = known_ports(template, [unmoved(service, moves) for service in services])
    ports = list(dict.fromkeys(key.number for key in known if key not in fronts))
    state, holder = "ready (no agent)", None
    if mark is not None:
        state, holder = "ready (agent installed)", holder_row(mark.record)
    if mark is not None and holder is not None:
        state = f"held by {mark.record.holder} since {mark.record.since}"
    return {"kind": ref.kind, "name": ref.name, "state": state, "holder": holder, "ports": ports}


def _fronts(mark: Mark) -> frozenset[PortKey]:
    """The ports that are in the template only because of the agent."""
    before, wrapped = (
        {key for container in template["spec"]["containers"] for key in declared_ports(container)}
        for template in (mark.originals.template, mark.originals.wrapped)
    )
    return frozenset(wrapped - before)
