"""What is around a workload and may get in its way: read for the warnings, never needed.

A cluster without VPA or KEDA answers 404, a Role that does not show them 403; either way there is no warning.
Everything is asked at once, so `up` pays for one round trip.
"""

from __future__ import annotations

import asyncio

from devcluster.config.model import Workload
from devcluster.edge.kube.cluster import Cluster, Json
from devcluster.edge.kube.workload import WorkloadObject
from devcluster.plan.install import InstallPlan
from devcluster.rules.advice.policies import Closed
from devcluster.rules.advice.warnings import Caution, Circumstances, find_cautions
from devcluster.rules.ports.ports import PortKey
from devcluster.run.cluster.quietly import list_quietly

_AUTOSCALERS = ("horizontalpodautoscaler", "verticalpodautoscaler", "scaledobject")


async def read_cautions(
    cluster: Cluster,
    workload: WorkloadObject,
    install: InstallPlan,
    pods: tuple[Json, ...],
    wish: Workload,
    closed: tuple[Closed, ...],
    mapped: tuple[PortKey, ...],
) -> tuple[Caution, ...]:
    """The warnings for *workload*, whose *pods* were read already and of which the file says *wish*;
    *closed*: what NetworkPolicies shut out; *mapped*: the pod's ports in `port_map`."""
    autoscalers = await asyncio.gather(
        *(list_quietly(cluster, it, workload.ref.namespace) for it in _AUTOSCALERS)
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
            closed=closed,
            fronts=install.wish.serving.fronts,
            services_only=install.wish.serving.services_only,
            moved=tuple(sorted({move.service for move in install.moves})),
            rolls=not install.adopted,
            written=dict(wish.environment),
            excluded=wish.env_exclude,
            tunnelled=not install.wish.serving.in_pod_network,
            claims=install.observed.claims,
            datagrams=install.wish.serving.datagrams,
            unreached=install.wish.serving.services_only and all(it.front is None for it in install.fronts),
            mapped=mapped,
        )
    )
