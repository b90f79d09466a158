"""What helps where it may be read, and is not needed."""

from __future__ import annotations

from devcluster.edge.kube.answer import ForbiddenError
from devcluster.edge.kube.cluster import Cluster, Json
from devcluster.errors import NotFoundError


async def list_quietly(
    cluster: Cluster, kind: str, namespace: str | None, *, fields: str = ""
) -> tuple[Json, ...]:
    """() where there is no such kind, or it may not be read."""
    try:
        return (await cluster.list(kind, namespace, fields=fields)).items
    except (NotFoundError, ForbiddenError):
        return ()
