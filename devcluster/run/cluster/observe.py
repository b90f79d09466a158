"""What ``up`` must know of the cluster before it plans, and what ``down`` must know afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Mapping
from dataclasses import replace

from devcluster.edge.kube.answer import ForbiddenError
from devcluster.edge.kube.cluster import FIELD_MANAGER, Cluster, Json
from devcluster.edge.kube.workload import WorkloadObject
from devcluster.plan.install import InstallPlan, Observed
from devcluster.rules.cluster.marks import (
    Originals,
    parse_originals,
    secret_file,
    secret_name,
)
from devcluster.rules.cluster.sharing import TEMPLATED, other_labels
from devcluster.rules.kinds.kind import Claims
from devcluster.rules.kinds.rolling import remember
from devcluster.rules.kinds.table import kind_of
from devcluster.rules.volume.claims import exclusive_claims, written_claims
from devcluster.run.cluster.history import list_releases
from devcluster.run.cluster.quietly import list_quietly

_LIVING = "status.phase!=Failed,status.phase!=Succeeded"
_MORE_HISTORY = 10  # room for our roll-outs and for the releases made meanwhile


async def observe(cluster: Cluster, workload: WorkloadObject) -> Observed:
    """Everything that ``plan_install`` needs to know of the cluster, read once."""
    space = workload.ref.namespace
    services = await cluster.list("service", space)
    secret = await cluster.find("secret", secret_name(workload.ref), space)
    originals = parse_originals(secret) if secret is not None else None
    if originals is not None and originals.uid != workload.uid:
        originals = None  # of a workload of the same name that was deleted
    settings = None
    if secret is not None and originals is not None:
        with contextlib.suppress(ValueError):
            settings = parse_agent_settings(secret)
    return Observed(
        ref=workload.ref,
        container=workload.container,
        object=workload.object,
        services=services.items,
        others=await _others(cluster, workload),
        originals=originals,
        settings=settings,
        claims=await read_claims(cluster, workload.object["spec"]["template"], space),
        policies=await list_quietly(cluster, "networkpolicy", space),
    )


async def read_claims(cluster: Cluster, template: Json, namespace: str) -> Claims:
    """Those that two pods of *template* must not write to at once; () where they may not be read."""
    if not written_claims(template):
        return ()
    return exclusive_claims(template, await list_quietly(cluster, "persistentvolumeclaim", namespace))


async def _others(cluster: Cluster, workload: WorkloadObject) -> tuple[Mapping[str, str], ...]:
    """The labels of everybody else's pods.

    The pods are read first, so that the owner of each listed pod is listed, too.
    """
    space = workload.ref.namespace
    pods = (await cluster.list("pod", space, fields=_LIVING, metadata_only=True)).items
    read = await asyncio.gather(*(_templated(cluster, kind, space) for kind in TEMPLATED))
    history = kind_of(workload.ref).history.resource
    if history in TEMPLATED and read[TEMPLATED.index(history)] is None:
        pods = ()  # nobody can say which of them are the workload's; `up` is refused then
    made = [item for items in read for item in items or ()]
    return other_labels(workload.uid, pods, made)


async def _templated(cluster: Cluster, kind: str, namespace: str) -> tuple[Json, ...] | None:
    """None where they may not be read."""
    try:
        return (await cluster.list(kind, namespace)).items
    except ForbiddenError:
        return None


def parse_agent_settings(secret: Json) -> Json:
    """``agent.json`` of a Secret.  ValueError where there is none."""
    settings = json.loads(secret_file(secret, "agent.json"))
    if not isinstance(settings, dict):
        raise ValueError("agent.json is not an object")
    return settings


def raised_limit(seen: Observed) -> int:
    """The revisionHistoryLimit while the agent is installed."""
    if seen.originals is not None:
        return seen.originals.raised_limit
    return int(seen.object["spec"].get("revisionHistoryLimit", 10)) + _MORE_HISTORY


def was_available(seen: Observed) -> bool:
    """Whether a pod of it answered when we came.  One that was ready not long enough for minReadySeconds
    did."""
    row, status = kind_of(seen.ref), seen.object.get("status") or {}
    ready = status.get("readyReplicas", 0) or status.get("numberReady", 0)
    return row.available(seen.object) > 0 or ready > 0


async def build_originals(cluster: Cluster, plan: InstallPlan, wrapped: Json) -> Originals:
    """What the Secret must hold; *wrapped*: as the API server gives it back."""
    seen, old = plan.observed, plan.observed.originals
    rolling = remember(seen.object["spec"], plan.rolling, old.rolling if old is not None else {})
    if old is not None:
        former: Json | None = None
        if old.wrapped != wrapped:
            former = {"template": old.template, "wrapped": old.wrapped}
        led = lead_originals(old, plan)
        return replace(led, template=plan.base, wrapped=wrapped, rolling=rolling, former=former)
    item, history = seen.object, kind_of(seen.ref).history
    releases = await list_releases(cluster, seen.ref, item["metadata"]["uid"])
    return Originals(
        ref=seen.ref,
        uid=item["metadata"]["uid"],
        container=seen.container,
        template=plan.base,
        wrapped=wrapped,
        history_limit=int(item["spec"].get("revisionHistoryLimit", 10)),
        raised_limit=raised_limit(seen),
        revision=history.current(item, releases),
        revisions=history.numbers(releases),
        moves=plan.moves,
        managers=_managers(plan),
        available=was_available(seen),
        rolling=rolling,
    )


def lead_originals(old: Originals, plan: InstallPlan) -> Originals:
    """With the Services that *plan* leads.  One that is to be given back says on itself where it led."""
    fresh = {name: entries for name, entries in _managers(plan).items() if not any(map(_is_ours, entries))}
    return replace(old, moves=plan.moves, managers={**old.managers, **fresh})


def _is_ours(entry: Json) -> bool:
    return bool(entry.get("manager") == FIELD_MANAGER)


def _managers(plan: InstallPlan) -> dict[str, list[Json]]:
    seen = plan.observed
    moved = {move.service for move in plan.moves}
    found = {str(seen.ref): seen.object["metadata"].get("managedFields") or []}
    for service in seen.services:
        name = service["metadata"]["name"]
        if name in moved:
            found[f"service/{name}"] = service["metadata"].get("managedFields") or []
    return found
