"""What is around a workload and may get in its way: read for the warnings, never needed.

A cluster without VPA or KEDA answers 404, a Role that does not show them 403; either way there is no warning.
Everything is asked at once, so `up` pays for one round trip.
"""

from __future__ import annotations

import asyncio

from devcluster.config.model import Workload
from devcluster.edge.kube.answer import ForbiddenError
from devcluster.edge.kube.cluster import Cluster, Json
from devcluster.edge.kube.workload import WorkloadObject
from devcluster.errors import NotFoundError
from devcluster.plan.install import InstallPlan
from devcluster.rules.advice.warnings import Caution, Circumstances, find_cautions

_AUTOSCALERS = ("horizontalpodautoscaler", "verticalpodautoscaler", "scaledobject")


async def read_cautions(
    cluster: Cluster,
    workload: WorkloadObject,
    install: InstallPlan,
    pods: tuple[Json, ...],
    wish: Workload,
) -> tuple[Caution, ...]:
    """The warnings for *workload*.  Its *pods* have been read already; *wish*: what the file says of it."""
    asked = (*_AUTOSCALERS, "networkpolicy")
    *autoscalers, policies = await asyncio.gather(
        *(_list(cluster, it, workload.ref.namespace) for it in asked)
    )
    return find_cautions(
        Circumstances(
            ref=workload.ref,
            container=workload.container,
            object=workload.object,
            template=install.base,
            pods=pods,
            services=install.observed.services,
            autoscalers=tuple(item for items in autoscalers for item in items),
            policies=policies,
            fronts=install.fronts,
            moved=tuple(sorted({move.service for move in install.moves})),
            rolls=not install.adopted,
            written=dict(wish.environment),
            excluded=wish.env_exclude,
            tunnelled=not install.wish.serving.in_pod_network,
            datagrams=install.wish.serving.datagrams,
        )
    )


async def _list(cluster: Cluster, kind: str, namespace: str) -> tuple[Json, ...]:
    try:
        return (await cluster.list(kind, namespace)).items
    except (NotFoundError, ForbiddenError):
        return ()
