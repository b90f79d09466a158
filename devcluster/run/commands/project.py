"""Which cluster, namespace and project a command means: what its options, the file or the kubeconfig say."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

from devcluster.edge.kube.cluster import Cluster, open_cluster
from devcluster.run.place import Place, place_of
from devcluster.run.request import Request


def open_meant(request: Request) -> AbstractAsyncContextManager[Cluster]:
    """The cluster; its ``namespace`` is the one that is meant."""
    return open_cluster(request.context, request.namespace, timeout=request.timeout)


async def find_place(request: Request) -> Place:
    """The place of the file's project."""
    async with open_meant(request) as cluster:
        return place_in(cluster, request)


def place_in(cluster: Cluster, request: Request, namespace: str = "") -> Place:
    """The same in a cluster that is open; *namespace*: another one than the cluster's."""
    assert request.project is not None
    return place_of(cluster.context, namespace or cluster.namespace, request.project.name, request.environ)
