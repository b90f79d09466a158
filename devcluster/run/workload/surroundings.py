"""What stands around a workload and may get in its way: read for the warnings, never needed.

A cluster without VPA or KEDA answers 404, a Role without them 403: both mean that nothing is known of them
and that nothing is said.  All of it is asked at once, so that `up` pays one round trip for it.
"""

from __future__ import annotations

import asyncio
import contextlib

from devcluster.edge.kube.answer import ForbiddenError
from devcluster.edge.kube.cluster import Cluster, Json
from devcluster.edge.kube.workload import WorkloadObject
from devcluster.errors import NotFoundError
from devcluster.plan.install import InstallPlan
from devcluster.rules.warnings import Caution, Circumstances, find_cautions

_AUTOSCALERS = ("horizontalpodautoscaler", "verticalpodautoscaler", "scaledobject")


async def read_cautions(
    cluster: Cluster, workload: WorkloadObject, install: InstallPlan, pods: tuple[Json, ...]
) -> tuple[Caution, ...]:
    """The warnings for *workload*, whose *pods* were read already."""
    asked = (_list(cluster, kind, workload.namespace) for kind in (*_AUTOSCALERS, "networkpolicy"))
    *autoscalers, policies = await asyncio.gather(*asked)
    seen = install.observed
    return find_cautions(
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
        )
    )


async def _list(cluster: Cluster, kind: str, namespace: str) -> tuple[Json, ...]:
    with contextlib.suppress(NotFoundError, ForbiddenError):
        return (await cluster.list(kind, namespace)).items
    return ()
