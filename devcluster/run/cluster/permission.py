"""Whether these rights are enough for an ``up``, asked before anything is made.

The naive way, to go on until something is refused, leaves a roll-out that nobody may wait for and a Secret
that nobody may delete: a right that is missing on the way in is often missing on the way back.
"""

from __future__ import annotations

import asyncio

from devcluster.edge.kube.answer import ROLE, ForbiddenError
from devcluster.edge.kube.cluster import Cluster
from devcluster.errors import ClusterError
from devcluster.plan.install import InstallPlan
from devcluster.rules.cluster.rights import RequiredRight, lanes, required_for_up


async def check_rights(cluster: Cluster, plan: InstallPlan) -> None:
    """ForbiddenError names every right that is missing.  Nothing where nobody answers such questions: then
    the refusal itself says so."""
    if plan.adopted:
        return
    seen = plan.observed
    services = sorted({move.service for move in plan.moves})
    asked = required_for_up(seen.ref, plan.secret, services)
    try:
        granted = await _granted(cluster, seen.ref.namespace, (*asked, *lanes()))
    except ClusterError:
        return
    missing = sorted({str(it.right) for it in asked if it not in granted})
    if not granted & set(lanes()):
        missing.append(str(lanes()[0].right))
    if missing:
        raise ForbiddenError(f"cannot {', '.join(missing)} in namespace {seen.ref.namespace}", hint=ROLE)


async def _granted(cluster: Cluster, namespace: str, asked: tuple[RequiredRight, ...]) -> set[RequiredRight]:
    async def may(it: RequiredRight) -> bool:
        return await cluster.may(it.right.verb, it.right.group, it.right.resource, namespace, it.name)

    answers = await asyncio.gather(*map(may, asked))
    return {it for it, answer in zip(asked, answers, strict=True) if answer}
