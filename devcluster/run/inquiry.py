"""What can be asked without changing anything: ``list``, ``plan``, ``env``; ``status`` has its own page."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from devcluster.edge.agent.ssh import Keys, open_agent
from devcluster.edge.docker.engine import open_engine
from devcluster.edge.kube.answer import ForbiddenError
from devcluster.edge.kube.cluster import Cluster, open_cluster
from devcluster.edge.kube.workload import KINDS, agent_pods, check_namespace, find_workload
from devcluster.edge.lane.lanes import AgentAddress
from devcluster.edge.lane.ways import Ways
from devcluster.errors import ConfigurationError
from devcluster.plan.local import plan_local
from devcluster.plan.steps import render_steps
from devcluster.rules.environment import local_environment
from devcluster.rules.marks import secret_file, secret_name
from devcluster.rules.naming import project_id
from devcluster.run.request import Request
from devcluster.run.workload.ports import check_ports
from devcluster.run.workload.record import Mark, list_marks
from devcluster.run.workload.wanted import Wanted, read_wanted

Json = dict[str, Any]


async def list_workloads(request: Request) -> tuple[str, list[Json]]:
    """The namespace, and every workload of it by kind and name."""
    async with open_cluster(request.context) as cluster:
        namespace = request.namespace or cluster.namespace
        marks = {(mark.kind, mark.name): mark for mark in await list_marks(cluster, namespace)}
        rows = []
        for kind in KINDS[:-1]:
            for item in await _list_kind(cluster, kind, namespace):
                name = item["metadata"]["name"]
                rows.append(_list_row(kind, item, marks.get((kind, name))))
        if not rows:
            await check_namespace(cluster, namespace)
    return namespace, rows


async def _list_kind(cluster: Cluster, kind: str, namespace: str) -> tuple[Json, ...]:
    """The Role gives no more than what can be replaced: of other kinds nothing is known then."""
    try:
        return (await cluster.list(kind, namespace)).items
    except ForbiddenError:
        if kind == "deployment":
            raise
        return ()


def _list_row(kind: str, item: Json, mark: Mark | None) -> Json:
    containers = item["spec"]["template"]["spec"]["containers"]
    fronts = _fronts(mark) if mark is not None else frozenset()
    ports = [port["containerPort"] for container in containers for port in container.get("ports") or []]
    ports = [port for port in ports if port not in fronts]
    state, holder = "ready (no agent)", None
    if mark is not None:
        state, holder = "ready (agent installed)", mark.record.holder
    if mark is not None and holder is not None:
        state = f"held by {holder} since {mark.record.since}"
    name = item["metadata"]["name"]
    return {"kind": kind, "name": name, "state": state, "ports": ",".join(map(str, ports)) or "-"}


def _fronts(mark: Mark) -> frozenset[int]:
    """Ports that the template has only because of the agent: nobody's but ours."""
    before, wrapped = (
        {
            port["containerPort"]
            for container in template["spec"]["containers"]
            for port in container.get("ports") or []
        }
        for template in (mark.originals.template, mark.originals.wrapped)
    )
    return frozenset(wrapped - before)


async def plan(request: Request) -> Json:
    """What ``up`` would do: ``{"text", "workloads": [{"name", "steps", "warnings", "notes"}]}``."""
    project = request.project
    assert project is not None
    async with open_cluster(request.context) as cluster, open_engine() as engine:
        namespace = request.namespace or cluster.namespace
        wanted = [
            await read_wanted(cluster, engine, project, workload, namespace) for workload in request.wanted
        ]
        identity = project_id(cluster.context, namespace, project.name)
        await check_ports(engine, identity, wanted, request.only)
    rows, texts = zip(*map(_planned, wanted), strict=True)
    return {"text": "\n".join(texts), "workloads": list(rows)}


def _planned(wanted: Wanted) -> tuple[Json, str]:
    """One workload's row, and the same as text."""
    steps = (*wanted.install.steps, *plan_local(wanted.order, wanted.workload.key, wanted.title))
    row = {
        "name": wanted.workload.key,
        "steps": [{"step": str(step), "cause": step.cause, "undo": step.undo} for step in steps],
        "warnings": [asdict(caution) for caution in wanted.cautions],
        "notes": list(wanted.install.notes),
    }
    notes = "".join(f"    warning: {caution}\n" for caution in wanted.cautions)
    notes += "".join(f"    note: {note}\n" for note in wanted.install.notes)
    return row, f"{wanted.workload.key} ({wanted.title})\n{render_steps(steps)}\n{notes}"


async def environment(request: Request, *, raw: bool) -> tuple[tuple[str, str], ...]:
    """The environment of one workload, from its agent."""
    workload = request.wanted[0]
    assert request.project is not None
    async with open_cluster(request.context) as cluster:
        namespace = request.namespace or cluster.namespace
        found = await find_workload(cluster, workload.target, namespace)
        pods = [pod for pod in await agent_pods(cluster, found) if pod.phase == "Running"]
        if not pods:
            raise ConfigurationError(
                f"{found.kind}/{found.name} has no agent, and only the agent knows the whole environment",
                hint=f"`devcluster up {workload.key}` installs it",
            )
        secret = await cluster.get("secret", secret_name(found.kind, found.name), namespace)
        keys = Keys(secret_file(secret, "laptop.key").encode(), secret_file(secret, "agent.pub"))
        address = AgentAddress(namespace, pods[0].name, request.project.agent.port)
        async with open_agent(Ways(), await cluster.upgrade_target(), address, keys, timeout=15) as link:
            facts = await link.inspect()
        if raw:
            return facts.environment
        services = tuple(
            item["metadata"]["name"] for item in (await cluster.list("service", namespace)).items
        )
    made = local_environment(facts.environment, workload, services=services, namespace=namespace)
    return tuple((name, value) for name, value in made.variables if value is not None)
