"""What stands around a workload and may get in its way: read for the warnings, never needed.

A cluster without VPA or KEDA answers 404, a Role without them 403; only the second leaves a warning out that
might be due, which is told.  All of it is asked at once, so that `up` pays one round trip for it.
"""

from __future__ import annotations

import asyncio

from devcluster.config.model import Workload
from devcluster.edge.kube.answer import ForbiddenError
from devcluster.edge.kube.cluster import Cluster, Json
from devcluster.edge.kube.workload import WorkloadObject
from devcluster.errors import NotFoundError
from devcluster.plan.install import InstallPlan
from devcluster.rules.glimpses import AUTOSCALERS, POLICIES, Glimpse, glimpses_of
from devcluster.rules.warnings import Caution, Circumstances, find_cautions


async def read_cautions(
    cluster: Cluster,
    workload: WorkloadObject,
    install: InstallPlan,
    pods: tuple[Json, ...],
    wish: Workload,
) -> tuple[tuple[Caution, ...], tuple[Glimpse, ...]]:
    """The warnings for *workload*, whose *pods* were read already and of which the file says *wish*; and what
    could not be looked at."""
    asked = (*AUTOSCALERS, POLICIES)
    read = await asyncio.gather(*(_list(cluster, it, workload.namespace) for it in asked))
    *autoscalers, policies = (items or () for items in read)
    seen = install.observed
    unread = {it.kind for it, items in zip(asked, read, strict=True) if items is None} | set(seen.unread)
    cautions = find_cautions(
        Circumstances(
            kind=workload.kind,
            name=workload.name,
            container=workload.container,
            object=workload.object,
            template=install.base,
            pods=pods,
            services=seen.services,
            autoscalers=tuple(item for items in autoscalers for item in items),
            policies=policies,
            fronts=install.fronts,
            moved=tuple(sorted({move.service for move in install.moves})),
            rolls=not install.adopted,
            written=dict(wish.environment),
            excluded=wish.env_exclude,
        )
    )
    return cautions, glimpses_of(unread)


async def _list(cluster: Cluster, glimpse: Glimpse, namespace: str) -> tuple[Json, ...] | None:
    """None where they may not be listed."""
    try:
        return (await cluster.list(glimpse.kind, namespace)).items
    except NotFoundError:
        return ()
    except ForbiddenError:
        return None if await may_exist(cluster, glimpse) else ()


async def may_exist(cluster: Cluster, glimpse: Glimpse) -> bool:
    """Whether there can be any: a kind that the cluster does not have is refused like one that it has."""
    return not glimpse.optional or await cluster.serves(glimpse.kind)
