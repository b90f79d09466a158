"""Manifests of any kind, made as ``kubectl create`` makes them."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from devcluster.edge.kube.cluster import Cluster

Json = dict[str, Any]
_CLUSTER_WIDE = {"MutatingWebhookConfiguration", "Namespace", "PersistentVolume", "ClusterRole"}


async def create(cluster: Cluster, namespace: str, body: Json) -> Json:
    """The object as the API server has it."""
    created: Json = await _send(cluster, "POST", _path(namespace, body), body)
    return created


async def read(cluster: Cluster, namespace: str, body: Json) -> Json:
    """What the cluster has under *body*'s kind and name now."""
    found: Json = await _send(cluster, "GET", f"{_path(namespace, body)}/{body['metadata']['name']}")
    return found


async def delete(cluster: Cluster, namespace: str, body: Json) -> None:
    """Gone, or on its way."""
    await _send(cluster, "DELETE", f"{_path(namespace, body)}/{body['metadata']['name']}")


def _path(namespace: str, body: Json) -> str:
    version, kind = body["apiVersion"], body["kind"]
    top = f"/apis/{version}" if "/" in version else f"/api/{version}"
    within = "" if kind in _CLUSTER_WIDE else f"/namespaces/{namespace}"
    return f"{top}{within}/{_plural(kind.lower())}"


def _plural(kind: str) -> str:
    return f"{kind[:-1]}ies" if kind.endswith("y") else f"{kind}s"


async def _send(cluster: Cluster, method: str, path: str, body: Json | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    response = await asyncio.to_thread(cluster.transport.send, method, path, body=data)
    text = response.data.decode()
    assert response.status < 300, f"{method} {path}: {response.status} {text}"
    return json.loads(text)
