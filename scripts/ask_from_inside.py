"""Ask http://wordpress/ from a pod inside the cluster, with an id that only one access log will show.

The pod runs PHP from the image of the example itself, so nothing has to be pulled for it.
    python scripts/ask_from_inside.py CONTEXT NAMESPACE ID
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import sys
from typing import Any

from devcluster.edge.kube.cluster import Cluster, open_cluster

_PATIENCE = 60.0  # seconds
_ASK = """
$options = ['header' => 'X-Request-Id: ' . $argv[1], 'ignore_errors' => true];
$page = file_get_contents('http://wordpress/', false, stream_context_create(['http' => $options]));
preg_match('#<title>(.*)</title>#', $page, $title);
$title = html_entity_decode($title[1] ?? '', ENT_QUOTES);
echo json_encode(['status' => $http_response_header[0], 'title' => $title]);
"""


async def ask(cluster: Cluster, namespace: str, identity: str) -> dict[str, Any]:
    """The status line and the title of the front page, as the pod got them."""
    live = await cluster.get("deployment", "wordpress", namespace)
    image = live["spec"]["template"]["spec"]["containers"][0]["image"]
    name = f"ask-{secrets.token_hex(4)}"
    container = {"name": "ask", "image": image, "command": ["php", "-r", _ASK, "--", identity]}
    spec = {"restartPolicy": "Never", "containers": [container]}
    await cluster.create("pod", {"metadata": {"name": name}, "spec": spec}, namespace)
    try:
        async with asyncio.timeout(_PATIENCE):
            states = cluster.watch_all("pod", namespace, fields=f"metadata.name={name}")
            async with contextlib.aclosing(states):
                async for items in states:
                    if items and items[0]["status"].get("phase") in ("Succeeded", "Failed"):
                        break
        answer: dict[str, Any] = json.loads(await cluster.pod_logs(name, namespace, container="ask"))
        return answer
    finally:
        await cluster.delete("pod", name, namespace)


async def main(context: str, namespace: str, identity: str) -> None:
    async with open_cluster(context) as cluster:
        answer = await ask(cluster, namespace, identity)
    print(f"http://wordpress/ from a pod: {answer['status']}, {answer['title']!r}")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:4]))
