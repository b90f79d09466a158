"""A pod that stays in a scenario's namespace and asks what it is told to.

A pod for each question costs the node seconds of work, the question itself milliseconds; two cores run the
cluster and all scenarios.  Each request that it sends is a fresh connection all the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
from typing import Any

from devcluster.edge.kube.cluster import Cluster
from devcluster.errors import ChangedError

Json = dict[str, Any]
_NAME, _PORT = "asker", 7080
_GUARD = 180.0  # seconds


async def ask_who_stays(cluster: Cluster, namespace: str, image: str, words: tuple[str, ...]) -> Json:
    """What the test application *image* prints for *words*, in the pod, which is started if need be."""
    await _until_there(cluster, namespace, image)
    where = f"/api/v1/namespaces/{namespace}/pods/{_NAME}:{_PORT}/proxy/"
    body = json.dumps(words).encode()
    send = functools.partial(cluster.transport.send, body=body, read_timeout=_GUARD)
    response = await asyncio.to_thread(send, "POST", where)
    assert response.status == 200, f"{words}: {response.status} {response.data.decode()}"
    answer: Json = json.loads(response.data)
    return answer


async def _until_there(cluster: Cluster, namespace: str, image: str) -> None:
    found = await cluster.find("pod", _NAME, namespace)
    if found is not None and _is_ready(found):
        return
    if found is None:
        probe = {"tcpSocket": {"port": _PORT}, "periodSeconds": 1}
        container = {"name": "ask", "image": image, "args": ["ask", f":{_PORT}"], "readinessProbe": probe}
        spec = {"containers": [container], "terminationGracePeriodSeconds": 0}
        with contextlib.suppress(ChangedError):  # another question was first
            await cluster.create("pod", {"metadata": {"name": _NAME}, "spec": spec}, namespace)
    async with asyncio.timeout(_GUARD):
        states = cluster.watch_all("pod", namespace, fields=f"metadata.name={_NAME}")
        async with contextlib.aclosing(states):
            async for items in states:
                if items and _is_ready(items[0]):
                    return


def _is_ready(pod: Json) -> bool:
    return any(status["ready"] for status in pod["status"].get("containerStatuses") or [])
