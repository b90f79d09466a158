"""A container's last words."""

from __future__ import annotations

import contextlib

from devcluster.edge.kube.cluster import Cluster, Json
from devcluster.errors import DevclusterError

_LINES = 8


async def last_lines(cluster: Cluster, pod: Json, container: str) -> str:
    """Of the one that ended last: the former one where it runs again.  '' where nothing can be read."""
    statuses = (pod.get("status") or {}).get("containerStatuses") or []
    state = next((item.get("state") or {} for item in statuses if item["name"] == container), {})
    name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
    for previous in ("running" in state, "running" not in state):
        with contextlib.suppress(DevclusterError):
            log = await cluster.pod_logs(
                name, namespace, container=container, lines=_LINES, previous=previous
            )
            if log.strip():
                return log.rstrip()
    return ""
